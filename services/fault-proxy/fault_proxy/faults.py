"""What happens to each request: wait, break off, fail, or go on. Decisions only; the clock and the seed are passed in.

The switch is off until somebody turns it on, and goes off by itself when its time is over: an experimenter that dies
leaves a proxy that passes everything on.
"""

import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Counts", "Decision", "Fate", "FaultState", "FaultSwitch", "Faults"]


class Faults(BaseModel):
    """What the switch does to each request.

    Attributes:
        error_rate: share of requests that are answered by an error, from 0 to 1.
        error_statuses: the statuses of these answers, drawn evenly.
        abort_rate: share of requests whose connection is reset, from 0 to 1; together with the errors at most 1.
        latency_ms: delay added to each request, before anything else.
        latency_jitter_ms: a further delay, drawn evenly from 0 to this.
        expires_seconds: after so long the switch is off again.
        seed: makes the draws repeatable; drawn from the system when left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    error_rate: float = Field(default=0.0, ge=0, le=1)
    error_statuses: tuple[Annotated[int, Field(ge=500, le=599)], ...] = Field(default=(500,), min_length=1)
    abort_rate: float = Field(default=0.0, ge=0, le=1)
    latency_ms: float = Field(default=0.0, ge=0, le=30_000)
    latency_jitter_ms: float = Field(default=0.0, ge=0, le=30_000)
    expires_seconds: float = Field(default=300.0, gt=0, le=3600)
    seed: int | None = None

    @model_validator(mode="after")
    def _shares_of_one_whole(self) -> "Faults":
        if self.error_rate + self.abort_rate > 1:
            raise ValueError("error_rate and abort_rate: expected at most 1 together")
        return self


class Fate(StrEnum):
    """What becomes of a request."""

    PASSED = "passed"
    FAILED = "failed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to one request: wait so long, then this; ``status`` is that of a failure."""

    delay_seconds: float
    fate: Fate
    status: int = 0


@dataclass(slots=True)
class Counts:
    """What happened since the switch was last turned on.

    Attributes:
        requests: all that came.
        delayed, failed, aborted: those that the switch chose.
        unreachable: those that were to be passed on, but found no service.
    """

    requests: int = 0
    delayed: int = 0
    failed: int = 0
    aborted: int = 0
    unreachable: int = 0


class FaultState(BaseModel):
    """What the admin port answers: whether the switch is on, what it does, for how long still, and what it has done."""

    active: bool
    faults: Faults | None
    expires_in_seconds: float
    counts: dict[str, int]


class FaultSwitch:
    """Decides what happens to each request. One per process; used from its event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts = Counts()
        self._clock = clock
        self._faults: Faults | None = None
        self._expires_at = 0.0
        self._random = random.Random()  # noqa: S311  # faults, not secrets

    def turn_on(self, faults: Faults) -> FaultState:
        """Replace whatever was on by ``faults``, count from zero, and return the new state."""
        self._faults = faults
        self._expires_at = self._clock() + faults.expires_seconds
        self._random = random.Random(faults.seed)  # noqa: S311
        self.counts = Counts()
        return self.state()

    def turn_off(self) -> FaultState:
        """Pass every request on again, and return the new state, which still has the counts."""
        self._faults = None
        return self.state()

    def decide(self) -> Decision:
        """Return what happens to the next request."""
        self.counts.requests += 1
        faults = self._current()
        if faults is None:
            return Decision(0.0, Fate.PASSED)
        delay_ms = faults.latency_ms + self._random.uniform(0, faults.latency_jitter_ms)
        self.counts.delayed += delay_ms > 0
        # One draw for both, so that each share is one of all requests.
        drawn = self._random.random()
        if drawn < faults.abort_rate:
            self.counts.aborted += 1
            return Decision(delay_ms / 1000, Fate.ABORTED)
        if drawn < faults.abort_rate + faults.error_rate:
            self.counts.failed += 1
            return Decision(delay_ms / 1000, Fate.FAILED, self._random.choice(faults.error_statuses))
        return Decision(delay_ms / 1000, Fate.PASSED)

    def state(self) -> FaultState:
        """Return what is on now."""
        faults = self._current()
        return FaultState(
            active=faults is not None,
            faults=faults,
            expires_in_seconds=max(0.0, self._expires_at - self._clock()) if faults else 0.0,
            counts=asdict(self.counts),
        )

    def _current(self) -> Faults | None:
        if self._faults is not None and self._clock() >= self._expires_at:
            self._faults = None
        return self._faults
