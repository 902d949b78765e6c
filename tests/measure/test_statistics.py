"""Statistics: textbook values, exact distributions counted by brute force, and what the figures may not depend on."""

import itertools
import random
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flametest.measure.statistics import (
    bootstrap_interval,
    cliffs_delta,
    effect_word,
    hodges_lehmann,
    hodges_lehmann_interval,
    mann_whitney,
    student_interval,
    student_quantile,
    trials_needed,
)

VALUES = st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("freedom", "confidence", "expected"),
    [(1, 0.95, 12.7062), (2, 0.95, 4.3027), (9, 0.95, 2.2622), (19, 0.95, 2.0930), (10, 0.99, 3.1693)],
)
def test_students_t_is_that_of_the_tables(freedom: int, confidence: float, expected: float) -> None:
    assert student_quantile(freedom, confidence) == pytest.approx(expected, abs=5e-5)


def test_a_mean_of_one_trial_has_no_interval() -> None:
    assert student_interval([1.0]) is None
    assert bootstrap_interval([1.0], seed=1) is None


def test_students_interval_holds_the_mean_as_often_as_it_says() -> None:
    chance = random.Random(1)
    held = 0
    for _ in range(1000):
        interval = student_interval([chance.gauss(5, 2) for _ in range(6)])
        assert interval is not None
        held += interval.low <= 5 <= interval.high
    assert 930 <= held <= 970


def test_the_bootstrap_is_repeated_by_its_seed_and_near_students_interval() -> None:
    chance = random.Random(2)
    values = [chance.gauss(5, 2) for _ in range(40)]
    first, student = bootstrap_interval(values, seed=3), student_interval(values)
    assert first == bootstrap_interval(values, seed=3)
    assert first is not None
    assert student is not None
    assert first.low == pytest.approx(student.low, abs=0.15)
    assert first.high == pytest.approx(student.high, abs=0.15)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3), (3, 3), (4, 4), (3, 5)])
def test_the_exact_test_counts_every_arrangement(m: int, n: int) -> None:
    """For each arrangement of ranks the p-value is the share of arrangements that are at least as extreme."""
    arrangements = list(itertools.combinations(range(m + n), n))

    def u(chosen: tuple[int, ...]) -> int:
        others = [rank for rank in range(m + n) if rank not in chosen]
        return sum(mine > other for mine in chosen for other in others)

    counts = [u(chosen) for chosen in arrangements]
    for chosen in arrangements:
        least = min(u(chosen), m * n - u(chosen))
        expected = min(1.0, 2 * sum(count <= least for count in counts) / len(counts))
        others = [float(rank) for rank in range(m + n) if rank not in chosen]
        assert mann_whitney(others, [float(rank) for rank in chosen]) == pytest.approx(expected)


def test_the_normal_approximation_is_near_the_exact_distribution_where_they_meet() -> None:
    chance = random.Random(4)
    base, new = ([chance.gauss(shift, 1) for _ in range(30)] for shift in (0, 0.5))
    exact = mann_whitney(base, new)
    approximated = mann_whitney([*base, 0.01], [*new, 0.26])
    assert exact == pytest.approx(approximated, abs=0.02)


def test_values_that_are_all_the_same_tell_no_difference() -> None:
    assert mann_whitney([3.0] * 5, [3.0] * 5) == 1.0
    assert cliffs_delta([3.0] * 5, [3.0] * 5) == 0.0


@given(VALUES, VALUES)
@settings(deadline=None)
def test_exchanging_the_runs_turns_the_sign_and_keeps_the_p_value(base: list[float], new: list[float]) -> None:
    delta, turned = cliffs_delta(base, new), cliffs_delta(new, base)
    shift, back = hodges_lehmann(base, new), hodges_lehmann(new, base)
    assert delta is not None
    assert turned is not None
    assert shift is not None
    assert back is not None
    assert delta == pytest.approx(-turned)
    assert shift == pytest.approx(-back)
    assert mann_whitney(base, new) == pytest.approx(mann_whitney(new, base))


@given(VALUES, st.floats(min_value=-1e3, max_value=1e3))
@settings(deadline=None)
def test_a_known_shift_is_found(base: list[float], shift: float) -> None:
    assert hodges_lehmann(base, [value + shift for value in base]) == pytest.approx(
        statistics.median(one + shift - other for one in base for other in base), abs=1e-6
    )


def test_the_interval_of_a_shift_holds_it_as_often_as_it_says() -> None:
    chance = np.random.default_rng(5)
    held = 0
    for _ in range(1000):
        base, new = chance.lognormal(0, 0.5, 8), chance.lognormal(0, 0.5, 8) + 2
        interval = hodges_lehmann_interval(list(base), list(new))
        assert interval is not None
        held += interval.low <= 2 <= interval.high
    assert held >= 940


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 3), (3, 4), (2, 7)])
def test_too_few_values_have_no_interval(m: int, n: int) -> None:
    assert hodges_lehmann_interval([1.0] * m, [2.0] * n) is None


def test_it_is_said_how_many_trials_an_interval_needs() -> None:
    assert trials_needed(4) == 4
    assert trials_needed(3) == 5
    assert trials_needed(1) == 39
    assert hodges_lehmann_interval([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]) is not None


def test_critical_values_are_those_of_the_tables() -> None:
    """For 20 against 20 the published critical U is 127, so the interval ends at the 128th difference."""
    interval = hodges_lehmann_interval([0.0] * 20, [float(value) for value in range(20)])
    assert interval is not None
    assert interval.low == float(sorted(list(range(20)) * 20)[127])


def test_effects_are_named_as_published() -> None:
    assert [effect_word(delta) for delta in (0.0, -0.146, 0.2, -0.4, 0.474, -1.0)] == [
        "negligible",
        "negligible",
        "small",
        "medium",
        "large",
        "large",
    ]


def test_without_values_nothing_is_known() -> None:
    assert mann_whitney([], [1.0]) is None
    assert hodges_lehmann([1.0], []) is None
    assert cliffs_delta([], []) is None


@pytest.mark.parametrize(("freedom", "confidence"), [(0, 0.95), (3, 1.0), (3, 0.0)])
def test_a_quantile_without_a_distribution_is_refused(freedom: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="expected a degree of freedom"):
        student_quantile(freedom, confidence)
