"""The self-test's judgement: a measurement that is off is caught, each way it can be off."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flametest.measure.planted import PLANTED, planted_outcomes
from flametest.measure.selftest import assemble, believed, case, judge_kinds, self_test_check, undecided
from flametest.model.selftest import SelfTest, SelfTestTrial
from flametest.model.verdict import Verdict

INTERVAL = 0.05


def trials(measured: Callable[[int, float], tuple[float, float]], kind: str = "503") -> list[SelfTestTrial]:
    """Return 40 outages of 1 s; ``measured`` tells the figure and half the bracket's width."""
    found = []
    for number in range(40):
        value, half = measured(number, 1.0)
        found.append(SelfTestTrial(kind, 1.0, 1.0, value, value - half, value + half))
    return found


def self_test(found: list[SelfTestTrial], *, right: bool = True) -> SelfTest:
    return assemble(
        "full",
        found,
        (case("null", "Without a fault no outage is found", [(right, "an outage of 0.30 s")]),),
        interval_seconds=INTERVAL,
        seed=1,
        started_wall_s=0.0,
        duration_seconds=1.0,
    )


def test_a_good_measurement_passes() -> None:
    (kind,) = judge_kinds(trials(lambda number, truth: (truth + (number % 3 - 1) * 0.02, 0.06)), INTERVAL)
    assert kind.verdict is Verdict.PASSED
    assert kind.coverage == 1.0


@pytest.mark.parametrize(
    ("measured", "told"),
    [
        (lambda number, truth: (truth + (0.08 if number % 2 else -0.08), 0.1), "p95 error 80 ms"),
        (lambda number, truth: (truth + 0.02, 0.06), r"bias \+20.0 ms"),
        (lambda number, truth: (truth + (0.03 if number % 2 else -0.03), 0.02), "in 0%"),
        (lambda number, truth: (0.0, 0.0), "p95 error 1000 ms"),
    ],
)
def test_a_measurement_that_is_off_is_caught(measured: Callable[[int, float], tuple[float, float]], told: str) -> None:
    (kind,) = judge_kinds(trials(measured), INTERVAL)
    assert kind.verdict is Verdict.INCONCLUSIVE
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(kind.detail)


@pytest.mark.parametrize(
    ("errors", "is_undecided", "verdict"),
    [
        ([0.063, 0.01], True, Verdict.INCONCLUSIVE),
        ([0.02, -0.02], False, Verdict.PASSED),
        ([0.063, *[0.01, -0.01] * 10], False, Verdict.PASSED),
        ([0.063, -0.063, *[0.01, -0.01] * 10], False, Verdict.INCONCLUSIVE),
    ],
)
def test_few_outages_that_missed_a_target_do_not_decide_and_more_of_them_do(
    errors: list[float], is_undecided: bool, verdict: Verdict
) -> None:
    found = [SelfTestTrial("503", 1.0, 1.0, 1 + error, 0.9 + error, 1.1 + error) for error in errors]
    assert undecided(found, INTERVAL) is is_undecided
    (kind,) = judge_kinds(found, INTERVAL)
    assert kind.verdict is verdict


def test_a_case_that_came_out_wrong_once_is_told() -> None:
    found = case("null", "Nulls", [(True, "none found"), (False, "an outage of 0.30 s"), (True, "none found")])
    assert (found.trials, found.right, found.verdict) == (3, 2, Verdict.INCONCLUSIVE)
    assert found.detail == "an outage of 0.30 s"


def test_a_case_that_was_not_tried_proves_nothing() -> None:
    assert case("null", "Nulls", []).verdict is Verdict.INCONCLUSIVE


def test_a_run_whose_measurement_missed_its_targets_is_inconclusive_whatever_it_found() -> None:
    missed = self_test(trials(lambda number, truth: (truth, 0.06)), right=False)
    assert self_test_check(missed).verdict is Verdict.INCONCLUSIVE
    verdict, headline = believed(Verdict.FAILED, "deleting a pod was felt", missed)
    assert verdict is Verdict.INCONCLUSIVE
    assert headline.startswith("the measurement missed its own targets")
    assert "an outage of 0.30 s" in headline


def test_a_good_self_test_leaves_the_verdict_and_says_so() -> None:
    good = self_test(trials(lambda number, truth: (truth, 0.06)))
    assert self_test_check(good).verdict is Verdict.PASSED
    assert believed(Verdict.FAILED, "felt", good) == (Verdict.FAILED, "felt. Self-check of the measurement: good")
    assert believed(Verdict.PASSED, "fine", None) == (Verdict.PASSED, "fine")


@given(st.integers(0, 2**31))
@settings(deadline=None, max_examples=50)
def test_write_errors_planted_in_any_ledger_are_found(seed: int) -> None:
    outcomes = list(planted_outcomes(seed))
    assert len(outcomes) == len(PLANTED)
    assert all(right for right, _ in outcomes), outcomes
