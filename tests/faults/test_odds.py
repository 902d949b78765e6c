"""How often a test of a rate errs, computed exactly for every course that soundings can take."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.faults.odds import RATE_MIN, UNPROVED_MAX, WRONG_MAX, Decision, RateTest, can_be_shown

ODDS_RATIO = 4.0
NEGLIGIBLE = 1e-18  # all that is left out below it adds up to less than 1e-13
RATES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 0.95)


class Course(NamedTuple):
    """What becomes of all courses: how many are shown and refuted, as shares, and the requests of an average one."""

    shown: float
    refuted: float
    requests: float


def beyond(rate: float, ratio: float) -> float:
    """Return the rate whose odds are ``ratio`` times those of another one."""
    odds = rate / (1 - rate) * ratio
    return odds / (1 + odds)


def looks_of(test: RateTest) -> Iterator[int]:
    """Return after how many requests one looks: those that come first, then half as many again and again."""
    requests = test.requests_first
    while requests < test.requests_max:
        yield requests
        requests += test.requests_first // 2
    yield requests


def binomial(requests: int, rate: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return the probability of each count; squaring keeps the rounding below 1e-12."""
    found, factor = np.ones(1), np.array([1 - rate, rate])
    while requests:
        if requests & 1:
            found = np.convolve(found, factor)
        requests >>= 1
        factor = np.convolve(factor, factor) if requests else factor
    return found


def courses(test: RateTest, true_rate: float, looks: Callable[[RateTest], Iterator[int]] = looks_of) -> Course:
    """Return what becomes of requests that fail at ``true_rate``, of all that can come, weighted by their chance."""
    open_counts, before, shown, refuted, average = np.ones(1), 0, 0.0, 0.0, 0.0
    steps: dict[int, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    for requests in looks(test):
        step = requests - before
        open_counts, before = np.convolve(open_counts, steps.setdefault(step, binomial(step, true_rate))), requests
        for count in np.flatnonzero(open_counts > NEGLIGIBLE):
            decision, share = test.decide(requests, int(count)), float(open_counts[count])
            if decision is Decision.OPEN:
                continue
            shown += share * (decision is Decision.SHOWN)
            refuted += share * (decision is Decision.REFUTED)
            average += requests * share
            open_counts[count] = 0
    assert shown + refuted == pytest.approx(1, abs=1e-10)
    return Course(shown, refuted, average)


@pytest.mark.parametrize("checks", [1, 3])
@pytest.mark.parametrize("rate", RATES)
def test_a_rate_as_asked_for_is_refuted_less_than_once_in_a_million_times(rate: float, checks: int) -> None:
    assert checks * courses(RateTest(rate, checks), rate).refuted < UNPROVED_MAX


@pytest.mark.parametrize("ratio", [1 / ODDS_RATIO, ODDS_RATIO])
@pytest.mark.parametrize("rate", RATES)
def test_a_wrong_rate_is_shown_less_than_once_in_a_thousand_times(rate: float, ratio: float) -> None:
    assert courses(RateTest(rate), beyond(rate, ratio)).shown < WRONG_MAX
    assert courses(RateTest(rate), beyond(rate, ratio**2)).shown < WRONG_MAX / 100


def test_looking_after_every_single_request_changes_none_of_the_bounds() -> None:
    def each(test: RateTest) -> Iterator[int]:
        yield from range(1, test.requests_max + 1)

    test = RateTest(0.3)
    assert courses(test, 0.3, each).refuted < UNPROVED_MAX
    assert courses(test, beyond(0.3, 1 / ODDS_RATIO), each).shown < WRONG_MAX
    assert courses(test, beyond(0.3, ODDS_RATIO), each).shown < WRONG_MAX


def test_a_lower_bound_is_refuted_by_lower_rates_only() -> None:
    test = RateTest(0.6, at_least=True)
    assert courses(test, 0.6).refuted < UNPROVED_MAX
    assert courses(test, 1.0).shown == pytest.approx(1)
    assert courses(test, beyond(0.6, 1 / ODDS_RATIO)).shown < WRONG_MAX


@pytest.mark.parametrize(("rate", "requests"), [(0.1, 240), (0.2, 210), (0.3, 205), (0.5, 205)])
def test_what_is_mostly_asked_for_is_mostly_shown_by_the_first_200_requests(rate: float, requests: int) -> None:
    assert RateTest(rate).requests_first == 200
    assert courses(RateTest(rate), rate).requests < requests


@given(st.floats(RATE_MIN, 1 - RATE_MIN), st.integers(1, 4))
def test_it_is_decided_in_the_end_and_a_fault_that_is_absent_is_refuted(rate: float, checks: int) -> None:
    test = RateTest(rate, checks)
    most = test.requests_max
    assert test.decide(most, 0) is Decision.REFUTED
    assert test.decide(most, most) is Decision.REFUTED
    assert test.decide(most, round(most * rate)) is Decision.SHOWN
    assert test.requests_first <= most <= 120 / min(rate, 1 - rate)


@given(st.floats(RATE_MIN, 1 - RATE_MIN), st.integers(1, 2000))
def test_counts_that_show_a_rate_lie_between_those_that_refute_it(rate: float, requests: int) -> None:
    order = [Decision.REFUTED, Decision.OPEN, Decision.SHOWN]
    told = [order.index(RateTest(rate).decide(requests, count)) for count in range(requests + 1)]
    peak = told.index(max(told))
    assert told[:peak] == sorted(told[:peak])
    assert told[peak:] == sorted(told[peak:], reverse=True)


def test_a_rate_of_one_is_met_by_every_request_or_refuted() -> None:
    assert RateTest(1).decide(20, 20) is Decision.SHOWN
    assert RateTest(1).decide(20, 19) is Decision.REFUTED
    assert RateTest(1).requests_first == RateTest(1).requests_max == 20
    assert WRONG_MAX > 0.7**20


def test_rates_that_no_requests_can_show_are_known() -> None:
    assert all(map(can_be_shown, (0, RATE_MIN, 0.5, 1 - RATE_MIN, 1)))
    assert not any(map(can_be_shown, (0.001, 0.9995)))
    with pytest.raises(ValueError, match=r"more than 0 and at most 1, found 1\.5"):
        RateTest(1.5)
