"""What an answer says of an order: refused for a reason, failed only where nothing can have happened, or in doubt."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.load.exchange import Answer
from flametest.load.orders import REPEAT_DELAYS_SECONDS, OrderMix, outcome_of, plan_order
from flametest.model.writes import WriteOutcome

ACKNOWLEDGED, REFUSED = WriteOutcome.ACKNOWLEDGED, WriteOutcome.REFUSED
FAILED, UNKNOWN = WriteOutcome.FAILED, WriteOutcome.UNKNOWN


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


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (409, b'{"error": "sold_out", "message": "There are not that many tickets left."}', "sold_out"),
        (409, b"", "status 409"),
        (410, b"<html>", "status 410"),
        (422, b'{"detail": [{"loc": []}]}', "status 422"),
        (400, b'{"code": "SOLD\\n OUT"}', "SOLD OUT"),
        (403, b'{"title": "Not for you", "status": 403}', "Not for you"),
        (409, b'["sold out"]', "status 409"),
    ],
)
def test_what_the_shop_declines_for_a_stated_reason_is_refused_and_no_failure(
    status: int, body: bytes, reason: str
) -> None:
    assert answered(status, body) == (REFUSED, 0, reason)


@pytest.mark.parametrize("status", [401, 404, 405, 413, 415, 429])
@pytest.mark.parametrize("body", [b"", b'{"detail": "Not Found"}'])
def test_what_is_turned_away_on_its_way_is_a_failure_whatever_words_come_with_it(status: int, body: bytes) -> None:
    assert answered(status, body) == (FAILED, 0, "status")


@pytest.mark.parametrize("body", [b"", b"no", b"{}", b'{"error": " "}', b'{"error": 3}', b"\xff"])
def test_a_bad_request_without_a_reason_is_a_failure(body: bytes) -> None:
    assert answered(400, body) == (FAILED, 0, "status")


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
