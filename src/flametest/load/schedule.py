"""The open-loop schedule: when the next request is due, and which ones a stalled prober has missed. Pure."""

from dataclasses import dataclass

__all__ = ["Schedule", "Slot"]


@dataclass(frozen=True, slots=True)
class Slot:
    """A start of the schedule.

    Attributes:
        intended_ns: when it was due.
        dropped: how many later ones were due by now too, and are left out: a burst would measure itself.
    """

    intended_ns: int
    dropped: int


class Schedule:
    """Starts at ``start_ns`` and every ``interval_ns`` after it; never drifts, whatever its user does between."""

    def __init__(self, start_ns: int, interval_ns: int) -> None:
        self._next_ns = start_ns
        self._interval_ns = interval_ns

    def seconds_to_next(self, now_ns: int) -> float:
        """Return how long to wait for the next start; 0 when it is due."""
        return max(0, self._next_ns - now_ns) / 1e9

    def take(self, now_ns: int) -> Slot:
        """Return the next start, which is due at ``now_ns`` or soon.

        After a stall it is the oldest one missed, sent late, so that the samples themselves show the lag.
        """
        intended_ns = self._next_ns
        dropped = max(0, (now_ns - intended_ns) // self._interval_ns)
        self._next_ns = intended_ns + (dropped + 1) * self._interval_ns
        return Slot(intended_ns, dropped)
