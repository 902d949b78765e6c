"""What an answer says of an order: refused for a reason, failed only where nothing can have happened, or in doubt."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.ledger.definition import Read, Write
from flametest.ledger.outcomes import Written, answer_to_look, answer_to_write
from flametest.load.exchange import Answer
from flametest.model.writes import LookOutcome, WriteOutcome

ACKNOWLEDGED, REFUSED = WriteOutcome.ACKNOWLEDGED, WriteOutcome.REFUSED
FAILED, UNKNOWN = WriteOutcome.FAILED, WriteOutcome.UNKNOWN


WRITE = Write(request="POST /orders", id="$.id", accepted=[200, 201])


def answered(status: int, body: bytes = b'{"id": 7}', write: Write = WRITE) -> tuple[WriteOutcome, str, str]:
    """Return what an answer says of a request that was sent."""
    found = answer_to_write(write, Answer(status, "", False, body), "", request_sent=True)
    assert found.status == status
    return found.outcome, found.id, found.error


@pytest.mark.parametrize("status", [200, 201])
def test_an_answer_that_keeps_the_order_acknowledges_it_with_its_number(status: int) -> None:
    assert answered(status) == (ACKNOWLEDGED, "7", "")


@pytest.mark.parametrize(
    "body", [b"", b"thanks", b"[]", b"{}", b'{"id": "a\\nb"}', b'{"id": true}', b'{"id": {}}', b"\xff"]
)
def test_an_acknowledgement_without_a_number_is_one_all_the_same(body: bytes) -> None:
    assert answered(201, body) == (ACKNOWLEDGED, "", "no id")


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
    assert answered(status, body) == (REFUSED, "", reason)


@pytest.mark.parametrize("status", [401, 404, 405, 413, 415, 429])
@pytest.mark.parametrize("body", [b"", b'{"detail": "Not Found"}'])
def test_what_is_turned_away_on_its_way_is_a_failure_whatever_words_come_with_it(status: int, body: bytes) -> None:
    assert answered(status, body) == (FAILED, "", "status")


@pytest.mark.parametrize("body", [b"", b"no", b"{}", b'{"error": " "}', b'{"error": 3}', b"\xff"])
def test_a_bad_request_without_a_reason_is_a_failure(body: bytes) -> None:
    assert answered(400, body) == (FAILED, "", "status")


@given(st.sampled_from([202, 204, 301, 303, 408, 425, 499]) | st.integers(500, 599))
def test_whatever_else_comes_back_leaves_a_doubt(status: int) -> None:
    assert answered(status) == (UNKNOWN, "", "status")


@pytest.mark.parametrize("error", ["timeout", "reset", "refused", "other"])
def test_without_an_answer_it_depends_on_whether_the_request_left(error: str) -> None:
    assert answer_to_write(WRITE, None, error, request_sent=True) == Written(UNKNOWN, 0, "", error)
    assert answer_to_write(WRITE, None, error, request_sent=False) == Written(FAILED, 0, "", error)


@given(st.integers(100, 599))
def test_what_a_definition_accepts_is_acknowledged_and_what_it_names_refused_is_refused(status: int) -> None:
    accepting = WRITE.model_copy(update={"accepted": [status]})
    assert answered(status, write=accepting)[0] is ACKNOWLEDGED
    refusing = WRITE.model_copy(update={"accepted": [0], "refused": [status]})
    assert answered(status, b"", refusing) == (REFUSED, "", f"status {status}")


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, {"done": 1}, LookOutcome.FOUND),
        (200, {"done": 0}, LookOutcome.FOUND),
        (200, {"done": False}, LookOutcome.MISSING),
        (200, {"done": None}, LookOutcome.MISSING),
        (200, {}, LookOutcome.MISSING),
        (404, {"done": 1}, LookOutcome.MISSING),
        (410, {}, LookOutcome.MISSING),
        (503, {"done": 1}, LookOutcome.UNKNOWN),
        (302, {}, LookOutcome.UNKNOWN),
    ],
)
def test_a_read_shows_a_write_or_that_there_is_none_or_nothing(status: int, body: object, outcome: LookOutcome) -> None:
    read = Read(find="GET /orders/{id}", found="$.done")
    assert answer_to_look(read, status, json.dumps(body).encode())[0] is outcome


def test_an_answer_that_is_no_json_shows_a_write_only_where_its_status_is_enough() -> None:
    assert answer_to_look(Read(find="GET /orders/{id}"), 200, b"<html>")[0] is LookOutcome.FOUND
    assert answer_to_look(Read(find="GET /orders/{id}", found="$.done"), 200, b"<html>")[0] is LookOutcome.UNKNOWN
