"""How long a system is watched after it has recovered: as long as the question needs that is asked of it.

Steady state is told from windows of requests, and few requests a second need long windows. An experiment cannot know
the rate at which it will be run, so what its file says is the least, and the rate decides.
"""

import logging
import time
from dataclasses import dataclass

from flametest.chaos.limits import limits_steady_state
from flametest.chaos.record import read_history
from flametest.chaos.recorder import Recorder
from flametest.measure.objectives import Objectives
from flametest.measure.steady import steady_hold_seconds
from flametest.model.events import LoadStarted, Noted, Stamp

__all__ = ["HOLD_SECONDS_MAX", "SETTLING_SECONDS", "Hold", "hold_for", "needed_hold"]

logger = logging.getLogger("chaostoolkit")

HOLD_SECONDS_MAX = 300.0
"""How long a hold may become by itself; enough for 3.2 requests a second. A file may ask for more."""

SETTLING_SECONDS = 3.0
"""How much later than its pods service may be good again, and still be told to be steady within the hold."""


@dataclass(frozen=True, slots=True)
class Hold:
    """How long a system is watched after its recovery.

    Attributes:
        seconds: so long.
        needed_seconds: how long it takes to tell a steady state; more than ``seconds`` when that would be too long.
    """

    seconds: float
    needed_seconds: float

    @property
    def suffices(self) -> bool:
        """Return whether a steady state can be told by it."""
        return self.seconds >= self.needed_seconds


def needed_hold(asked_seconds: float, offered_per_second: float, objectives: Objectives) -> Hold:
    """Return the hold for a rate of requests: at least what was asked for, and at most `HOLD_SECONDS_MAX` beside that.

    Steady state needs `hold_windows` windows that hold 3/(1 − SLO) requests each, and service some time to settle.
    """
    needed = steady_hold_seconds(offered_per_second, objectives) + SETTLING_SECONDS
    return Hold(max(asked_seconds, min(needed, HOLD_SECONDS_MAX)), needed)


def hold_for(recorder: Recorder, asked_seconds: float) -> Hold:
    """Return the hold for the running experiment; what was asked for, where nobody judges its steady state.

    Under `flametest run` the steady state is always judged. Alone it is when the experiment or its limits ask for it,
    by the prober's own requests.
    """
    started = [one for one in read_history(recorder.folder).of(LoadStarted) if one.offered_per_second > 0]
    if not started and not limits_steady_state(recorder):
        return Hold(asked_seconds, 0.0)
    objectives = Objectives()
    rate = started[-1].offered_per_second if started else 1 / objectives.prober_interval_seconds
    hold = needed_hold(asked_seconds, rate, objectives)
    if not hold.suffices:
        told = (
            f"{rate:g} requests a second take {hold.needed_seconds:.0f} s to tell a steady state, and the system is "
            f"watched for {hold.seconds:g} s at most after its recovery: offer more requests"
        )
        logger.warning(told)
        recorder.note(Noted(Stamp(time.monotonic_ns(), time.time()), recorder.scenario.name, told))
    return hold
