"""The handle by which a recorder starts, checks and ends the prober, which is a process of its own.

A process of its own, because the recorder's threads and garbage collection would delay its requests.
"""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from flametest.load.child import Child
from flametest.load.errors import LoadError
from flametest.load.exchange import Entry

__all__ = ["PROBER_SAMPLES_FILE", "Prober", "ProberSummary"]

PROBER_SAMPLES_FILE = "samples-prober.csv"
_SUMMARY_FILE = "prober.json"
_LOG_FILE = "prober.log"
_STOP_MARGIN_SECONDS = 5.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ProberSummary:
    """What the prober says of itself at its end; the fields of `flametest.model.events.ProberEnded`.

    Attributes:
        interval_ns: its interval Δ.
        sent: samples written.
        dropped: samples of its schedule that it did not send, or whose outcome it cannot vouch for.
        send_lag_max_ns: worst distance between intended and sent.
    """

    interval_ns: int
    sent: int
    dropped: int
    send_lag_max_ns: int


class Prober:
    """A prober of ``url`` that writes `PROBER_SAMPLES_FILE` into ``record_folder``, which exists.

    As a context manager it starts on entry and ends on every way out. `stop` returns what the prober says of itself.
    """

    def __init__(
        self,
        url: str,
        record_folder: Path,
        interval_ms: float = 50.0,
        timeout_ms: float = 1000.0,
        seconds_max: float = 3600.0,
    ) -> None:
        self._url = url
        self._folder = record_folder
        self._interval_ms = interval_ms
        self._timeout_ms = timeout_ms
        self._seconds_max = seconds_max
        self._child: Child | None = None

    def __enter__(self) -> "Prober":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._end()

    def start(self) -> None:
        """Start the process; `wait_first_samples` tells when it probes.

        Raises:
            LoadError: the URL is none, the folder has samples already, or the process cannot be started.
        """
        Entry.from_url(self._url)
        samples = self._folder / PROBER_SAMPLES_FILE
        if samples.exists():
            raise LoadError(f"{samples} exists already", "record into a new folder")
        command = [sys.executable, "-m", "flametest.load.prober_main", self._url, str(samples)]
        command += ["--summary", str(self._folder / _SUMMARY_FILE)]
        command += ["--interval-ms", str(self._interval_ms), "--timeout-ms", str(self._timeout_ms)]
        command += ["--seconds-max", str(self._seconds_max), "--parent", str(os.getpid())]
        self._child = Child("the prober", command, self._folder / _LOG_FILE)

    def check(self) -> None:
        """Do nothing while it probes.

        Raises:
            LoadError: it died; the message has its last words.
        """
        if self._child is not None:
            self._child.check()

    def wait_first_samples(self, timeout_seconds: float = 10.0) -> None:
        """Return once its first samples are written.

        Raises:
            LoadError: it died, or none came in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while not _has_rows(self._folder / PROBER_SAMPLES_FILE):
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

    def stop(self) -> ProberSummary:
        """End it, let what it has sent be answered, and return its summary; every sample is then written.

        Raises:
            LoadError: it was not running any more, or ended without a summary.
        """
        if self._child is None:
            raise LoadError("the prober was not started")
        try:
            self.check()
        finally:
            code = self._end()
        try:
            return ProberSummary(**json.loads((self._folder / _SUMMARY_FILE).read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise LoadError(
                f"the prober ended with code {code} and no summary", f"see {self._folder / _LOG_FILE}"
            ) from error

    def _end(self) -> int:
        assert self._child is not None
        child, self._child = self._child, None
        return child.stop(self._timeout_ms / 1000 + _STOP_MARGIN_SECONDS)


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
