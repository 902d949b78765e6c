"""Trials: the worst one decides and is shown; what had not ended is never dropped; too few are said to be."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.measure.trials import combine_trials, summarise_criterion
from flametest.model.trials import TrialSummary
from flametest.model.verdict import Bound, Criterion, Limit, Verdict
from tests.report.sample_result import scenario

LIMIT = Limit("outage_seconds", Bound.AT_MOST, 3.0)


def criterion(value: float | None, above: float | None = None, limit: Limit = LIMIT) -> Criterion:
    verdict = Verdict.PASSED if value is not None and limit.holds(value) else Verdict.FAILED
    return Criterion(limit.criterion, "Outage", "s", value, 0.05, limit, verdict, "", above)


def summary(*criteria: Criterion) -> TrialSummary:
    return summarise_criterion(list(enumerate(criteria, start=1)), seed=1)


def test_median_worst_and_interval_of_a_few_trials() -> None:
    found = summary(*(criterion(value) for value in (1.0, 2.0, 3.0, 4.0, 10.0)))
    assert found.median == 3.0
    assert found.worst == 10.0
    assert found.mean == 4.0
    assert found.method == "t"
    assert found.interval is not None
    assert found.interval.low == 0.0  # Student's would begin at -0.39 s, which no outage can
    assert found.interval.high == pytest.approx(8.39, abs=0.01)
    assert found.verdict is Verdict.FAILED
    assert found.note == ""


def test_from_twenty_trials_on_the_interval_is_a_bootstrap() -> None:
    found = summary(*(criterion(float(value)) for value in range(20)))
    assert found.method == "bootstrap"
    assert found.interval is not None
    assert found.interval.low < 9.5 < found.interval.high


def test_too_few_trials_are_said_to_be() -> None:
    assert "2 trials are too few" in summary(criterion(1.0), criterion(2.0)).note
    alone = summary(criterion(1.0))
    assert alone.interval is None
    assert alone.method == ""


def test_what_had_not_ended_is_the_worst_and_leaves_no_mean() -> None:
    found = summary(criterion(1.0), criterion(2.0), criterion(None, above=60.0), criterion(3.0), criterion(2.5))
    assert found.worst == 60.0
    assert found.worst_censored
    assert found.median == 2.5
    assert found.mean is None
    assert found.interval is None
    assert "1 of 5 had not ended" in found.note


def test_a_median_that_hides_what_had_not_ended_is_not_told() -> None:
    assert summary(criterion(1.0), criterion(None, above=2.0), criterion(None, above=2.0)).median is None
    assert summary(criterion(5.0), criterion(6.0), criterion(None, above=1.0)).median is None


def test_a_share_is_worst_when_it_is_least() -> None:
    limit = Limit("availability", Bound.AT_LEAST, 0.99)
    assert summary(criterion(0.999, limit=limit), criterion(0.98, limit=limit)).worst == 0.98


@given(st.lists(st.floats(min_value=0, max_value=100), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_the_trials_does_not_matter(values: list[float], order: object) -> None:
    shuffled = sorted(values)
    first, second = (summary(*(criterion(value) for value in chosen)) for chosen in (values, shuffled))
    assert first.median == second.median
    assert first.worst == second.worst
    assert first.verdict is second.verdict


def test_the_worst_trial_decides_and_is_shown() -> None:
    good, bad = scenario(), scenario(outage_seconds=12.4, limit_s=10.0)
    found = combine_trials([(good, 0.4, "a"), (bad, 1.2, "b"), (good, 2.0, "c")], seed=7, planned=3)
    assert found.verdict is Verdict.FAILED
    assert found.outage == bad.outage
    assert found.trials is not None
    assert found.trials.shown == 2
    assert [one.extra_baseline_seconds for one in found.trials.trials] == [0.4, 1.2, 2.0]
    assert found.trials.sentence == "2 of 3 trials passed, 1 missed a limit"
    assert found.sentence.startswith("2 of 3 trials passed, 1 missed a limit; the worst: ")
    outage = next(one for one in found.trials.summaries if one.name == "outage_seconds")
    assert outage.worst == pytest.approx(12.4)
    assert [one.verdict for one in outage.figures] == [Verdict.PASSED, Verdict.FAILED, Verdict.PASSED]


def test_trials_that_were_not_run_leave_it_in_doubt() -> None:
    found = combine_trials([(scenario(), 0.4, "a")], seed=7, planned=3)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.trials is not None
    assert found.trials.sentence == "1 of 1 trials passed, 2 of 3 were not run"


def test_a_single_trial_is_the_scenario_itself() -> None:
    one = scenario()
    assert combine_trials([(one, 0.0, "a")], seed=7, planned=1) is one


def test_doubts_of_a_trial_are_kept() -> None:
    one = scenario()
    doubted = dataclasses.replace(one, checks=(dataclasses.replace(one.checks[0], verdict=Verdict.INCONCLUSIVE),))
    found = combine_trials([(one, 0.0, "a"), (doubted, 0.0, "b")], seed=7, planned=2)
    assert found.trials is not None
    assert found.trials.trials[1].doubts == (one.checks[0].detail,)
