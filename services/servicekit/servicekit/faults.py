"""The fault switch: random 500s and added latency inside the service, for experiments on the application itself.

It lives on a port of its own that no Service names, exists only when enabled, is off until somebody posts to it, and
goes off by itself when its time is over: an experimenter that dies leaves no fault behind.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["FaultDecision", "FaultSwitch", "Faults", "make_admin_app"]


class Faults(BaseModel):
    """What the switch does to each request.

    Attributes:
        error_rate: share of requests that are answered by a 500, from 0 to 1.
        latency_ms: delay added to each request.
        latency_jitter_ms: a further delay, drawn evenly from 0 to this.
        expires_seconds: after so long the switch is off again.
        seed: makes the draws repeatable; drawn from the system when left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    error_rate: float = Field(default=0.0, ge=0, le=1)
    latency_ms: float = Field(default=0.0, ge=0, le=30_000)
    latency_jitter_ms: float = Field(default=0.0, ge=0, le=30_000)
    expires_seconds: float = Field(default=300.0, gt=0, le=3600)
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class FaultDecision:
    """What happens to one request: wait so long, then fail or go on."""

    delay_seconds: float
    fails: bool


class FaultState(BaseModel):
    """What the admin port answers: whether the switch is on, what it does, and for how long still."""

    active: bool
    faults: Faults | None
    expires_in_seconds: float
    requests_delayed: int
    requests_failed: int


_NOTHING = FaultDecision(delay_seconds=0.0, fails=False)


class FaultSwitch:
    """Decides what happens to each request. One per process; used from its event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._faults: Faults | None = None
        self._expires_at = 0.0
        self._random = random.Random()  # noqa: S311  # faults, not secrets
        self._delayed = 0
        self._failed = 0

    def turn_on(self, faults: Faults) -> FaultState:
        """Replace whatever was on by ``faults``, count from zero, and return the new state."""
        self._faults = faults
        self._expires_at = self._clock() + faults.expires_seconds
        self._random = random.Random(faults.seed)  # noqa: S311
        self._delayed = self._failed = 0
        return self.state()

    def turn_off(self) -> FaultState:
        """Let every request through again, and return the new state, which still has the counts."""
        self._faults = None
        return self.state()

    def decide(self) -> FaultDecision:
        """Return what happens to the next request."""
        faults = self._current()
        if faults is None:
            return _NOTHING
        delay_ms = faults.latency_ms + self._random.uniform(0, faults.latency_jitter_ms)
        decision = FaultDecision(delay_seconds=delay_ms / 1000, fails=self._random.random() < faults.error_rate)
        self._delayed += delay_ms > 0
        self._failed += decision.fails
        return decision

    def state(self) -> FaultState:
        """Return what is on now."""
        faults = self._current()
        return FaultState(
            active=faults is not None,
            faults=faults,
            expires_in_seconds=max(0.0, self._expires_at - self._clock()) if faults else 0.0,
            requests_delayed=self._delayed,
            requests_failed=self._failed,
        )

    def _current(self) -> Faults | None:
        if self._faults is not None and self._clock() >= self._expires_at:
            self._faults = None
        return self._faults


def make_admin_app(switch: FaultSwitch) -> FastAPI:
    """Return the application of the admin port: GET, POST and DELETE /faults, each answering the state."""
    app = FastAPI(title="Fault switch", openapi_url=None)

    @app.get("/faults")
    async def read() -> FaultState:
        return switch.state()

    @app.post("/faults")
    async def turn_on(faults: Faults) -> FaultState:
        return switch.turn_on(faults)

    @app.delete("/faults")
    async def turn_off() -> FaultState:
        return switch.turn_off()

    return app
