"""The load judged: in each phase by itself, both ways, to its end, and by what its generator says of itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flametest.measure.samples import Samples
from flametest.measure.scenario import ScenarioSpec, measure_scenario
from flametest.model.events import (
    Event,
    LoadEnded,
    LoadStarted,
    LoadTrouble,
    LoadTroubled,
    Stamp,
)
from flametest.model.history import History
from flametest.model.result import Check, ScenarioResult
from flametest.model.samples import Lane, Outcome, Sample
from flametest.model.verdict import Bound, Limit, Verdict

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

SECOND_NS = 1_000_000_000
SCENARIO = "pod-delete-api"
USERS = 20
LIMITS = (Limit("outage_seconds", Bound.AT_MOST, 3.0), Limit("availability", Bound.AT_LEAST, 0.95))


def stamp(seconds: float) -> Stamp:
    return Stamp(round(seconds * SECOND_NS), 1_000_000.0 + seconds)


def judged(history: Iterable[Event], samples: Samples) -> ScenarioResult:
    return measure_scenario(History(history), samples, ScenarioSpec(SCENARIO, "A pod", "Teaches.", "api", LIMITS))


def check(result: ScenarioResult, name: str = "load_achieved") -> Check:
    return next(one for one in result.checks if one.name == name)


def rows(samples: Samples) -> list[Sample]:
    return [samples.row(index) for index in range(len(samples))]


def thinned(samples: Samples, keeps: Callable[[Sample], bool]) -> Samples:
    """Return the samples without those of the load that are not kept."""
    return Samples.of(one for one in rows(samples) if one.lane is not Lane.LOAD or keeps(one))


def seconds(one: Sample) -> float:
    return one.sent_ns / SECOND_NS


@pytest.fixture(scope="module")
def whole(lab: Laboratory) -> Samples:
    return lab.samples()


def test_each_phase_is_told_by_itself(lab: Laboratory, whole: Samples) -> None:
    found = check(judged(lab.deletion(), whole))
    assert found.verdict is Verdict.PASSED
    assert found.detail.startswith("baseline 100.")
    assert ", fault " in found.detail
    assert "of 40 requests a second that were requested; 95% to 105% are needed in each phase" in found.detail


@pytest.mark.parametrize("number", range(20))
def test_a_load_that_collapses_is_found_whenever_it_does_and_an_even_one_never_accused(
    lab: Laboratory, number: int
) -> None:
    draw = random.Random(number)
    load = lab.requests(Lane.LOAD, lambda _: False, interval=0.025, phase=draw.uniform(0, 0.025))
    even = Samples.of(lab.requests(Lane.FRESH, lambda _: False) + load)
    assert judged(lab.deletion(), even).verdict is Verdict.PASSED
    collapse = draw.uniform(29.9, 80)
    tenth = thinned(even, lambda one: seconds(one) < collapse or one.intended_ns // 25_000_000 % 10 == 0)
    result = judged(lab.deletion(), tenth)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert check(result).verdict is Verdict.INCONCLUSIVE
    assert "too little in the " in check(result).detail
    assert "the offered load was sent: " in result.sentence


@pytest.mark.parametrize(
    ("low", "high", "phase"), [(30.0, 31.96, "fault"), (0.0, 30.0, "baseline"), (32.0, 91.0, "recovery")]
)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.8])
def test_a_phase_that_was_short_of_load_is_named_whichever_it_is(  # noqa: PLR0917 (parameters of a table)
    lab: Laboratory, whole: Samples, low: float, high: float, phase: str, kept: float
) -> None:
    draw = random.Random(1)
    fewer = thinned(whole, lambda one: not low <= seconds(one) < high or draw.random() < kept)
    found = check(judged(lab.deletion(), fewer))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert f"too little in the {phase}" in found.detail


@pytest.mark.parametrize("times", [2, 308])
@pytest.mark.parametrize(("low", "high", "phase"), [(30.0, 31.96, "fault"), (20.0, 30.0, "baseline")])
def test_more_than_was_asked_for_is_no_better_than_less(  # noqa: PLR0917 (parameters of a table)
    lab: Laboratory, whole: Samples, times: int, low: float, high: float, phase: str
) -> None:
    more = [one for one in rows(whole) if one.lane is Lane.LOAD and low <= seconds(one) < high]
    found = check(judged(lab.deletion(), Samples.of(rows(whole) + more * (times - 1))))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert f"too much in the {phase}: at most 105% are believed" in found.detail


def test_what_broke_under_more_load_than_was_meant_is_not_blamed_on_the_system(lab: Laboratory) -> None:
    broken = rows(lab.samples(lambda at: 30.1 <= at < 36))
    assert judged(lab.deletion(), Samples.of(broken)).verdict is Verdict.FAILED
    more = [one for one in broken if one.lane is Lane.LOAD and seconds(one) >= 30]
    result = judged(lab.deletion(), Samples.of(broken + more * 10))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "not believed, since more load was sent than was meant" in str(result.criterion("outage_seconds"))


def test_a_request_that_was_held_up_at_the_edge_of_a_phase_was_offered_all_the_same(
    lab: Laboratory, whole: Samples
) -> None:
    def late(one: Sample) -> Sample:
        is_held = one.lane is Lane.LOAD and 29.8 <= seconds(one) < 30
        return one._replace(sent_ns=30 * SECOND_NS + 5_000_000, done_ns=30 * SECOND_NS + 9_000_000) if is_held else one

    assert check(judged(lab.deletion(), Samples.of(map(late, rows(whole))))).verdict is Verdict.PASSED


def closed_loop(seed: int, waits: Callable[[float], float], think: tuple[float, float] = (1.0, 3.0)) -> list[Sample]:
    """Return what users send who think for a random time after each answer, which takes ``waits(sent)`` seconds."""
    draw, found = random.Random(seed), []
    for _ in range(USERS):
        moment = draw.uniform(-think[1], 0)
        while moment < 90:
            wait = waits(moment)
            if moment >= 0:
                sent, done = (round(at * SECOND_NS) for at in (moment, moment + wait))
                outcome, error = (Outcome.UNKNOWN, "timeout") if wait >= 1 else (Outcome.OK, "")
                found.append(Sample(Lane.LOAD, "GET /", sent, sent, done, outcome, 0 if error else 200, "", error))
            moment += wait + draw.uniform(*think)
    return found


def reached(history: History) -> list[Event]:
    """Return the history of a load that was asked for no rate."""
    return [
        replace(event, users=USERS, offered_per_second=0.0, is_reached=True)
        if isinstance(event, LoadStarted)
        else event
        for event in history
    ]


@settings(max_examples=12, deadline=None, derandomize=True)  # so that nothing is left to chance
@given(seed=st.integers(0, 10**9))
def test_a_rate_that_was_reached_is_kept_but_for_chance(lab: Laboratory, whole: Samples, seed: int) -> None:
    fresh = [one for one in rows(whole) if one.lane is Lane.FRESH]
    result = judged(reached(lab.deletion()), Samples.of(fresh + closed_loop(seed, lambda _: 0.01)))
    # Chance is bounded by Bernstein's inequality to one case in a million for each phase.
    assert check(result).verdict is Verdict.PASSED, check(result).detail
    assert "requests a second that were reached in the baseline" in check(result).detail


@settings(max_examples=12, deadline=None, derandomize=True)  # so that nothing is left to chance
@given(seed=st.integers(0, 10**9), hang=st.floats(0.5, 1.9))
def test_users_who_wait_for_a_system_that_hangs_are_no_fault_of_the_load(
    lab: Laboratory, whole: Samples, seed: int, hang: float
) -> None:
    fresh = [one for one in rows(whole) if one.lane is Lane.FRESH]
    load = closed_loop(seed, lambda at: max(0.01, 30 + hang - at) if at >= 30 else 0.01, think=(0.05, 0.15))
    found = check(judged(reached(lab.deletion()), Samples.of(fresh + load)))
    assert found.verdict is Verdict.PASSED, found.detail


@pytest.mark.parametrize("seed", range(20))
def test_a_reached_rate_that_falls_while_nobody_waits_is_found(lab: Laboratory, whole: Samples, seed: int) -> None:
    fresh = [one for one in rows(whole) if one.lane is Lane.FRESH]
    draw = random.Random(seed)
    fall = draw.uniform(33, 70)
    load = [
        one
        for one in closed_loop(seed, lambda _: 0.01, think=(0.05, 0.15))
        if seconds(one) < fall or draw.random() < 0.1
    ]
    result = judged(reached(lab.deletion()), Samples.of(fresh + load))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "too little in the recovery" in check(result).detail


def test_a_loop_that_spins_on_refusals_sends_too_much(lab: Laboratory, whole: Samples) -> None:
    fresh = [one for one in rows(whole) if one.lane is Lane.FRESH]
    load = closed_loop(1, lambda at: 0.0002 if 30 <= at < 32 else 0.1, think=(0.0, 0.0))
    found = check(judged(reached(lab.deletion()), Samples.of(fresh + load)))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "too much in the fault" in found.detail


def test_a_baseline_that_still_rises_is_no_measure(lab: Laboratory, whole: Samples) -> None:
    fresh = [one for one in rows(whole) if one.lane is Lane.FRESH]
    draw = random.Random(5)
    load = [
        one
        for one in closed_loop(5, lambda _: 0.01, think=(0.05, 0.15))
        if seconds(one) >= 15 or draw.random() < seconds(one) / 15
    ]
    found = check(judged(reached(lab.deletion()), Samples.of(fresh + load)))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "it was not level in the baseline" in found.detail or "too much" in found.detail


def ended(history: History, at: float, reason: str, *, by_itself: bool = True) -> list[Event]:
    end = LoadEnded(stamp(at), SCENARIO, reason, by_itself)
    return [end if isinstance(event, LoadEnded) else event for event in history]


@pytest.mark.parametrize(
    ("at", "verdict", "words"),
    [
        (
            20.0,
            Verdict.INCONCLUSIVE,
            "the load ended 10.0 s before the fault, before the experiment did: its shape ended",
        ),
        (
            33.0,
            Verdict.INCONCLUSIVE,
            "the load ended 3.0 s after the fault, before the experiment did: its shape ended",
        ),
        (85.0, Verdict.PASSED, "it ended 55.0 s after the fault, before the experiment did, when the system had been"),
    ],
)
def test_a_load_that_ended_itself_is_judged_by_whether_its_question_was_answered(
    lab: Laboratory, whole: Samples, at: float, verdict: Verdict, words: str
) -> None:
    result = judged(
        ended(lab.deletion(), at, "its shape ended"), thinned(whole, lambda one: one.done_ns < at * SECOND_NS)
    )
    assert check(result).verdict is verdict
    assert words in check(result).detail
    assert result.verdict is verdict


def test_a_load_that_died_is_in_doubt_however_late(lab: Laboratory, whole: Samples) -> None:
    result = judged(ended(lab.deletion(), 89.0, "locust ended by itself with code -9", by_itself=False), whole)
    assert check(result).verdict is Verdict.INCONCLUSIVE
    assert "code -9" in check(result).detail


def troubled(trouble: LoadTrouble, where: str = "", count: int = 3, cause: str = "KeyError: 'id'") -> LoadTroubled:
    return LoadTroubled(stamp(31), SCENARIO, trouble, where, count, cause)


@pytest.mark.parametrize(
    ("trouble", "where", "words"),
    [
        (LoadTrouble.UNRECORDED, "grpc", "3 requests of kind grpc could not be recorded, the first because KeyError"),
        (LoadTrouble.UNRECORDED, "locust-worker-1: grpc", "locust-worker-1: 3 requests of kind grpc could not be"),
        (LoadTrouble.MISSING, "", "users were missing: KeyError"),
        (LoadTrouble.LISTENER, "test_start", "a listener of test_start raised 3 times: KeyError: 'id'"),
        (LoadTrouble.LISTENER, "locust-master: test_start", "locust-master: a listener of test_start raised 3 times"),
    ],
)
def test_what_leaves_another_load_than_was_meant_is_in_doubt(
    lab: Laboratory, whole: Samples, trouble: LoadTrouble, where: str, words: str
) -> None:
    result = judged([*lab.deletion(), troubled(trouble, where)], whole)
    found = check(result, "generator_sound")
    assert (found.verdict, result.verdict) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)
    assert words in found.detail
    assert words in result.sentence


@pytest.mark.parametrize(
    ("trouble", "where", "words"),
    [
        (LoadTrouble.TASK, "Shopper.buy", "Shopper.buy raised 3 times: KeyError: 'id'"),
        (LoadTrouble.LISTENER, "request", "a listener of request raised 3 times: KeyError: 'id'"),
        (LoadTrouble.DIED, "begin.<locals>.heartbeat", "begin.<locals>.heartbeat died 3 times: KeyError: 'id'"),
    ],
)
def test_errors_of_the_load_tests_own_are_told(
    lab: Laboratory, whole: Samples, trouble: LoadTrouble, where: str, words: str
) -> None:
    result = judged([*lab.deletion(), troubled(trouble, where)], whole)
    found = check(result, "generator_sound")
    assert (found.verdict, result.verdict, found.detail) == (Verdict.PASSED, Verdict.PASSED, words)


@pytest.mark.parametrize("number", range(20))
def test_requests_of_which_half_cannot_be_recorded_are_in_doubt_also_where_the_rate_hides_it(
    lab: Laboratory, whole: Samples, number: int
) -> None:
    draw = random.Random(number)
    half = thinned(whole, lambda _: draw.random() < 0.5)
    unrecorded = troubled(LoadTrouble.UNRECORDED, "grpc", count=1200, cause="its response_time is None")
    result = judged([*reached(lab.deletion()), unrecorded], half)
    assert check(result).verdict is Verdict.PASSED, check(result).detail
    assert check(result, "generator_sound").verdict is Verdict.INCONCLUSIVE
    assert result.verdict is Verdict.INCONCLUSIVE


def test_what_decides_is_told_first_and_the_rest_is_counted(lab: Laboratory, whole: Samples) -> None:
    told = [troubled(LoadTrouble.TASK, f"Shopper.task_{number}") for number in range(5)]
    found = check(judged([*lab.deletion(), *told, troubled(LoadTrouble.UNRECORDED)], whole), "generator_sound")
    assert found.detail.startswith("3 requests could not be recorded")
    assert found.detail.endswith("and 3 more kinds of errors, which the history holds")


@pytest.mark.parametrize("number", range(20))
def test_a_machine_at_its_own_limits_is_never_the_systems_failure(lab: Laboratory, number: int) -> None:
    draw, lane = random.Random(number), (Lane.LOAD, Lane.FRESH, Lane.KEEPALIVE)[number % 3]
    low = draw.uniform(25, 60)
    lanes = ((Lane.FRESH, 0.05), (Lane.LOAD, 0.025), (Lane.KEEPALIVE, 0.05))

    def unsent(one: Sample) -> Sample:
        if one.lane is not lane or not low <= seconds(one) < low + 20:
            return one
        return one._replace(outcome=Outcome.FAILED, status=0, served_by="", error="generator: EMFILE")

    samples = [one for lane_, every in lanes for one in lab.requests(lane_, lambda _: False, interval=every)]
    result = judged(lab.deletion(), Samples.of(map(unsent, samples)))
    found = check(result, "generator_able")
    assert (found.verdict, result.verdict) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)
    assert "never left: no file descriptor was left to the process (EMFILE)" in found.detail
    assert result.sentence.startswith("in doubt (the machine that sends could send: ")
    assert judged(lab.deletion(), Samples.of(samples)).verdict is Verdict.PASSED


def test_a_record_of_before_is_judged_as_it_is(lab: Laboratory, whole: Samples) -> None:
    lines = History(lab.deletion()).to_lines().replace(',"by_itself":false', "").replace(',"is_reached":false', "")
    assert "is_reached" not in lines
    result = judged(History.from_lines(lines.splitlines(keepends=True)), whole)
    assert result.verdict is Verdict.PASSED
