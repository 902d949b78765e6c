"""Another machine's monotonic clock, in terms of this one's. Pure.

Samples of a load worker bear the clock of the worker's node. Each time its samples are fetched, the worker says what
its clock shows; it was read between the moment of asking and that of the answer, so the midpoint of both tells how far
the clocks are apart, and half of their distance by how much that may be wrong (Cristian, "Probabilistic clock
synchronization", 1989). The quickest exchange tells most. Since clocks drift, an old exchange is trusted less with
time, by the frequency tolerance of RFC 5905, section 7.1.

Programs on one kernel share its clock: then nothing is estimated, and nothing is wrong.
"""

from dataclasses import dataclass

__all__ = ["DRIFT_RATIO_MAX", "ClockEstimate", "ClockOffset"]

DRIFT_RATIO_MAX = 15e-6
"""PHI of RFC 5905: seconds by which two clocks part in a second."""


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """What is added to a stamp of the other clock to have it on this one, and by how much it may be wrong, in ns."""

    offset_ns: int
    uncertainty_ns: int


class ClockEstimate:
    """The offset of one other clock, from as many exchanges as there are.

    Args:
        shared: whether both are the same clock.
    """

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._best = ClockOffset(0, 0)
        self._best_at_ns: int | None = None

    def take(self, asked_ns: int, shown_ns: int, answered_ns: int) -> None:
        """Take note of an exchange: when this side asked, what the other clock showed, when the answer was here."""
        if self._shared:
            return
        found = ClockOffset((asked_ns + answered_ns) // 2 - shown_ns, max(1, (answered_ns - asked_ns + 1) // 2))
        if self._best_at_ns is None or found.uncertainty_ns <= self.at(answered_ns).uncertainty_ns:
            self._best, self._best_at_ns = found, answered_ns

    def at(self, now_ns: int) -> ClockOffset:
        """Return the offset as it is known at ``now_ns`` of this clock.

        Raises:
            ValueError: there was no exchange yet, and the clocks are not the same.
        """
        if self._shared:
            return ClockOffset(0, 0)
        if self._best_at_ns is None:
            raise ValueError("no exchange has measured the clock yet")
        aged_ns = round(max(0, now_ns - self._best_at_ns) * DRIFT_RATIO_MAX)
        return ClockOffset(self._best.offset_ns, self._best.uncertainty_ns + aged_ns)
