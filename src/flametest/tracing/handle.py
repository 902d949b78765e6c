"""The handle by which a run starts and ends the follower of logs, which is a process of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flametest.load.process import Recording, RecordingProcess
from flametest.tracing.following import PAUSE_SECONDS_MAX
from flametest.tracing.kept import KEPT_LINES_FILE

__all__ = ["FollowerSummary", "LogFollower", "LogPlace"]

READING_SECONDS = 0.5  # after the pause between two readings of its log, a line has come within this time


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Whose logs are followed: a kubeconfig (or several, as in KUBECONFIG), its context, and a namespace."""

    kubeconfig: str
    context: str
    namespace: str


@dataclass(frozen=True, slots=True)
class FollowerSummary:
    """What the follower says of itself at its end.

    Attributes:
        containers: how many logs were followed.
        lines: how many lines with an id were seen.
        kept: how many of them are kept.
        lost: how many were let go before it was known whether they are wanted.
        forbidden: how many logs may not be read.
        unfollowed: how many were not followed, since there were too many.
        unreachable: 1 when the pods could not be listed, else 0.
    """

    containers: int
    lines: int
    kept: int
    lost: int
    forbidden: int
    unfollowed: int
    unreachable: int


class LogFollower(RecordingProcess[FollowerSummary]):
    """A follower that writes `KEPT_LINES_FILE` into ``record_folder``, whose samples say which lines are kept."""

    recording = Recording("the follower of logs", "flametest.tracing.main", KEPT_LINES_FILE, "paths.json", "paths.log")

    def __init__(self, place: LogPlace, record_folder: Path, slow_ms: float, seconds_max: float = 3600.0) -> None:
        super().__init__(record_folder)
        self._place = place
        self._slow_ms = slow_ms
        self._seconds_max = seconds_max

    @property
    def _seconds_to_finish(self) -> float:
        return PAUSE_SECONDS_MAX + READING_SECONDS

    def _arguments(self) -> Sequence[object]:
        place = self._place
        return (
            *("--kubeconfig", place.kubeconfig, "--context", place.context, "--namespace", place.namespace),
            *("--folder", self._folder, "--slow-ms", self._slow_ms, "--seconds-max", self._seconds_max),
        )

    def _summarize(self, content: dict[str, int]) -> FollowerSummary:
        return FollowerSummary(**content)
