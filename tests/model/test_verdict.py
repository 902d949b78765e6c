"""The algebra of verdicts: the worst decides, whatever the order, and what is missing never passes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flametest.model.verdict import Bound, Limit, Verdict, judge, worst

VERDICTS = st.lists(st.sampled_from(Verdict), min_size=1, max_size=6)
FIGURES = st.floats(allow_nan=False, allow_infinity=False)
LIMITS = st.builds(Limit, criterion=st.just("outage_seconds"), bound=st.sampled_from(Bound), value=FIGURES)


@given(VERDICTS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_does_not_matter(verdicts: list[Verdict], order: object) -> None:
    assert worst(verdicts) == worst(reversed(verdicts)) == worst(sorted(verdicts)) == worst(set(verdicts))


@given(VERDICTS, VERDICTS)
@settings(deadline=None)
def test_the_worst_of_parts_is_the_worst_of_all(some: list[Verdict], others: list[Verdict]) -> None:
    assert worst([worst(some), worst(others)]) is worst(some + others)


@given(VERDICTS, st.sampled_from(Verdict))
@settings(deadline=None)
def test_one_more_verdict_never_makes_it_better(verdicts: list[Verdict], more: Verdict) -> None:
    severity = [Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED].index
    assert severity(worst([*verdicts, more])) >= max(severity(worst(verdicts)), severity(more))


def test_no_verdict_is_inconclusive() -> None:
    assert worst([]) is Verdict.INCONCLUSIVE


@given(LIMITS)
@settings(deadline=None)
def test_a_missing_figure_under_a_limit_is_inconclusive(limit: Limit) -> None:
    assert judge(None, limit) is Verdict.INCONCLUSIVE


@given(st.one_of(st.none(), FIGURES))
@settings(deadline=None)
def test_without_a_limit_everything_passes(value: float | None) -> None:
    assert judge(value, None) is Verdict.PASSED


@given(LIMITS)
@settings(deadline=None)
def test_the_limit_itself_is_kept(limit: Limit) -> None:
    assert judge(limit.value, limit) is Verdict.PASSED


@given(LIMITS, FIGURES, FIGURES)
@settings(deadline=None)
def test_a_better_figure_is_never_judged_worse(limit: Limit, one: float, other: float) -> None:
    low, high = sorted((one, other))
    better, worse = (low, high) if limit.bound is Bound.AT_MOST else (high, low)
    assert judge(worse, limit) is Verdict.FAILED or judge(better, limit) is Verdict.PASSED


@pytest.mark.parametrize(("bound", "kept"), [(Bound.AT_MOST, 1.0), (Bound.AT_LEAST, 3.0)])
def test_a_bound_says_which_side_is_good(bound: Bound, kept: float) -> None:
    limit = Limit("p95_ms", bound, 2.0)
    assert limit.holds(kept)
    assert not limit.holds(4.0 - kept)
