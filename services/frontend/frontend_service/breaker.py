"""The circuit breaker: stops asking a service that keeps failing, and finds out when it is back.

Closed, it lets every call through and counts failures in a row. At the limit it opens: calls are turned away at once,
so that users are told in a millisecond and the service is left in peace. After a pause it is half-open: one call at a
time is let through as a trial; its success closes the breaker, its failure opens it again.

Failures in a row, not their share: a service that fails three requests in ten is still worth asking (and a retry
fixes most of it), while ten failures in a row happen to it once in 170 000 calls. The service that is really gone is
found out by the first ten calls, whatever was before.

Pure decisions; the clock is passed in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["CircuitBreaker", "CircuitState", "Ticket"]


class CircuitState(StrEnum):
    """Where the breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Permission for one call, to be given back with its outcome."""

    period: int


class CircuitBreaker:
    """One per service that is called; used from one event loop."""

    def __init__(self, failures_max: int, pause_seconds: float, clock: Callable[[], float]) -> None:
        self._failures_max = failures_max
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._state = CircuitState.CLOSED
        self._failures = 0
        self._opened_at = 0.0
        self._trial_under_way = False
        # Counts changes of state: a call that began before the last change says nothing about the present.
        self._period = 0

    @property
    def state(self) -> CircuitState:
        """Return the state now; an open breaker whose pause is over is half-open."""
        if self._state is CircuitState.OPEN and self._clock() >= self._opened_at + self._pause_seconds:
            self._change(CircuitState.HALF_OPEN)
        return self._state

    def enter(self) -> Ticket | None:
        """Return permission for one call, or None: do not call now."""
        state = self.state
        if state is CircuitState.OPEN or (state is CircuitState.HALF_OPEN and self._trial_under_way):
            return None
        self._trial_under_way = state is CircuitState.HALF_OPEN
        return Ticket(self._period)

    def leave(self, ticket: Ticket, succeeded: bool | None) -> None:
        """Take a call's outcome; None when it has none, because its caller went away."""
        if ticket.period != self._period:
            return
        self._trial_under_way = False
        if succeeded:
            self._failures = 0
            if self._state is CircuitState.HALF_OPEN:
                self._change(CircuitState.CLOSED)
        elif succeeded is False:
            self._failures += 1
            if self._state is CircuitState.HALF_OPEN or self._failures >= self._failures_max:
                self._opened_at = self._clock()
                self._change(CircuitState.OPEN)

    def _change(self, state: CircuitState) -> None:
        self._state = state
        self._failures = 0
        self._trial_under_way = False
        self._period += 1
