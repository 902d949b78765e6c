"""Fetches the samples of one load worker while it runs, through the API server, and turns them to this machine's clock.

A thread asks a few times a second for what is new since the last answer; an answer that was lost is asked for again, so
that a worker that lives loses nothing. `Collector.finish` returns when the last row is here. See `locust_serve` for the
other side.
"""

import csv
import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flametest.kube.api import Api
from flametest.kube.errors import KubeError
from flametest.kube.resources import PODS
from flametest.load.clockname import clock_name
from flametest.load.clocks import ClockEstimate, ClockOffset
from flametest.load.errors import LoadError
from flametest.load.generator import NO_REPORT, GeneratorReport, parse_report
from flametest.load.worker_pods import CONTROL_PORT
from flametest.model.samples import Lane, Outcome, Sample

__all__ = ["POLL_SECONDS_MIN", "Answer", "Collector", "WorkerSummary", "control_path", "parse_answer", "parse_row"]

POLL_SECONDS_MIN = 0.15
SILENT_SECONDS_MAX = 10.0  # as long as an API server that is being restarted may take


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker answered: its clock, how much it has written, whether that is all, and rows from an offset on.

    ``generator`` is what it said of itself.
    """

    monotonic_ns: int
    clock: str
    size: int
    ended: bool
    rows: str
    generator: GeneratorReport = NO_REPORT


@dataclass(frozen=True, slots=True)
class WorkerSummary:
    """What came of one worker: its pod, how many requests of it are recorded, and how its clock was reckoned with.

    ``generator`` is what it said of itself, on its own clock.
    """

    pod: str
    requests: int
    clock: ClockOffset
    generator: GeneratorReport = NO_REPORT


def control_path(namespace: str, pod: str, key: str, what: str) -> str:
    """Return the path at which the API server passes a request on to a pod of the load."""
    return f"{PODS.path(namespace)}/{pod}:{CONTROL_PORT}/proxy/{key}/{what}"


def parse_answer(text: str) -> Answer:
    """Return a worker's answer in parts.

    Raises:
        ValueError: it is none.
    """
    head, _, rows = text.partition("\n")
    told = json.loads(head)
    try:
        return Answer(
            int(told["monotonic_ns"]),
            str(told["clock"]),
            int(told["size"]),
            bool(told["ended"]),
            rows,
            parse_report(told.get("generator")),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no answer of a load worker: {head[:100]!r}") from error


def parse_row(row: list[str], offset_ns: int) -> Sample:
    """Return a row of a worker's samples with its stamps moved by ``offset_ns``.

    Raises:
        ValueError: it is no row of samples.
    """
    lane, name, intended_ns, sent_ns, done_ns, outcome, status, served_by, error, trace_id = row
    return Sample(
        Lane(lane),
        name,
        int(intended_ns) + offset_ns,
        int(sent_ns) + offset_ns,
        int(done_ns) + offset_ns,
        Outcome(outcome),
        int(status),
        served_by,
        error,
        trace_id,
    )


class Collector:
    """One worker's samples.

    Args:
        api: the cluster.
        path: where the worker answers, as `control_path` has it.
        pod: the worker's pod.
        keep: takes the samples of one answer, in this machine's time; called in the collector's thread.
        poll_seconds: how long it waits between two questions.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        pod: str,
        keep: Callable[[list[Sample]], None],
        poll_seconds: float = POLL_SECONDS_MIN,
    ) -> None:
        self.pod = pod
        self.generator = NO_REPORT
        self._api = api
        self._path = path
        self._keep = keep
        self._poll_seconds = poll_seconds
        self._clock: ClockEstimate | None = None
        self._offset_bytes = 0
        self._requests = 0
        self._whole = False
        self._failure: LoadError | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"samples of {pod}", daemon=True)

    def answers(self) -> bool:
        """Ask once, and return whether the worker answered."""
        try:
            self._fetch()
        except (KubeError, ValueError):
            return False
        return True

    def start(self) -> None:
        """Begin to fetch in a thread, which ends with the last row, with a failure, or when it is told to."""
        self._thread.start()

    def check(self) -> None:
        """Do nothing while samples come.

        Raises:
            LoadError: the worker does not answer any more, or answers nonsense.
        """
        if self._failure is not None:
            raise self._failure

    def finish(self, timeout_seconds: float) -> WorkerSummary:
        """Wait for the last row of a load that was told to stop, and return what came of the worker.

        Raises:
            LoadError: not all of its samples came.
        """
        self._thread.join(timeout_seconds)
        self.stop()
        self.check()
        if not self._whole:
            raise LoadError(f"the last samples of {self.pod} did not come within {timeout_seconds:g} s")
        return self.summary()

    def summary(self) -> WorkerSummary:
        """Return what came of the worker until now; it has answered."""
        assert self._clock is not None
        return WorkerSummary(self.pod, self._requests, self._clock.at(time.monotonic_ns()), self.generator)

    def stop(self) -> None:
        """End the thread; a second call does nothing."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(SILENT_SECONDS_MAX)

    def _run(self) -> None:
        heard = time.monotonic()
        while not self._whole and not self._stopping.wait(self._poll_seconds):
            try:
                self._fetch()
                heard = time.monotonic()
            except KubeError as error:
                if time.monotonic() - heard > SILENT_SECONDS_MAX:
                    self._failure = LoadError(f"load worker {self.pod} does not answer any more: {error.message}")
                    return
            except (ValueError, OSError) as error:
                self._failure = LoadError(f"the samples of load worker {self.pod} cannot be kept: {error}")
                return

    def _fetch(self) -> None:
        asked_ns = time.monotonic_ns()
        text = self._api.text(self._path, {"from": str(self._offset_bytes)})
        answered_ns = time.monotonic_ns()
        answer = parse_answer(text)
        self.generator = answer.generator
        if self._clock is None:
            self._clock = ClockEstimate(shared=bool(answer.clock) and answer.clock == clock_name())
        self._clock.take(asked_ns, answer.monotonic_ns, answered_ns)
        offset_ns = self._clock.at(answered_ns).offset_ns
        rows = list(csv.reader(io.StringIO(answer.rows, newline="")))
        samples = [parse_row(row, offset_ns) for row in rows[self._offset_bytes == 0 :]]
        self._keep(samples)
        self._requests += len(samples)
        self._offset_bytes += len(answer.rows.encode())
        self._whole = answer.ended and self._offset_bytes >= answer.size
