"""The prober as the recorder uses it: a real process, against outages of known length."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flametest.load import LoadError, Prober
from flametest.measure.samples import Samples, read_samples
from flametest.model.samples import Lane, Outcome
from tests.load.recording_process import process_recording
from tests.patience import PATIENCE_SECONDS

INTERVAL_MS = 20.0
SLACK_NS = 60_000_000  # the interval, and a busy machine


def recorded(folder: Path) -> Samples:
    """Return what the prober wrote."""
    with (folder / "samples-prober.csv").open(newline="") as file:
        return read_samples(file)


def process_of(folder: Path) -> int | None:
    """Return the pid of the prober that writes into ``folder``."""
    return process_recording("flametest.load.prober_main", folder / "samples-prober.csv")


def trouble(prober: Prober) -> str:
    """Return what the prober's check complains of; empty when it does not."""
    try:
        prober.check()
    except LoadError as error:
        return error.message
    return ""


def pause(seconds: float) -> None:
    """Let ``seconds`` pass: the length of what is done to the target, not a wait for anything."""
    threading.Event().wait(seconds)


@pytest.mark.measured
@pytest.mark.parametrize("mode", ["503", "hang", "refused"])
def test_an_outage_is_seen_where_it_was(target: Any, tmp_path: Path, mode: str) -> None:
    with Prober(target.url, tmp_path, INTERVAL_MS, timeout_ms=300) as prober:
        prober.wait_first_samples()
        pause(0.2)
        start_ns = time.monotonic_ns()
        target.mode = mode
        if mode == "refused":
            target.refuse()
        pause(0.4)
        if mode == "refused":
            target.listen()
        target.mode = "ok"
        end_ns = time.monotonic_ns()
        pause(0.2)
        summary = prober.stop()
    samples = recorded(tmp_path)
    assert summary.sent == len(samples)
    fresh = samples.lane(Lane.FRESH)
    bad = fresh.where(fresh.bad)
    assert abs(bad.sent_ns[0] - start_ns) <= SLACK_NS
    assert abs(bad.sent_ns[-1] - end_ns) <= SLACK_NS
    assert fresh.good[0]
    assert fresh.good[-1]
    assert fresh.bad.sum() >= 0.4 / (INTERVAL_MS / 1000) * 0.7


@pytest.mark.measured
def test_without_an_outage_both_lanes_are_punctual_and_good(target: Any, tmp_path: Path) -> None:
    with Prober(target.url, tmp_path, INTERVAL_MS) as prober:
        prober.wait_first_samples()
        pause(0.5)
        prober.check()
        summary = prober.stop()
    samples = recorded(tmp_path)
    assert samples.good.all()
    assert summary.interval_ns == INTERVAL_MS * 1e6
    for lane in (Lane.FRESH, Lane.KEEPALIVE):
        intended = samples.lane(lane).intended_ns
        assert len(intended) >= 20
        assert {int(step) % 20_000_000 for step in intended - intended[0]} == {0}
    # The kept connection serves all but those that were sent while an answer on it was late, as on a busy machine.
    kept = samples.lane(Lane.KEEPALIVE)
    overlapping = sum(
        sent < earlier for sent, earlier in zip(kept.sent_ns[1:], np.maximum.accumulate(kept.done_ns)[:-1], strict=True)
    )
    assert 1 <= target.connections - len(samples.lane(Lane.FRESH)) <= 1 + overlapping


def test_a_prober_that_was_stopped_is_flagged_and_reports_no_downtime(
    target: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    with Prober(target.url, tmp_path, INTERVAL_MS) as prober:
        prober.wait_first_samples()
        pid = process_of(tmp_path)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        pause(0.3)
        os.kill(pid, signal.SIGCONT)
        before = len(recorded(tmp_path))
        wait_until(lambda: len(recorded(tmp_path)) > before + 10)
        summary = prober.stop()
    assert recorded(tmp_path).good.all()
    assert summary.dropped == summary.late >= 20
    assert summary.send_lag_max_ns >= 250_000_000


def test_a_prober_stopped_for_longer_than_its_time_limit_reports_no_downtime_either(
    target: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    # Only the stop can pass the time limit: that is forty times what the target takes to answer, on a busy machine too.
    timeout_seconds = 2.0
    target.mode, target.delay_seconds = "slow", timeout_seconds / 40
    with Prober(target.url, tmp_path, INTERVAL_MS, timeout_ms=timeout_seconds * 1000) as prober:
        prober.wait_first_samples()
        pid = process_of(tmp_path)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        pause(timeout_seconds + 0.5)
        os.kill(pid, signal.SIGCONT)
        before = len(recorded(tmp_path))
        wait_until(lambda: len(recorded(tmp_path)) > before + 10)
        summary = prober.stop()
    assert recorded(tmp_path).good.all()
    assert summary.send_lag_max_ns >= timeout_seconds * 1e9


def test_a_prober_stopped_during_an_outage_still_knows_what_was_never_answered(
    target: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    with Prober(target.url, tmp_path, INTERVAL_MS, timeout_ms=300) as prober:
        prober.wait_first_samples()
        target.mode = "hang"
        pause(0.2)
        prober.freeze()
        pause(0.5)
        prober.thaw()
        wait_until(lambda: (recorded(tmp_path).lane(Lane.FRESH).bad).sum() >= 5)
        target.mode = "ok"
        summary = prober.stop()
    fresh = recorded(tmp_path).lane(Lane.FRESH)
    hung = fresh.where(fresh.bad)
    assert float(hung.done_ns[0] - hung.sent_ns[0]) / 1e9 >= 0.3
    # Those sent before the stop were noticed late, by more than any schedule allows, and are kept all the same.
    assert float((hung.done_ns - hung.sent_ns).max()) / 1e9 >= 0.45
    assert summary.send_lag_max_ns >= 400_000_000


def test_a_prober_that_ended_by_itself_is_noticed(target: Any, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    with Prober(target.url, tmp_path, INTERVAL_MS, seconds_max=0.2) as prober:
        wait_until(lambda: "ended by itself with code 0" in trouble(prober))
        with pytest.raises(LoadError, match="ended by itself"):
            prober.stop()


def test_a_prober_that_was_killed_is_noticed(target: Any, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    with Prober(target.url, tmp_path, INTERVAL_MS) as prober:
        prober.wait_first_samples()
        pid = process_of(tmp_path)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "code -9" in trouble(prober))
    assert len(recorded(tmp_path))


def test_a_prober_ends_with_whoever_started_it(target: Any, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    program = (
        "import os, pathlib, sys; from flametest.load import Prober; "
        "p = Prober(sys.argv[1], pathlib.Path(sys.argv[2])); p.start(); p.wait_first_samples(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, target.url, str(tmp_path)], check=True, timeout=PATIENCE_SECONDS)
    wait_until(lambda: process_of(tmp_path) is None)
    assert (tmp_path / "prober.json").exists()


def test_samples_of_an_earlier_recording_are_not_overwritten(target: Any, tmp_path: Path) -> None:
    (tmp_path / "samples-prober.csv").write_text("lane\n")
    with pytest.raises(LoadError, match="exists already"):
        Prober(target.url, tmp_path).start()


def test_a_prober_that_was_not_started_cannot_be_stopped(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="not started"):
        Prober("http://127.0.0.1:1", tmp_path).stop()


def test_a_prober_without_descriptors_says_so_and_blames_nobody_else(
    target: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    # Two hundred requests hang at once, more than a process may open that was started under this limit.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)  # the lowest there is; what this process was started with may have any number
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 16, hard))
    try:
        prober = Prober(target.url, tmp_path, interval_ms=10)
        prober.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with prober:
        prober.wait_first_samples()
        target.mode = "hang"
        wait_until(lambda: "generator: EMFILE" in recorded(tmp_path).errors)
        target.mode = "ok"
        prober.stop()
    samples = recorded(tmp_path)
    own = samples.error_code == samples.errors.index("generator: EMFILE")
    assert {Outcome.FAILED} == {samples.row(index).outcome for index in own.nonzero()[0]}
    assert set(samples.errors) <= {"", "timeout", "reset", "generator: EMFILE"}
