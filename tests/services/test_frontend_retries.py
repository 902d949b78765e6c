"""The retry budget and the pauses, with a clock of the test's own."""

import random

from hypothesis import given
from hypothesis import strategies as st

from frontend_service.retries import RetryBudget, pause_seconds

SHARE = 0.1
TOKENS_MAX = 5.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.sampled_from(["request", "retry", "wait"]), st.floats(0, 10)), max_size=200))
def test_never_more_retries_than_the_budget_has_room_for(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    budget = RetryBudget(SHARE, 2.0, TOKENS_MAX, clock)
    requests = retries = 0
    for step, seconds in steps:
        if step == "request":
            requests += 1
            budget.count_request()
        elif step == "retry":
            retries += budget.take()
        else:
            clock.now += seconds
        assert 0 <= budget.tokens <= TOKENS_MAX
    assert retries <= TOKENS_MAX + SHARE * requests + 2.0 * (clock.now - 100.0) + 1e-6


def test_a_service_that_fails_altogether_gets_a_tenth_more_requests_and_not_a_multiple() -> None:
    budget = RetryBudget(SHARE, 0.0, TOKENS_MAX, Clock())
    granted = 0
    for _ in range(10_000):
        budget.count_request()
        granted += budget.take() + budget.take()
    assert 990 <= granted <= 1010


def test_a_quiet_shop_may_retry_again_after_a_while() -> None:
    clock = Clock()
    budget = RetryBudget(SHARE, 2.0, TOKENS_MAX, clock)
    assert [budget.take() for _ in range(6)] == [True] * 5 + [False]
    clock.now += 0.5
    assert [budget.take(), budget.take()] == [True, False]


@given(retry=st.integers(1, 1000), seed=st.integers())
def test_pauses_are_drawn_from_zero_to_a_limit_that_doubles(retry: int, seed: int) -> None:
    pause = pause_seconds(retry, 0.025, 0.2, random.Random(seed))
    assert 0 <= pause <= min(0.2, 0.025 * 2 ** (retry - 1))


def test_those_who_failed_together_do_not_come_back_together() -> None:
    draw = random.Random(1)
    pauses = [pause_seconds(3, 0.025, 0.2, draw) for _ in range(1000)]
    assert min(pauses) < 0.005
    assert max(pauses) > 0.095
    assert 0.045 < sum(pauses) / len(pauses) < 0.055
