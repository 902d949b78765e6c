"""The questions that an experiment asks while it watches a system, and whether they are decided. Pure.

The limits judge the figures of the whole record, as they always do; a question is whether watching on could still
change that. It is decided when a sequential test of the requests since recovery says what the figure says too, or when
no further request could make a difference. So a watch that ends early has the verdict of one to the planned end, but
for the error of the test; see `flametest.measure.sequential`.

Figures that count single events (an outage, requests answered with status 500, a limit of 100 %) ask for no number of
requests: they are whatever the watch for the other questions finds.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flametest.measure.distribution import CONNECTIONS, compared_shares
from flametest.measure.figures import Figure, Figures
from flametest.measure.objectives import Objectives
from flametest.measure.sequential import Answer, ShareTest, spread_answer
from flametest.measure.steady import steady_hold_seconds, steady_state
from flametest.model.events import FaultHealed, Phase, RequestsCounted
from flametest.model.history import History
from flametest.model.samples import Lane
from flametest.model.verdict import Limit

__all__ = [
    "HEALTHY_BEFORE",
    "SETTLING_SECONDS",
    "Question",
    "Seen",
    "Watch",
    "baseline_questions",
    "being_missed",
    "missed_already",
    "planned_hold_seconds",
    "questions_after",
]

HEALTHY_BEFORE = "healthy_before"

SETTLING_SECONDS = 3.0
"""How much later than its pods service may be good again, and still be told to be steady within a planned hold."""

_BURST = 2.0  # how many requests in a row a failure of a recovered system takes with it, at least
_SLOW_SHARE = 0.05  # of the requests, which a 95th percentile leaves out
_POD_REQUESTS = 200  # after as many to each pod, an even spread seems a quarter uneven in one of 3,000 cases at most
_LEVEL_SECONDS = 8.0  # what a rate that is only reached needs, to be told well enough to be compared with
_FRESH = CONNECTIONS[Lane.FRESH]
_SILENCE_SECONDS, _SILENCE_REQUESTS = 5.0, 5  # after so long, and so many requests that were due, a load has ended
_COUNT_SLACK = 1e-9  # as in `flametest.measure.steady`
_ONLY_GROWING = frozenset({"outage_seconds", "unhandled_errors"})


@dataclass(frozen=True, slots=True)
class Question:
    """One question about a running scenario.

    Attributes:
        name: the criterion that it decides, or `HEALTHY_BEFORE`.
        answer: what is known.
        bound_seconds: for how long the watch may last for it.
    """

    name: str
    answer: Answer
    bound_seconds: float

    def is_open(self, watched_seconds: float) -> bool:
        """Return whether it is undecided, and may be watched for longer."""
        return self.answer is Answer.UNDECIDED and watched_seconds < self.bound_seconds


@dataclass(frozen=True, slots=True)
class Watch:
    """The part of a record since recovery.

    Attributes:
        since_ns: when the hold began.
        watched_seconds: how long it has lasted.
        planned_seconds: how long it is to last where nothing is decided.
    """

    since_ns: int
    watched_seconds: float
    planned_seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a system while it is watched after its recovery.

    Attributes:
        history: the scenario's events so far.
        measured: its figures so far.
        watch: since when it is watched, and for how long.
        objectives: the service level.
    """

    history: History
    measured: Figures
    watch: Watch
    objectives: Objectives

    def to_come(self, planned_seconds: float) -> int:
        """Return how many requests are still to come until the watch has lasted for so long."""
        left = max(0.0, planned_seconds - self.watch.watched_seconds)
        return round(left * self.measured.demand.offered_per_second)


def baseline_questions(
    history: History, measured: Figures, objectives: Objectives, bound_seconds: float
) -> tuple[Question, ...]:
    """Return what has to be known before a fault: that the system is healthy, and what its figures are compared with.

    Failures count as independent here: what a short baseline overlooks shows again in the steady state, while a burst
    costs a whole run. A load that is asked for no rate is its own measure, which takes some seconds; and pods that
    count their requests have to be read twice.
    """
    since_ns = measured.axis.start_ns
    samples = measured.demand.samples
    health = _healthy_test(objectives).answer(samples.where(samples.sent_ns >= since_ns).bad)
    asked = [Question(HEALTHY_BEFORE, health, bound_seconds)]
    if measured.demand.is_reached:
        is_long_enough = measured.demand.reached_seconds >= _LEVEL_SECONDS
        asked.append(Question("rate_reached", _known(is_long_enough), bound_seconds))
    readings = [one.at.monotonic_ns for one in history.of(RequestsCounted)]
    if readings:
        twice = sum(at >= since_ns for at in readings) >= 2
        asked.append(Question("requests_counted", _known(twice), bound_seconds))
    return tuple(asked)


def planned_hold_seconds(
    measured: Figures, limits: Iterable[Limit], objectives: Objectives, *, is_steady_judged: bool
) -> float:
    """Return how long a recovered system has to be watched for its questions to be decided, if nothing fails.

    Where so much is asked for that a share takes longer than a steady state, its figure counts what is seen by then.
    """
    rate = measured.demand.offered_per_second
    steady = steady_hold_seconds(rate, objectives) + SETTLING_SECONDS
    seconds = steady if is_steady_judged else 0.0
    for limit in limits:
        if limit.criterion == "steady_seconds":
            seconds = max(seconds, steady)
        elif (test := _share_test(limit)) is not None:
            seconds = max(seconds, min(steady, test.good_requests / rate + SETTLING_SECONDS))
        elif limit.criterion == "max_over_mean":
            pods = max((len(one.shares) for one in measured.distribution if one.connections == _FRESH), default=0)
            seconds = max(seconds, _POD_REQUESTS * pods * objectives.prober_interval_seconds if pods > 1 else 0.0)
    return seconds


def questions_after(seen: Seen, limits: Iterable[Limit], *, is_steady_judged: bool) -> tuple[Question, ...]:
    """Return what the limits ask of a system that has recovered.

    Args:
        seen: what is known of it.
        limits: its limits.
        is_steady_judged: whether a steady state is asked for even where no limit is set for it.
    """
    by_name = {limit.criterion: limit for limit in limits}
    planned = seen.watch.planned_seconds
    spread = by_name.pop("max_over_mean", None)
    for_shares = planned
    if spread is not None:  # it may take longer than a share is watched for, and must not make that wait
        others = by_name.values()
        needed = planned_hold_seconds(seen.measured, others, seen.objectives, is_steady_judged=is_steady_judged)
        for_shares = min(planned, needed)
    steady = by_name.pop("steady_seconds", None)
    asked = [_steady(seen, steady)] if steady is not None or is_steady_judged else []
    for name, limit in by_name.items():
        if (test := _share_test(limit)) is not None:
            bound = min(for_shares, _share_seconds(seen, test))
            asked.append(Question(name, _share(test, *_judged(seen, limit), seen.to_come(bound)), bound))
    if spread is not None:
        asked.append(Question("max_over_mean", _spread(seen, spread), planned))
    return tuple(asked)


def missed_already(measured: Figures, limits: Iterable[Limit], left_seconds: float) -> tuple[str, ...]:
    """Return the limits that are missed, during a fault, even if every request from now on is answered well.

    Args:
        measured: the figures so far.
        limits: the limits.
        left_seconds: how long requests will still be counted at most.
    """
    if not len(measured.demand.samples):
        return ()
    to_come = round(left_seconds * measured.demand.offered_per_second)
    return tuple(one.criterion for one in limits if _is_missed_already(measured, one, to_come))


def being_missed(measured: Figures, limits: Iterable[Limit], recent_seconds: float) -> tuple[str, ...]:
    """Return the limits on shares of requests that would be missed if all went on as in the last seconds.

    Args:
        measured: the figures so far.
        limits: the limits.
        recent_seconds: how long ago the first request was sent that is looked at.
    """
    return tuple(one.criterion for one in limits if _is_being_missed(measured, one, recent_seconds))


def _is_being_missed(measured: Figures, limit: Limit, recent_seconds: float) -> bool:
    test = _share_test(limit)
    if test is None or not len(measured.demand.samples):
        return False
    bad, sent_ns = _bad(measured, limit)
    recent = bad[sent_ns >= sent_ns.max(initial=0) - recent_seconds * 1e9]
    return int(np.count_nonzero(recent)) > test.allowed * len(recent) + _COUNT_SLACK


def _is_missed_already(measured: Figures, limit: Limit, to_come: int) -> bool:
    if (test := _share_test(limit)) is not None:
        bad = _bad(measured, limit)[0]
        return int(np.count_nonzero(bad)) > test.allowed * (len(bad) + to_come) + _COUNT_SLACK
    figure = measured.by_name.get(limit.criterion)
    if figure is None:
        return False
    if limit.criterion in _ONLY_GROWING:
        return figure.value is not None and not limit.holds(figure.value)
    return _is_beyond(figure, limit)


def _healthy_test(objectives: Objectives) -> ShareTest:
    return ShareTest(1 - objectives.slo)


def _known(is_known: bool) -> Answer:
    return Answer.HOLDS if is_known else Answer.UNDECIDED


def _share_test(limit: Limit) -> ShareTest | None:
    """Return the test of a limit that is a share of requests; None for another one, or one that allows none or all."""
    allowed = 1 - limit.value if limit.criterion == "availability" else _SLOW_SHARE
    if limit.criterion not in ("availability", "p95_ms") or not 0 < allowed < 1:
        return None
    return ShareTest(allowed, _BURST)


def _share_seconds(seen: Seen, test: ShareTest) -> float:
    """Return for how long a system may be watched because of a share alone.

    One that stays undecided even if nothing fails is not waited for longer than a steady state takes: the figure is
    then what was counted, and a few seconds more would not decide it either.
    """
    rate = seen.measured.demand.offered_per_second
    steady_seconds = steady_hold_seconds(rate, seen.objectives)
    return math.inf if test.good_requests / rate <= steady_seconds + SETTLING_SECONDS else steady_seconds


def _judged(seen: Seen, limit: Limit) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which of the requests that a limit judges are bad: since the injection, and since recovery."""
    bad, sent_ns = _bad(seen.measured, limit)
    return bad, bad[sent_ns >= seen.watch.since_ns]


def _bad(measured: Figures, limit: Limit) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return which of the requests since the injection are bad to a limit, and when they were sent."""
    samples = measured.demand.samples
    affected = samples.where(samples.done_ns >= measured.axis.sent_ns)
    if limit.criterion == "availability":
        return affected.bad, affected.sent_ns
    answered = affected.where(affected.good)
    return np.asarray(answered.latency_ms > limit.value), answered.sent_ns


def _share(test: ShareTest, so_far: NDArray[np.bool_], since: NDArray[np.bool_], to_come: int) -> Answer:
    """Return what test and figure say alike, or what the figure says whatever comes until the planned end."""
    bad, found = int(np.count_nonzero(so_far)), test.answer(since)
    if not len(so_far):
        return Answer.UNDECIDED
    if bad <= test.allowed * len(so_far) + _COUNT_SLACK:
        return Answer.HOLDS if found is Answer.HOLDS else Answer.UNDECIDED
    is_certain = bad > test.allowed * (len(so_far) + to_come) + _COUNT_SLACK
    return Answer.MISSED if is_certain or found is Answer.MISSED else Answer.UNDECIDED


def _spread(seen: Seen, limit: Limit) -> Answer:
    """Return whether requests spread evenly over the pods since recovery, where test and figure say so alike."""
    recovered = (one for one in seen.measured.distribution if one.phase is Phase.RECOVERY)
    found = [one for one in recovered if one.connections == _FRESH]
    shares = compared_shares(found[0].shares, seen.objectives) if found else []
    value = seen.measured.by_name[limit.criterion].value
    if value is None or not shares:
        return Answer.UNDECIDED
    ready = sum(share.ready_seconds for share in shares)
    due = [share.ready_seconds / ready for share in shares]
    answer = spread_answer([share.requests for share in shares], due, limit.value)
    return answer if limit.holds(value) is (answer is Answer.HOLDS) else Answer.UNDECIDED


def _steady(seen: Seen, limit: Limit | None) -> Question:
    """Return whether the system has been steady for as long as it takes, from the injection and from the last healing.

    What is known to take longer than its limit is missed. Until then it may be watched for longer than planned: a
    system that relapsed within its limit has a second chance, and is then told to be late instead of in doubt.
    """
    measured, bound = seen.measured, seen.watch.planned_seconds
    figure = measured.by_name["steady_seconds"]
    if limit is not None and _is_offered(seen):
        whole = steady_hold_seconds(measured.demand.offered_per_second, seen.objectives)
        bound = max(bound, limit.value + whole - measured.axis.seconds(seen.watch.since_ns))
    if _is_beyond(figure, limit):
        return Question("steady_seconds", Answer.MISSED, bound)
    return Question("steady_seconds", _known(figure.value is not None and _is_steady_since_healing(seen)), bound)


def _is_offered(seen: Seen) -> bool:
    """Return whether requests still come; where a load has ended, watching for longer shows nothing more."""
    sent_ns, rate = seen.measured.demand.samples.sent_ns, seen.measured.demand.offered_per_second
    now_ns = seen.watch.since_ns + round(seen.watch.watched_seconds * 1e9)
    silence_ns = round(1e9 * max(_SILENCE_SECONDS, _SILENCE_REQUESTS / rate if rate > 0 else 0.0))
    return bool(len(sent_ns)) and now_ns - int(sent_ns.max()) < silence_ns


def _is_beyond(figure: Figure, limit: Limit | None) -> bool:
    return limit is not None and figure.above is not None and not limit.holds(figure.above)


def _is_steady_since_healing(seen: Seen) -> bool:
    healed = seen.history.of(FaultHealed)
    if not healed:
        return True
    return steady_state(seen.measured.demand, seen.objectives, t0_ns=healed[-1].at.monotonic_ns).seconds is not None
