"""A record that contradicts itself is inconclusive, with its figures, whatever they say; one that does not never is.

Each kind of contradiction is planted 20 times, from seeds: what is planted, where and how much are drawn. The fates of
requests that stand for chance are drawn from the same seeds, so that no test of this file differs between two runs.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flametest.load.prober import Prober
from flametest.measure.objectives import Objectives
from flametest.measure.samples import Samples
from flametest.measure.scenario import ScenarioSpec, measure_scenario
from flametest.model.events import (
    EndpointsObserved,
    Event,
    LoadStarted,
    PodObserved,
    WatchCompared,
    WatchInterrupted,
    WorkloadObserved,
)
from flametest.model.history import History
from flametest.model.result import Check, ScenarioResult
from flametest.model.samples import Lane, Outcome, Sample
from flametest.model.verdict import Bound, Limit, Verdict
from tests.measure.conftest import SCENARIO, stamp

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

SEEDS = range(20)
SECOND_NS = 1_000_000_000
# The second is missed by each outage that is planted here, the others by none.
LIMITS = (Limit("availability", Bound.AT_LEAST, 0.001), Limit("outage_seconds", Bound.AT_MOST, 0.5))
SPEC = ScenarioSpec(SCENARIO, "A pod is deleted", "Teaches.", "api", LIMITS)


def judged(history: History, samples: Samples) -> ScenarioResult:
    return measure_scenario(history, samples, SPEC)


def check(result: ScenarioResult, name: str) -> Check:
    (found,) = [one for one in result.checks if one.name == name]
    return found


def rows(lab: Laboratory, is_bad: Callable[[Sample], bool] = lambda one: False, how: str = "503") -> list[Sample]:
    """Return all lanes of a deleted pod's scenario, in which a request meets the fate that ``is_bad`` decides."""
    bad = {(one.lane, one.sent_ns): one for one in _lanes(lab, everything_bad=True, how=how)}
    return [bad[one.lane, one.sent_ns] if is_bad(one) else one for one in _lanes(lab, everything_bad=False, how=how)]


def _lanes(lab: Laboratory, *, everything_bad: bool, how: str) -> list[Sample]:
    def pods(moment: float) -> tuple[str, ...]:
        if moment < 30:
            return ("api-a", "api-b", "api-c")
        return ("api-b", "api-c", "api-d") if moment >= 31.9 else ("api-b", "api-c")

    lanes = [(Lane.FRESH, 0.05, 0.0), (Lane.KEEPALIVE, 0.05, 0.025), (Lane.LOAD, 0.025, 0.003)]
    return [
        row
        for lane, interval, phase in lanes
        for row in lab.requests(lane, lambda at: everything_bad, interval=interval, phase=phase, pods=pods, how=how)
    ]


def within(start: float, end: float) -> Callable[[Sample], bool]:
    return lambda one: start <= one.sent_ns / SECOND_NS < end


# Watches that deliver nothing, late, or not everything


def seen_by_silent_watches(lab: Laboratory, since: float, silent: frozenset[type]) -> list[Event]:
    """Return the history of a deleted pod as it is when watches of some kinds deliver nothing more from a moment on."""
    return [
        event for event in lab.deletion() if not (type(event) in silent and event.at.monotonic_ns >= since * SECOND_NS)
    ]


def compared(resource: str, seconds: float, names: tuple[str, ...], heard: float) -> WatchCompared:
    unseen = len(names)
    return WatchCompared(stamp(seconds), SCENARIO, resource, 9, unseen, names, round(heard * SECOND_NS))


KINDS: dict[str, type[Event]] = {
    "pods": PodObserved,
    "endpointslices": EndpointsObserved,
    "deployments": WorkloadObserved,
}


@pytest.mark.parametrize("seed", SEEDS)
def test_watches_that_fell_silent_unnoticed_are_inconclusive_by_a_list_with_figures(lab: Laboratory, seed: int) -> None:
    """Without an error, from before the fault: the record shows a system in which nothing happened."""
    chance = random.Random(seed)
    since = chance.uniform(1, 29.9)
    silent = chance.sample(sorted(KINDS), chance.randint(1, 3))
    events = seen_by_silent_watches(lab, since, frozenset(KINDS[one] for one in silent))
    at = chance.uniform(35, 89)
    for resource in KINDS:
        names = tuple(f"api-{one}" for one in "abc"[: chance.randint(1, 3)]) if resource in silent else ()
        events.append(compared(resource, at, names, since if resource in silent else at - 1))
    result = judged(
        History(events), Samples.of(rows(lab, within(30, 40) if chance.random() < 0.5 else lambda one: False))
    )
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.sentence.startswith("in doubt (the watches showed what lists show: a list of ")
    detail = check(result, "watches_current").detail
    assert any(f"a list of {one} shows " in detail for one in silent)
    assert "of 9 objects otherwise than the watch had shown them seconds later (api-a" in detail
    assert f"it was heard last {at - since:.1f} s before the list" in detail


@pytest.mark.parametrize("seed", SEEDS)
def test_watches_that_fell_silent_and_went_on_late_are_inconclusive_with_figures(lab: Laboratory, seed: int) -> None:
    """What they missed was shown in the end, and all lists agree then; it was stamped when it came."""
    chance = random.Random(seed)
    since = chance.uniform(10, 80)
    until = max(30.1, since + chance.uniform(5, 15))
    resource, missed = chance.choice(sorted(KINDS)), chance.randint(0, 9)
    silence = WatchInterrupted(
        *(stamp(until), SCENARIO, resource, "it fell silent"),
        *(round(since * SECOND_NS), 9, missed),
    )
    history = lab.deletion().append(silence).append(compared(resource, 89, (), 88))
    result = judged(history, Samples.of(rows(lab)))
    assert result.verdict is Verdict.INCONCLUSIVE
    detail = check(result, "watches_current").detail
    assert f"silent from {since - 30:+.1f} s to {until - 30:+.1f} s from the injection ({resource})" in detail
    assert f"{missed} of 9 objects had changed unseen" in detail


def test_a_silence_that_was_over_before_the_injection_is_no_doubt(lab: Laboratory) -> None:
    silence = WatchInterrupted(stamp(20), SCENARIO, "pods", "it fell silent", 5 * SECOND_NS, 3, 1)
    assert judged(lab.deletion().append(silence), Samples.of(rows(lab))).verdict is Verdict.PASSED


def test_watches_that_could_not_be_compared_in_the_end_are_inconclusive(lab: Laboratory) -> None:
    problem = WatchCompared(stamp(89), SCENARIO, "pods", 0, 0, (), 0, "the API does not answer")
    result = judged(lab.deletion().append(problem), Samples.of(rows(lab)))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "pods could not be compared with lists at the end: the API does not answer" in result.sentence
    earlier = replace(problem, at=stamp(50))
    history = lab.deletion().append(earlier).append(compared("pods", 89, (), 88))
    assert judged(history, Samples.of(rows(lab))).verdict is Verdict.PASSED


# Answers of pods that the namespace does not have


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_of_foreign_pods_are_inconclusive_with_names_and_counts(lab: Laboratory, seed: int) -> None:
    chance = random.Random(seed)
    start = chance.uniform(0, 85)
    end = start + chance.uniform(0.5, 90 - start)
    names = [f"other-{chance.randrange(16**4):04x}" for _ in range(chance.randint(1, 5))]
    share = chance.uniform(0.05, 1)
    fails = chance.random() < 0.5  # whether the other system is worse than the limits allow

    def foreign(one: Sample) -> Sample:
        if not within(start, end)(one) or chance.random() >= share:
            return one
        status, outcome, error = (500, Outcome.FAILED, "status") if fails else (200, Outcome.OK, "")
        return one._replace(served_by=chance.choice(names), status=status, outcome=outcome, error=error)

    planted = [foreign(one) for one in rows(lab)]
    result = judged(lab.deletion(), Samples.of(planted))
    assert result.verdict is Verdict.INCONCLUSIVE
    found = check(result, "answers_known")
    counts = {name: sum(one.served_by == name for one in planted) for name in names}
    assert f"{sum(counts.values())} of {len(planted)} answers that name their pod" in found.detail
    most = max(counts.values())
    assert any(f"{name} {most}" in found.detail for name, count in counts.items() if count == most)
    assert not [one for one in result.criteria if one.verdict is Verdict.FAILED]


def test_answers_that_name_no_pod_cannot_be_judged_and_that_is_said(lab: Laboratory) -> None:
    result = judged(lab.deletion(), Samples.of(one._replace(served_by="") for one in rows(lab)))
    assert result.verdict is Verdict.PASSED
    assert "no answer names the pod" in check(result, "answers_known").detail


def test_answers_from_before_the_pods_were_listed_are_left_out(lab: Laboratory) -> None:
    early = [one._replace(served_by="api-old") if within(0, 5)(one) else one for one in rows(lab)]
    history = History(
        replace(event, at=stamp(5)) if isinstance(event, PodObserved) and event.at.monotonic_ns == 0 else event
        for event in lab.deletion()
    )
    assert judged(history, Samples.of(early)).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("name", "hostname", "served_by"),
    [
        ("a" * 70, "", "a" * 63),
        ("a" * 62 + "-xyz", "", "a" * 62),  # cut off behind a hyphen, which a hostname may not end with
        ("api-a", "by-its-spec", "by-its-spec"),
        ("api-a", "", "cache-of-a-proxy, api-a"),
    ],
)
def test_a_pod_is_known_by_its_hostname_too(lab: Laboratory, name: str, hostname: str, served_by: str) -> None:
    history = History(
        replace(event, name=name, hostname=hostname) if isinstance(event, PodObserved) and event.uid == "a" else event
        for event in lab.deletion()
    )
    samples = Samples.of(one._replace(served_by=one.served_by.replace("api-a", served_by)) for one in rows(lab))
    assert check(judged(history, samples), "answers_known").verdict is Verdict.PASSED


# Prober and load


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("blind", [Lane.LOAD, Lane.FRESH])
def test_an_outage_that_only_one_of_prober_and_load_sees_is_inconclusive(
    lab: Laboratory, blind: Lane, seed: int
) -> None:
    chance = random.Random(f"{blind} {seed}")
    # Most of one phase: the fault lasts from 30 to 31.9, the recovery to the end.
    start = chance.uniform(29, 35)
    end = start + chance.uniform(12, 50)
    how = chance.choice(["503", "refused", "hanging"])

    def is_bad(one: Sample) -> bool:
        return within(start, end)(one) and (one.lane is Lane.LOAD) is not (blind is Lane.LOAD)

    result = judged(lab.deletion(), Samples.of(rows(lab, is_bad, how)))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.sentence.startswith("in doubt (prober and load saw the same: ")
    detail = check(result, "views_agree").detail
    assert "requests for GET / were good" in detail
    assert "recovery: load " in detail or "fault: load " in detail


@pytest.mark.parametrize("seed", SEEDS)
def test_a_load_that_is_led_elsewhere_is_inconclusive_also_where_it_names_its_requests_by_itself(
    lab: Laboratory, seed: int
) -> None:
    """As behind a redirect to a server that has stopped: each answer to the prober is good, and none to the load."""
    chance = random.Random(seed)
    start = chance.choice([0.0, chance.uniform(28, 32)])
    name = chance.choice(["GET /", "GET /home", "POST checkout"])
    planted = [
        one._replace(name=name) if one.lane is Lane.LOAD else one
        for one in rows(lab, lambda one: one.lane is Lane.LOAD and within(start, 90)(one), "refused")
    ]
    users = chance.choice([1, 6, 20])
    history = History(
        replace(event, users=users) if isinstance(event, LoadStarted) else event for event in lab.deletion()
    )
    result = judged(history, Samples.of(planted))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert check(result, "views_agree").verdict is Verdict.INCONCLUSIVE
    assert "load 0.0%, prober 100.0%" in result.sentence


def test_a_load_that_asks_for_other_things_may_fare_worse_than_the_prober(lab: Laboratory) -> None:
    """Half of what users do fails, and what the prober asks for does not: that is the system, and no contradiction."""
    chance = random.Random(1)
    planted = [
        one._replace(name="GET /shop") if one.lane is Lane.LOAD else one
        for one in rows(lab, lambda one: one.lane is Lane.LOAD and within(30, 60)(one) and chance.random() < 0.5)
    ]
    result = judged(lab.deletion(), Samples.of(planted))
    assert check(result, "views_agree").verdict is Verdict.PASSED


def test_kept_connections_that_outlive_the_way_in_are_no_contradiction(lab: Laboratory) -> None:
    """A removed Service is felt by new connections alone; the load keeps its own, as one lane of the prober does."""
    result = judged(
        lab.deletion(), Samples.of(rows(lab, lambda one: one.lane is Lane.FRESH and within(30, 40)(one), "refused"))
    )
    assert check(result, "views_agree").verdict is Verdict.PASSED


def test_the_time_limit_that_both_are_compared_by_is_the_probers_own() -> None:
    default = inspect.signature(Prober.__init__).parameters["timeout_ms"].default
    assert default == Objectives().prober_timeout_seconds * 1000


def test_an_answer_that_the_prober_would_not_have_waited_for_does_not_contradict_it(lab: Laboratory) -> None:
    """1.5 s are over the prober's time limit, and within the load's."""
    slow = [
        one._replace(done_ns=one.sent_ns + 1_500_000_000) if one.lane is Lane.LOAD and within(30, 80)(one) else one
        for one in rows(lab, lambda one: one.lane is not Lane.LOAD and within(30, 80)(one), "hanging")
    ]
    assert check(judged(lab.deletion(), Samples.of(slow)), "views_agree").verdict is Verdict.PASSED


@pytest.mark.parametrize("seed", SEEDS)
def test_a_record_that_does_not_contradict_itself_is_not_in_doubt(lab: Laboratory, seed: int) -> None:
    """What is drawn is an outage that all see, a share of failing requests on top, a generator held up, and users."""
    chance = random.Random(seed)
    start, share = chance.uniform(25, 60), chance.choice([0.0, 0.0, chance.uniform(0, 0.5)])
    end = start + chance.choice([0.0, 0.3, 2.0, 20.0])
    how = chance.choice(["503", "refused", "hanging"])
    everything = rows(lab, lambda one: within(start, end)(one) or chance.random() < share, how)
    held_up = chance.random() < 0.5  # a user that waits for each answer sends less while requests hang
    users = chance.choice([1, 6, 20])
    kept = [
        one
        for one in everything
        if not (held_up and one.lane is Lane.LOAD and within(start, end)(one)) or chance.random() < 0.1
    ]
    history = History(
        replace(event, users=users) if isinstance(event, LoadStarted) else event
        for event in (*lab.deletion(), *(compared(resource, at, (), at - 1) for resource in KINDS for at in (35, 90)))
    )
    result = judged(history, Samples.of(kept))
    for name in ("watches_current", "answers_known", "views_agree"):
        assert check(result, name).verdict is Verdict.PASSED, check(result, name).detail
