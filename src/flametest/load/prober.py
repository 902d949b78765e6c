"""The handle by which a recorder starts, checks and ends the prober, which is a process of its own."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flametest.load.errors import LoadError
from flametest.load.exchange import Entry, route_of
from flametest.load.process import Recording, RecordingProcess

__all__ = ["PROBER_SAMPLES_FILE", "Prober", "ProberSummary"]

PROBER_SAMPLES_FILE = "samples-prober.csv"
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ProberSummary:
    """What the prober says of itself at its end; the fields of `flametest.model.events.ProberEnded`.

    Attributes:
        interval_ns: its interval Δ.
        sent: samples written.
        dropped: samples of its schedule that it did not send, or whose outcome it cannot vouch for.
        send_lag_max_ns: worst distance between intended and sent.
        late: those of the dropped that were due while it did not run; the others met a limit of its own.
        looked_ms: for how long it looked at the processors of its machine.
        busy_ms: for how long of that all of them were busy.
    """

    interval_ns: int
    sent: int
    dropped: int
    send_lag_max_ns: int
    late: int
    looked_ms: int
    busy_ms: int


class Prober(RecordingProcess[ProberSummary]):
    """A prober of ``url`` that writes `PROBER_SAMPLES_FILE` into ``record_folder``."""

    recording = Recording("the prober", "flametest.load.prober_main", PROBER_SAMPLES_FILE, "prober.json", "prober.log")

    def __init__(
        self,
        url: str,
        record_folder: Path,
        interval_ms: float = 50.0,
        timeout_ms: float = 1000.0,
        seconds_max: float = 3600.0,
    ) -> None:
        super().__init__(record_folder)
        self._url = url
        self._interval_ms = interval_ms
        self._timeout_ms = timeout_ms
        self._seconds_max = seconds_max

    def wait_first_samples(self, timeout_seconds: float = 10.0) -> None:
        """Return once its first samples are written.

        Raises:
            LoadError: it died, or none came in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while not _has_rows(self.records_file):
            self.check()
            if time.monotonic() >= deadline:
                raise LoadError(f"the prober wrote no sample within {timeout_seconds:g} s", f"see {self._folder}")
            time.sleep(_POLL_SECONDS)

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does (SIGSTOP), until `thaw`; the self-test's way to disturb it."""
        if self._child is not None:
            self._child.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        if self._child is not None:
            self._child.signal(signal.SIGCONT)

    @property
    def _seconds_to_finish(self) -> float:
        return self._timeout_ms / 1000

    def _arguments(self) -> Sequence[object]:
        Entry.from_url(self._url, route_of(self._url))
        return (
            *(self._url, "--interval-ms", self._interval_ms, "--timeout-ms", self._timeout_ms),
            *("--seconds-max", self._seconds_max),
        )

    def _summarize(self, content: dict[str, int]) -> ProberSummary:
        return ProberSummary(**content)


def _has_rows(path: Path) -> bool:
    """Return whether a file of samples has more than its header; rows are written whole."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return os.read(descriptor, 4096).count(b"\n") > 1
    finally:
        os.close(descriptor)
