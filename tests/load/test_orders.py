"""What an answer says of an order: failed only where nothing can have happened."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.load.exchange import Answer
from flametest.load.orders import REPEAT_DELAYS_SECONDS, OrderMix, outcome_of, plan_order
from flametest.model.writes import WriteOutcome

ACKNOWLEDGED, FAILED, UNKNOWN = WriteOutcome.ACKNOWLEDGED, WriteOutcome.FAILED, WriteOutcome.UNKNOWN


def answered(status: int, body: bytes = b'{"id": 7}') -> tuple[WriteOutcome, int, str]:
    """Return what an answer says of a request that was sent."""
    return outcome_of(Answer(status, "", False, body), "", request_sent=True)


@pytest.mark.parametrize("status", [200, 201])
def test_an_answer_that_keeps_the_order_acknowledges_it_with_its_number(status: int) -> None:
    assert answered(status) == (ACKNOWLEDGED, 7, "")


@pytest.mark.parametrize(
    "body", [b"", b"thanks", b"[]", b"{}", b'{"id": "7"}', b'{"id": true}', b'{"id": -1}', b"\xff"]
)
def test_an_acknowledgement_without_a_number_is_one_all_the_same(body: bytes) -> None:
    assert answered(201, body) == (ACKNOWLEDGED, 0, "no order id")


@pytest.mark.parametrize("status", [400, 404, 409, 415, 422, 429])
def test_a_refusal_is_a_failure(status: int) -> None:
    assert answered(status) == (FAILED, 0, "status")


@given(st.sampled_from([202, 204, 301, 303, 408, 425, 499]) | st.integers(500, 599))
def test_whatever_else_comes_back_leaves_a_doubt(status: int) -> None:
    assert answered(status) == (UNKNOWN, 0, "status")


@pytest.mark.parametrize("error", ["timeout", "reset", "refused", "other"])
def test_without_an_answer_it_depends_on_whether_the_request_left(error: str) -> None:
    assert outcome_of(None, error, request_sent=True) == (UNKNOWN, 0, error)
    assert outcome_of(None, error, request_sent=False) == (FAILED, 0, error)


@given(st.integers())
def test_the_same_seed_gives_the_same_orders(seed: int) -> None:
    mix = OrderMix(1, 4, scarce_share=0.3, repeat_share=0.3)
    first, second = random.Random(seed), random.Random(seed)
    assert [plan_order(mix, first) for _ in range(20)] == [plan_order(mix, second) for _ in range(20)]


def test_orders_are_mixed_as_asked() -> None:
    draws = random.Random(3)
    plans = [plan_order(OrderMix(1, 4, scarce_share=0.2, repeat_share=0.1), draws) for _ in range(2000)]
    repeats = [plan.repeat_delay_seconds for plan in plans if plan.repeat_delay_seconds is not None]
    assert 0.16 < sum(plan.event_id == 4 for plan in plans) / 2000 < 0.24
    assert 0.08 < len(repeats) / 2000 < 0.12
    assert set(repeats) == set(REPEAT_DELAYS_SECONDS)


def test_without_a_scarce_event_everything_is_ordered_of_the_other() -> None:
    draws = random.Random(3)
    assert {plan_order(OrderMix(2), draws).event_id for _ in range(200)} == {2}
