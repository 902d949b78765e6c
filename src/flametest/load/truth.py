"""The handle on the ground-truth server: outages whose length is known, because this server makes them.

The measurement's own test sends the prober against it. One server process has a port for each track, so that several
probers are tested at once without a server each. Times of windows count from the moment given to `begin`.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import TracebackType

from flametest.load.errors import LoadError

__all__ = ["KnownOutage", "OutageKind", "OutageWindow", "TruthServer"]

_ENDING_SECONDS = 10.0


class OutageKind(StrEnum):
    """What the server does to requests that arrive in a window."""

    STATUS_503 = "503"  # answers with that status
    REFUSED = "refused"  # does not listen, and breaks the connections that are there
    HANGING = "hanging"  # reads the request and never answers
    BROWN_OUT = "brown-out"  # answers a share of the requests with 503, drawn by chance, the first and last for certain


@dataclass(frozen=True, slots=True)
class OutageWindow:
    """An outage to make, in seconds from the beginning."""

    kind: OutageKind
    start_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class KnownOutage:
    """An outage that was made, in monotonic nanoseconds of the server's own clock, which is the machine's."""

    kind: OutageKind
    start_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """Return how long it was."""
        return (self.end_ns - self.start_ns) / 1e9


class TruthServer:
    """A server process; as a context manager it starts on entry and ends on every way out.

    Args:
        tracks: the windows of each port, which do not overlap within a port.
        seed: of the brown-outs' chance.
        interval_seconds: the prober's interval Δ, by which the server knows the last request of a brown-out.
    """

    def __init__(self, tracks: Sequence[Sequence[OutageWindow]], seed: int, interval_seconds: float) -> None:
        plan = {
            "tracks": [[asdict(window) for window in track] for track in tracks],
            "seed": seed,
            "interval_seconds": interval_seconds,
        }
        self._plan = json.dumps(plan)
        self._process: subprocess.Popen[str] | None = None
        self.urls: tuple[str, ...] = ()

    def __enter__(self) -> "TruthServer":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flametest.load.truth_main"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            self._tell(self._plan)
            self.urls = tuple(f"http://127.0.0.1:{port}/" for port in json.loads(self._hear()))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def begin(self, zero_ns: int) -> None:
        """Let the windows count from ``zero_ns`` (monotonic), which lies ahead."""
        self._tell(str(zero_ns))

    def finish(self) -> tuple[tuple[KnownOutage, ...], ...]:
        """End it, and return for each track the outages that were made; one that was under way ends now.

        Raises:
            LoadError: it died before.
        """
        self._tell("end")
        tracks = json.loads(self._hear())
        return tuple(
            tuple(KnownOutage(OutageKind(kind), start_ns, end_ns) for kind, start_ns, end_ns in track)
            for track in tracks
        )

    def _tell(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise LoadError(f"the ground-truth server ended by itself: {error}", "run `flametest selftest`") from error

    def _hear(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LoadError("the ground-truth server ended by itself", "run `flametest selftest` to see why")
        return line

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with process:  # closes the pipes, of which the server takes the end as its own
            process.terminate()
            try:
                process.wait(_ENDING_SECONDS)
            except BaseException:
                process.kill()
                raise
