"""What a running experiment still has to find out: decided when the figures cannot change any more, but for 5 %."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flametest.measure.figures import Figures, figures
from flametest.measure.objectives import Objectives
from flametest.measure.questions import (
    HEALTHY_BEFORE,
    Question,
    Seen,
    Watch,
    baseline_questions,
    missed_already,
    planned_hold_seconds,
    questions_after,
)
from flametest.measure.samples import Samples
from flametest.measure.sequential import Answer
from flametest.measure.steady import steady_hold_seconds
from flametest.model.events import FaultHealed, LoadStarted, PodRequests, RequestsCounted
from flametest.model.history import History
from flametest.model.limits import bound_of
from flametest.model.samples import Lane
from flametest.model.verdict import Limit
from tests.measure.conftest import SCENARIO, SECOND_NS, stamp

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

OBJECTIVES = Objectives()
READY_SECONDS = 31.96
HOLD = steady_hold_seconds(40.0, OBJECTIVES)  # of the laboratory's load
PLANNED = HOLD + 3


def limit(criterion: str, value: float) -> Limit:
    return Limit(criterion, bound_of(criterion), value)


def until(history: History, samples: Samples, seconds: float) -> tuple[History, Figures]:
    """Return a record as it was at that time, with its figures."""
    moment_ns = round(seconds * SECOND_NS)
    known = History(event for event in history if event.at.monotonic_ns <= moment_ns)
    return known, figures(known, samples.sent_between(0, moment_ns), "api", OBJECTIVES)


def asked(
    history: History,
    samples: Samples,
    limits: list[Limit],
    seconds: float,
    *,
    judged: bool = False,
    planned: float = PLANNED,
) -> dict[str, Question]:
    """Return the questions at that time of a system that is watched since its pods were back."""
    known, measured = until(history, samples, seconds)
    watch = Watch(round(READY_SECONDS * SECOND_NS), seconds - READY_SECONDS, planned)
    found = questions_after(Seen(known, measured, watch, OBJECTIVES), limits, is_steady_judged=judged)
    return {one.name: one for one in found}


def answer(history: History, samples: Samples, one: Limit, seconds: float) -> Answer:
    return asked(history, samples, [one], seconds)[one.criterion].answer


def bad_at(*spans: tuple[float, float]) -> Callable[[float], bool]:
    return lambda moment: any(begin <= moment < end for begin, end in spans)


def test_a_steady_state_is_decided_as_soon_as_it_is_told(lab: Laboratory) -> None:
    history, samples = lab.deletion(), lab.samples()
    steady = limit("steady_seconds", 15)
    assert answer(history, samples, steady, 30 + HOLD - 0.5) is Answer.UNDECIDED
    assert answer(history, samples, steady, 30 + HOLD + 0.5) is Answer.HOLDS
    assert asked(history, samples, [], 30 + HOLD + 0.5, judged=True)["steady_seconds"].answer is Answer.HOLDS
    assert asked(history, samples, [], 30 + HOLD + 0.5) == {}


def test_a_spread_over_many_pods_does_not_make_a_share_wait(lab: Laboratory) -> None:
    history, samples = lab.deletion(), lab.samples()
    share, spread = limit("availability", 0.99), limit("max_over_mean", 1.25)
    both = asked(history, samples, [share, spread], 40, judged=True, planned=500)
    assert both["availability"].answer is Answer.UNDECIDED
    assert both["availability"].bound_seconds == pytest.approx(PLANNED)
    assert both["max_over_mean"].bound_seconds == 500
    assert asked(history, samples, [share], 40, judged=True, planned=500)["availability"].bound_seconds == 500


def test_a_share_that_takes_longer_than_a_steady_state_is_not_waited_for(lab: Laboratory) -> None:
    """Also where nothing fails: what is asked for is more than the requests of that time can show."""
    history, samples, strict = lab.deletion(), lab.samples(), limit("availability", 0.9999)
    for limits in ([strict], [strict, limit("max_over_mean", 1.25)]):
        found = asked(history, samples, limits, 40, judged=True, planned=500)["availability"]
        assert found.answer is Answer.UNDECIDED
        assert found.bound_seconds == pytest.approx(HOLD)


def test_a_relapse_within_the_limit_is_watched_for_longer_than_planned(lab: Laboratory) -> None:
    history, samples = lab.deletion(), lab.samples(bad_at((40, 41)))
    open_still = asked(history, samples, [limit("steady_seconds", 15)], READY_SECONDS + PLANNED + 0.1)["steady_seconds"]
    assert open_still.is_open(PLANNED + 0.1)
    assert answer(history, samples, limit("steady_seconds", 15), 41 + HOLD + 0.5) is Answer.HOLDS
    unlimited = asked(history, samples, [], READY_SECONDS + PLANNED + 0.1, judged=True)["steady_seconds"]
    assert unlimited.answer is Answer.UNDECIDED
    assert not unlimited.is_open(PLANNED + 0.1)


def test_a_load_that_has_ended_is_watched_no_longer_than_planned(lab: Laboratory) -> None:
    end = READY_SECONDS + PLANNED + 0.1
    history, samples = lab.deletion(), lab.samples(bad_at((40, 41)))
    ended = samples.sent_between(0, round(45 * SECOND_NS))
    steady = limit("steady_seconds", 600)
    assert asked(history, samples, [steady], end)["steady_seconds"].is_open(PLANNED + 0.1)
    assert not asked(history, ended, [steady], end)["steady_seconds"].is_open(PLANNED + 0.1)


def test_what_is_known_to_be_too_late_is_missed(lab: Laboratory) -> None:
    history, samples = lab.deletion(), lab.samples(bad_at((50, 51)))
    assert answer(history, samples, limit("steady_seconds", 15), 49) is Answer.UNDECIDED
    assert answer(history, samples, limit("steady_seconds", 15), 60) is Answer.MISSED
    assert answer(history, samples, limit("steady_seconds", 25), 60) is Answer.UNDECIDED


def test_a_steady_state_counts_from_the_last_healing_too(lab: Laboratory) -> None:
    history = lab.deletion().append(FaultHealed(stamp(40), SCENARIO, "terminate_pods", "healed"))
    steady = limit("steady_seconds", 15)
    assert answer(history, lab.samples(), steady, 40 + HOLD - 0.5) is Answer.UNDECIDED
    assert answer(history, lab.samples(), steady, 40 + HOLD + 0.5) is Answer.HOLDS


def test_an_availability_that_nothing_to_come_can_mend_is_missed_at_once(lab: Laboratory) -> None:
    history, samples = lab.deletion(), lab.samples(bad_at((30, 32)))
    assert answer(history, samples, limit("availability", 0.99), 32.5) is Answer.MISSED
    # Of a third of the requests, those to come may still make a tenth.
    assert answer(history, samples, limit("availability", 0.9), 36) is Answer.UNDECIDED
    assert answer(history, samples, limit("availability", 0.9), 54) is Answer.HOLDS


def missed(history: History, samples: Samples, one: Limit, seconds: float, left: float = 20) -> bool:
    return missed_already(until(history, samples, seconds)[1], [one], left) == (one.criterion,)


def test_a_limit_is_missed_already_when_nothing_to_come_can_mend_it(lab: Laboratory) -> None:
    history, bad = lab.deletion(), lab.samples(bad_at((30, 90)))
    good = lab.samples()
    for one in (limit("availability", 0.9), limit("outage_seconds", 1.5)):
        assert not missed(history, good, one, 45)
        assert not missed(history, bad, one, 31)
        assert missed(history, bad, one, 33, left=2)
    assert not missed(history, bad, limit("availability", 0.9), 31.5, left=100)  # of 1.5 s in 101.5 s
    assert missed(history, good, limit("p95_ms", 2), 35, left=1)
    assert not missed(history, good, limit("p95_ms", 500), 35, left=1)


def test_an_availability_that_is_kept_so_far_holds_when_recovered_service_is_seen_to_be_good(lab: Laboratory) -> None:
    history, samples = lab.deletion(), lab.samples()
    assert answer(history, samples, limit("availability", 0.99), READY_SECONDS + 14) is Answer.UNDECIDED
    assert answer(history, samples, limit("availability", 0.99), READY_SECONDS + 16) is Answer.HOLDS
    failing = lab.samples(lambda moment: moment > 32 and moment % 1 < 0.3)
    assert answer(history, failing, limit("availability", 0.99), READY_SECONDS + 16) is Answer.MISSED


def test_a_percentile_is_decided_by_the_share_of_slow_requests(lab: Laboratory) -> None:
    history = lab.deletion()
    assert answer(history, lab.samples(), limit("p95_ms", 500), READY_SECONDS + 2) is Answer.UNDECIDED
    assert answer(history, lab.samples(), limit("p95_ms", 500), READY_SECONDS + 5) is Answer.HOLDS
    assert answer(history, lab.samples(), limit("p95_ms", 2), READY_SECONDS + 5) is Answer.MISSED


def test_a_spread_is_decided_by_the_requests_over_fresh_connections(lab: Laboratory) -> None:
    history, even, samples = lab.deletion(), limit("max_over_mean", 1.25), lab.samples()
    assert answer(history, samples, even, READY_SECONDS + 3) is Answer.UNDECIDED
    assert answer(history, samples, even, READY_SECONDS + 8) is Answer.HOLDS
    rows = [samples.row(index) for index in range(len(samples))]
    only = Samples.of(row._replace(served_by="api-b") for row in rows)
    assert answer(history, only, even, READY_SECONDS + 8) is Answer.MISSED


@pytest.mark.parametrize("one", [limit("outage_seconds", 1), limit("unhandled_errors", 0), limit("availability", 1)])
def test_single_events_ask_for_no_number_of_requests(lab: Laboratory, one: Limit) -> None:
    assert asked(lab.deletion(), lab.samples(), [one], 40) == {}


def test_a_hold_is_planned_by_what_is_asked(lab: Laboratory) -> None:
    _, measured = until(lab.deletion(), lab.samples(), 30)

    def planned(*limits: Limit, judged: bool = False) -> float:
        return planned_hold_seconds(measured, limits, OBJECTIVES, is_steady_judged=judged)

    assert planned() == 0
    assert planned(limit("outage_seconds", 1)) == 0
    assert planned(judged=True) == planned(limit("steady_seconds", 15)) == pytest.approx(PLANNED)
    assert planned(limit("availability", 0.99)) == pytest.approx(600 / 40 + 3)
    assert planned(limit("availability", 0.999)) == pytest.approx(PLANNED)  # as far as that time goes
    assert planned(limit("max_over_mean", 1.25)) == pytest.approx(200 * 3 / 20)
    assert planned(limit("max_over_mean", 1.25), judged=True) == pytest.approx(max(PLANNED, 200 * 3 / 20))


def baseline(history: History, samples: Samples, seconds: float) -> dict[str, Answer]:
    known, measured = until(history, samples, seconds)
    return {one.name: one.answer for one in baseline_questions(known, measured, OBJECTIVES, 30)}


def test_a_baseline_is_long_enough_when_the_system_is_known_to_be_healthy(lab: Laboratory) -> None:
    history, samples = History(lab.before()), lab.samples()
    assert baseline(history, samples, 4.5) == {HEALTHY_BEFORE: Answer.UNDECIDED}
    assert baseline(history, samples, 5.5) == {HEALTHY_BEFORE: Answer.HOLDS}
    assert baseline(history, lab.samples(lambda moment: moment % 1 < 0.2), 5.5) == {HEALTHY_BEFORE: Answer.MISSED}


def test_a_rate_that_is_only_reached_and_counts_of_pods_take_their_time(lab: Laboratory) -> None:
    reached = [one for one in lab.before() if not isinstance(one, LoadStarted)]
    counted = [RequestsCounted(stamp(at), SCENARIO, (PodRequests("a", "api-a", "api", 5),)) for at in (1.0, 6.0)]
    history = History([*reached, *counted, LoadStarted(stamp(0), SCENARIO, 20, 0.0, is_reached=True)])
    healthy = {HEALTHY_BEFORE: Answer.HOLDS}
    undecided, known = Answer.UNDECIDED, Answer.HOLDS
    samples = lab.samples()
    assert baseline(history, samples, 5.5) == healthy | {"rate_reached": undecided, "requests_counted": undecided}
    assert baseline(history, samples, 7) == healthy | {"rate_reached": undecided, "requests_counted": known}
    assert baseline(history, samples, 8.5) == healthy | {"rate_reached": known, "requests_counted": known}


def drawn(lab: Laboratory, seed: int) -> Samples:
    """Return a scenario with an outage and, after it, failures in bursts, both drawn at random."""
    random = np.random.default_rng(seed)
    outage = random.choice([0.0, 0.1, 0.3, 1.0, 3.0])
    share, length = random.choice([0.0, 0.0, 0.002, 0.005, 0.02, 0.05]), random.choice([1, 1, 2, 4])
    starts = random.random(4000) < share / length
    bad = np.convolve(starts, np.ones(length))[:4000] > 0
    return lab.samples(lambda moment: 30 <= moment < 30 + outage or (moment > 33 and bool(bad[round(moment * 40)])))


@pytest.mark.parametrize("value", [0.99, 0.97])
def test_an_early_end_has_the_verdict_of_the_planned_one(lab: Laboratory, value: float) -> None:
    """Of scenarios drawn at random (by fixed seeds), at most one in twenty is judged otherwise."""
    history, one = lab.deletion(), limit("availability", value)
    early, differing = 0, 0
    for seed in range(30):
        samples = drawn(lab, seed)
        end = READY_SECONDS + PLANNED
        looks = (READY_SECONDS + seconds for seconds in range(2, round(PLANNED), 2))
        stopped = next((at for at in looks if answer(history, samples, one, at) is not Answer.UNDECIDED), end)
        verdicts = [
            one.holds(found) for at in (stopped, end) if (found := until(history, samples, at)[1].value(one.criterion))
        ]
        early += stopped < end
        differing += verdicts[0] != verdicts[1]
    assert early >= 15
    assert differing <= 1


def test_it_judges_the_load_where_there_is_one(lab: Laboratory) -> None:
    """The prober alone has 20 requests a second, so its questions take twice as long."""
    alone = lab.samples().lane(Lane.FRESH)
    history = History(one for one in lab.deletion() if not isinstance(one, LoadStarted))
    assert answer(history, alone, limit("availability", 0.99), READY_SECONDS + 25) is Answer.UNDECIDED
    assert answer(history, alone, limit("availability", 0.99), READY_SECONDS + 31) is Answer.HOLDS
