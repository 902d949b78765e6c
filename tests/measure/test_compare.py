"""Comparing runs: identical systems are not told apart, a slowdown is found, and too few trials are said."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from flametest.measure.compare import Paired, compare_figures, compare_runs
from flametest.model.comparison import Change
from flametest.model.verdict import Bound
from tests.report.sample_result import passed_result

REPEATS = 1000
TRIALS = 20


def paired(base: NDArray[np.float64], new: NDArray[np.float64], bound: Bound = Bound.AT_MOST) -> Paired:
    return Paired("s", "outage_seconds", "Outage", "s", bound, tuple(map(float, base)), tuple(map(float, new)))


def told_apart(chance: np.random.Generator, slowdown: float, criteria: int = 1) -> bool:
    """Return whether two runs of 20 trials are told apart; recovery times scatter by a third, skewed to the right."""
    pairs = [
        paired(chance.lognormal(1.0, 0.33, TRIALS), slowdown * chance.lognormal(1.0, 0.33, TRIALS))
        for _ in range(criteria)
    ]
    wanted = (Change.WORSE,) if slowdown > 1 else (Change.WORSE, Change.BETTER)
    return any(one.change in wanted for one in compare_figures(pairs, margin_ratio=0.0))


@pytest.mark.parametrize("criteria", [1, 6])
def test_identical_systems_are_told_apart_in_at_most_six_percent(criteria: int) -> None:
    chance = np.random.default_rng(20261121)
    assert sum(told_apart(chance, 1.0, criteria) for _ in range(REPEATS)) <= 0.06 * REPEATS


@pytest.mark.parametrize("criteria", [1, 6])
def test_a_slowdown_of_half_is_found_in_at_least_four_of_five(criteria: int) -> None:
    chance = np.random.default_rng(20261121)
    assert sum(told_apart(chance, 1.5, criteria) for _ in range(REPEATS)) >= 0.8 * REPEATS


def test_a_regression_within_the_margin_is_none() -> None:
    base = np.linspace(10.0, 10.2, TRIALS)
    (within,) = compare_figures([paired(base, base + 0.5)], margin_ratio=0.1)
    (beyond,) = compare_figures([paired(base, base + 0.5)], margin_ratio=0.01)
    assert within.change is Change.SAME
    assert within.margin == pytest.approx(1.01)
    assert beyond.change is Change.WORSE
    assert beyond.shift == pytest.approx(0.5)
    assert beyond.effect == "large"


def test_a_share_is_worse_when_it_falls() -> None:
    base, new = np.linspace(0.998, 0.999, TRIALS), np.linspace(0.90, 0.91, TRIALS)
    (fell,) = compare_figures([paired(base, new, Bound.AT_LEAST)])
    (rose,) = compare_figures([paired(new, base, Bound.AT_LEAST)])
    assert fell.change is Change.WORSE
    assert rose.change is Change.BETTER


@pytest.mark.parametrize("trials", [1, 2, 3])
def test_too_few_trials_are_said_whatever_the_figures_are(trials: int) -> None:
    (one,) = compare_figures([paired(np.ones(trials), np.full(trials, 100.0))])
    assert one.change is Change.UNTOLD
    assert one.interval is None
    assert "too few to tell" in one.note


def test_a_shift_that_may_be_beyond_the_margin_is_not_called_the_same() -> None:
    chance = np.random.default_rng(7)
    (one,) = compare_figures([paired(chance.normal(5, 3, 5), chance.normal(5, 3, 5))])
    assert one.change is Change.UNTOLD
    assert "may be as bad as" in one.note


def test_scenarios_of_one_run_only_are_named_and_missing_figures_counted() -> None:
    base = passed_result()
    first, second = base.scenarios
    unmeasured = dataclasses.replace(first.criteria[0], value=None)
    changed = dataclasses.replace(first, criteria=(unmeasured, *first.criteria[1:]))
    new = dataclasses.replace(base, scenarios=(changed, dataclasses.replace(second, name="fresh")))

    found = compare_runs(base, new)

    assert found.only_base == (second.name,)
    assert found.only_new == ("fresh",)
    assert [one.scenario for one in found.criteria] == [first.name] * len(first.criteria)
    assert found.criteria[0].change is Change.UNTOLD
    assert "1 trial without a figure was left out" in found.criteria[0].note
    assert found.regressions == ()
    assert "none worse" in found.sentence
    assert f"{len(first.criteria)} with too few trials to tell" in found.sentence


def test_runs_without_a_common_scenario_have_nothing_to_compare() -> None:
    base = passed_result()
    assert "nothing to compare" in compare_runs(base, dataclasses.replace(base, scenarios=())).sentence
