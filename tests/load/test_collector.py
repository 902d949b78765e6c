"""The fetching of a worker's samples, from an API that loses answers and a worker whose clock is another one."""

import json
import threading
import time
from typing import Any

import pytest

from flametest.kube.errors import ApiUnreachableError
from flametest.load.clockname import clock_name
from flametest.load.collector import Collector, parse_answer
from flametest.load.errors import LoadError
from flametest.model.samples import SAMPLE_COLUMNS, Sample

AHEAD_NS = 3_600 * 1_000_000_000
HEADER = ",".join(SAMPLE_COLUMNS) + "\n"


class Worker:
    """Answers as a load worker does; ``lost`` answers are not passed on."""

    def __init__(self, *, clock: str = "of another boot", ahead_ns: int = AHEAD_NS) -> None:
        self.clock, self.ahead_ns = clock, ahead_ns
        self.written = HEADER
        self.ended = False
        self.lost = 0
        self.asked: list[int] = []
        self.piece_bytes = 1_000_000

    def write(self, count: int) -> None:
        now_ns = time.monotonic_ns() + self.ahead_ns
        row = f'load,"GET /a, b",{now_ns},{now_ns},{now_ns + 5},ok,200,api-ä,,0af7651916cd43dd8448eb211c80319c\n'
        self.written += row * count

    def text(self, path: str, query: dict[str, str]) -> str:
        assert path == "/where"
        begin = int(query["from"])
        self.asked.append(begin)
        if self.lost:
            self.lost -= 1
            raise ApiUnreachableError("lost")
        written = self.written.encode()
        rows = written[begin : begin + self.piece_bytes]
        rows = rows[: rows.rfind(b"\n") + 1]
        told = {"monotonic_ns": time.monotonic_ns() + self.ahead_ns, "clock": self.clock, "size": len(written)}
        return json.dumps(told | {"ended": self.ended}) + "\n" + rows.decode()


def collector_of(worker: Any) -> tuple[Collector, list[Sample]]:
    """Return a collector and the samples that it keeps."""
    kept: list[Sample] = []
    return Collector(worker, "/where", "locust-worker-0", kept.extend), kept


def test_every_row_comes_once_in_this_machines_time_though_answers_are_lost_and_cut() -> None:
    worker = Worker()
    worker.piece_bytes = 400
    worker.write(20)
    collector, kept = collector_of(worker)
    begin_ns = time.monotonic_ns() - 60 * 1_000_000_000
    assert collector.answers()
    worker.lost = 2
    collector.start()
    worker.write(5)
    worker.ended = True
    summary = collector.finish(10)
    assert (summary.pod, summary.requests) == ("locust-worker-0", 25)
    assert len(kept) == 25
    assert {(one.name, one.served_by) for one in kept} == {("GET /a, b", "api-ä")}
    assert all(begin_ns < one.sent_ns <= time.monotonic_ns() + 50_000_000 for one in kept)
    assert abs(summary.clock.offset_ns + AHEAD_NS) <= summary.clock.uncertainty_ns
    assert summary.clock.uncertainty_ns > 0


def test_stamps_of_a_clock_that_is_this_machines_are_left_as_they_are() -> None:
    worker = Worker(clock=clock_name(), ahead_ns=0)
    worker.write(1)
    worker.ended = True
    collector, kept = collector_of(worker)
    collector.start()
    assert collector.finish(10).clock.uncertainty_ns == 0
    assert str(kept[0].sent_ns) in worker.written


def test_a_worker_that_stays_silent_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flametest.load.collector.SILENT_SECONDS_MAX", 0.3)
    worker = Worker()
    collector, _ = collector_of(worker)
    worker.lost = 1_000
    collector.start()
    with pytest.raises(LoadError, match="locust-worker-0 does not answer any more"):
        collector.finish(10)


def test_samples_that_never_end_are_missing() -> None:
    worker = Worker()
    worker.write(1)
    collector, kept = collector_of(worker)
    collector.start()
    with pytest.raises(LoadError, match="the last samples of locust-worker-0 did not come"):
        collector.finish(0.5)
    assert len(kept) == 1


def test_a_row_that_is_none_ends_the_collection_with_a_reason() -> None:
    worker = Worker()
    worker.written += "what is this\n"
    collector, _ = collector_of(worker)
    collector.start()
    with pytest.raises(LoadError, match="cannot be kept"):
        collector.finish(10)


def test_an_answer_of_something_else_is_no_answer() -> None:
    with pytest.raises(ValueError, match="no answer of a load worker"):
        parse_answer("{}\n")
    with pytest.raises(ValueError):  # noqa: PT011 (json's own)
        parse_answer("<html>")


def test_its_thread_ends_when_it_is_told_to() -> None:
    collector, _ = collector_of(Worker())
    collector.start()
    collector.stop()
    assert "samples of locust-worker-0" not in {one.name for one in threading.enumerate()}
