"""What a run notes in the history of the load generator: how it began, what went wrong in it, and how it ended."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from flametest.load import LoadOptions
from flametest.load.generator import GeneratorReport
from flametest.model.events import LoadEnded, LoadStarted, LoadTroubled, Stamp
from flametest.run.folder import append_event, stamp

__all__ = ["Told", "load_started", "note_generators"]


@dataclass(frozen=True, slots=True)
class Told:
    """What one generator said of itself.

    Attributes:
        report: what it said, on its own clock.
        pod: where it runs; empty for this machine.
        offset_ns: what has to be added to its stamps to have them on this machine's clock.
    """

    report: GeneratorReport
    pod: str = ""
    offset_ns: int = 0


def load_started(name: str, load: LoadOptions, users: int = 0) -> LoadStarted:
    """Return the event of a load that has begun; ``users`` is how many came, where a shape decides that."""
    is_reached = load.rate_per_user is None
    return LoadStarted(stamp(), name, users or load.users, load.offered_per_second, is_reached)


def note_generators(history: Path, ended: LoadEnded, told: Iterable[Told]) -> None:
    """Note what went wrong in each generator, and ``ended``, or that the load test had ended it before.

    Args:
        history: the scenario's history.
        ended: how and when the run found the load at its end.
        told: what each generator said of itself.
    """
    reports = list(told)
    for one in reports:
        for trouble in one.report.troubles:
            where = ": ".join(part for part in (one.pod, trouble.where) if part)
            at = _stamp_of(trouble.at_ns + one.offset_ns)
            append_event(
                history, LoadTroubled(at, ended.scenario, trouble.trouble, where, trouble.count, trouble.cause)
            )
    ends = [(one.report.ended_ns + one.offset_ns, one.report.ended_by) for one in reports if one.report.ended_ns]
    if ends:
        at_ns, ended_by = min(ends)
        if at_ns < ended.at.monotonic_ns:
            ended = replace(ended, at=_stamp_of(at_ns), reason=ended_by, by_itself=True)
    append_event(history, ended)


def _stamp_of(monotonic_ns: int) -> Stamp:
    """Return a moment of this machine's monotonic clock on both clocks."""
    now = stamp()
    return Stamp(monotonic_ns, now.wall_s - (now.monotonic_ns - monotonic_ns) / 1e9)
