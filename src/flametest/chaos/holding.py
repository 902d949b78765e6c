"""How long a system is observed before a fault and after its recovery: until the questions of its limits are decided.

An experiment cannot know the rate at which it will be run, nor how clear its answers will be. So what its file says is
the least, `flametest.measure.questions` says what is decided, and there is a bound.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from flametest.chaos.inquiry import Inquiry
from flametest.chaos.recorder import Recorder
from flametest.measure.objectives import Objectives
from flametest.measure.questions import SETTLING_SECONDS, Question, Watch
from flametest.measure.sequential import Answer
from flametest.measure.steady import steady_hold_seconds
from flametest.model.events import Noted, Phase, PhaseObserved, Stamp

__all__ = [
    "BASELINE_SECONDS_MAX",
    "HOLD_SECONDS_MAX",
    "Held",
    "HoldPlan",
    "hold",
    "needed_hold",
    "observe_fault",
    "observe_health",
    "plan",
]

logger = logging.getLogger("chaostoolkit")

BASELINE_SECONDS_MAX = 30.0
"""How long a baseline may become by itself; enough for 6.7 requests a second. A file may ask for more."""

HOLD_SECONDS_MAX = 1000.0
"""How long a hold may become by itself; enough for one request a second. A file may ask for more."""

LOOK_SECONDS = 0.5
"""How often it is looked whether a limit is missed while a fault lasts."""

PROLONGED = 4.0
"""How many times as long again a fault may last that is about to miss a limit."""

AFTERMATH_SECONDS = 10.0
"""For how long good requests may still come after a fault that is ended early; a longer recovery may outweigh it."""


def needed_hold(offered_per_second: float, objectives: Objectives) -> float:
    """Return how long a system whose service is good has to be watched until a steady state is told, in seconds.

    It takes `hold_windows` windows that hold 3/(1 − SLO) requests each, and service some time to settle.
    """
    return steady_hold_seconds(offered_per_second, objectives) + SETTLING_SECONDS


def observe_health(recorder: Recorder, least_seconds: float) -> None:
    """Observe a baseline until it is known whether the system is healthy, at least for ``least_seconds``.

    Nothing is asked where no load runs: the hypothesis has judged the system just before, by the same requests.

    Raises:
        FlametestError: the prober died, or the record cannot be written or read.
    """
    inquiry, begun = Inquiry(recorder), time.monotonic()
    recorder.wait(least_seconds)
    if not inquiry.is_loaded:
        return
    bound = max(least_seconds, BASELINE_SECONDS_MAX)
    decided = inquiry.until_decided(lambda _: inquiry.of_baseline(bound), begun, bound, recorder.wait)
    assert decided is not None
    questions, seconds = decided
    _note(recorder, Phase.BASELINE, seconds, bound, questions)


def observe_fault(recorder: Recorder, seconds: float, *, until_missed: bool = False) -> tuple[str, ...]:
    """Let a fault last for ``seconds`` since it took effect; return the limits that ended it early.

    The requests by which it was proved are sent while it lasts, so their time counts: how long a fault lasts must not
    depend on how quickly this machine can prove it.

    Args:
        recorder: records the experiment.
        seconds: for so long.
        until_missed: until a limit is missed whatever comes after it. While more requests are bad than a limit allows,
            the fault then lasts up to `PROLONGED` times as long again: what came before, such as the injection of
            several faults one after the other, would else outweigh what it does.

    Raises:
        FlametestError: the prober died, or the record or the limits cannot be read.
    """
    begun = time.monotonic() - recorder.take_lasted_seconds()
    if until_missed:
        return _observe_until_missed(recorder, seconds, begun)
    recorder.wait(max(0.0, begun + seconds - time.monotonic()))
    return ()


def _observe_until_missed(recorder: Recorder, seconds: float, begun: float) -> tuple[str, ...]:
    inquiry = Inquiry(recorder)
    while True:
        left = begun + seconds - time.monotonic()
        if missed := inquiry.missed_already(max(left, 0) + AFTERMATH_SECONDS):
            logger.info(f"missed whatever comes after it, so that the fault need not last: {', '.join(missed)}")
            return missed
        if left <= 0 and (left <= -PROLONGED * seconds or not inquiry.being_missed(seconds)):
            return ()
        recorder.wait(min(left, LOOK_SECONDS) if left > 0 else LOOK_SECONDS)


@dataclass(frozen=True, slots=True)
class HoldPlan:
    """For how long a system that has recovered is watched.

    Attributes:
        inquiry: what is asked; None where nothing is, so that it takes as long as it takes at least.
        least_seconds: for so long at least.
        planned_seconds: so long where nothing is decided before.
        bound_seconds: so long where a steady state is late.
    """

    inquiry: Inquiry | None
    least_seconds: float
    planned_seconds: float
    bound_seconds: float


@dataclass(frozen=True, slots=True)
class Held:
    """What came of a hold: whether the system relapsed, whether it was watched for long enough, and how long."""

    relapsed: bool
    whole: bool
    seconds: float


def plan(recorder: Recorder, least_seconds: float, *, is_prolonged: bool = True) -> HoldPlan:
    """Return how long the system of the running experiment is to be watched after its recovery.

    Args:
        recorder: records the experiment.
        least_seconds: for so long at least.
        is_prolonged: for longer where its limits ask for it.

    Raises:
        FlametestError: the limits or the record cannot be read, or written.
    """
    inquiry = Inquiry(recorder)
    if not is_prolonged:
        return HoldPlan(None, least_seconds, least_seconds, least_seconds)
    needed = inquiry.planned_hold_seconds()
    if needed > HOLD_SECONDS_MAX:
        _warn(recorder, needed, max(least_seconds, HOLD_SECONDS_MAX))
    planned = max(least_seconds, min(needed, HOLD_SECONDS_MAX))
    late = min(inquiry.late_seconds() + planned, HOLD_SECONDS_MAX) if inquiry.is_steady_judged else 0.0
    return HoldPlan(inquiry if needed else None, least_seconds, planned, max(planned, late))


def hold(recorder: Recorder, planned: HoldPlan, left_seconds: float, *, through_relapses: bool = False) -> Held:
    """Watch a system that has just recovered until its questions are decided, or it relapses.

    Args:
        recorder: records the experiment.
        planned: for how long.
        left_seconds: how long it may take at most.
        through_relapses: watch on where it relapses.

    Raises:
        FlametestError: the prober died, or the record cannot be written or read.
    """
    wait = recorder.wait if through_relapses else recorder.wait_relapsed
    begun_ns, begun = time.monotonic_ns(), time.monotonic()
    least, inquiry = planned.least_seconds, planned.inquiry
    if wait(min(least, left_seconds)):
        return Held(True, False, time.monotonic() - begun)
    if inquiry is None or left_seconds <= least:
        return Held(False, left_seconds >= least, time.monotonic() - begun)
    bound = min(left_seconds, planned.bound_seconds)

    def ask(seconds: float) -> Sequence[Question]:
        return inquiry.since_recovery(Watch(begun_ns, seconds, planned.planned_seconds))

    decided = inquiry.until_decided(ask, begun, bound, wait)
    if decided is None:
        return Held(True, False, time.monotonic() - begun)
    questions, seconds = decided
    _note(recorder, Phase.RECOVERY, seconds, bound, questions)
    return Held(False, not any(one.is_open(seconds) for one in questions) or bound == planned.bound_seconds, seconds)


def _note(recorder: Recorder, phase: Phase, seconds: float, bound: float, questions: Sequence[Question]) -> None:
    """Note how long it was, and which questions were decided."""
    undecided = tuple(one.name for one in questions if one.answer is Answer.UNDECIDED)
    decided = tuple(one.name for one in questions if one.name not in undecided)
    if undecided:
        logger.info(f"undecided after {seconds:.1f} s of the {phase}: {', '.join(undecided)}")
    at = Stamp(time.monotonic_ns(), time.time())
    recorder.note(PhaseObserved(at, recorder.scenario.name, phase, seconds, bound, decided, undecided))


def _warn(recorder: Recorder, needed_seconds: float, bound_seconds: float) -> None:
    told = (
        f"at this rate of requests it takes {needed_seconds:.0f} s to establish a steady state, and the system is "
        f"watched for {bound_seconds:g} s at most after its recovery: offer more requests"
    )
    logger.warning(told)
    recorder.note(Noted(Stamp(time.monotonic_ns(), time.time()), recorder.scenario.name, told))
