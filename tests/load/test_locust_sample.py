"""What Locust says of a request, as a sample."""

from types import SimpleNamespace
from typing import Any

import pytest

from flametest.load.locust_sample import classify, make_sample
from flametest.model.samples import Lane, Outcome, Sample


class HTTPConnectionClosed(Exception):  # noqa: N818  # the name is what counts
    """Named as a client's own error."""


class Timeout(BaseException):
    """Named as gevent's."""


def wrapped(cause: BaseException) -> Exception:
    """Return an error of a client's own that was caused by ``cause``."""
    try:
        try:
            raise cause
        except BaseException as error:
            raise RuntimeError("client error") from error
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize(
    ("exception", "status", "expected"),
    [
        (None, 200, ""),
        (RuntimeError("bad status"), 503, "status"),
        (ConnectionRefusedError(111, "refused"), 0, "refused"),
        (ConnectionResetError(104, "reset"), 0, "reset"),
        (BrokenPipeError(32, "pipe"), 0, "reset"),
        (HTTPConnectionClosed(), 0, "reset"),
        (TimeoutError("timed out"), 0, "timeout"),
        (Timeout(), 0, "timeout"),
        (wrapped(ConnectionRefusedError()), 0, "refused"),
        (wrapped(TimeoutError()), 0, "timeout"),
        (RuntimeError("pool", SimpleNamespace(), ConnectionRefusedError()), 0, "refused"),
        (ValueError("strange"), 0, "other"),
    ],
)
def test_errors_are_classed_by_what_caused_them(exception: Any, status: int, expected: str) -> None:
    assert classify(exception, status) == expected


def sample(**changes: Any) -> Sample:
    """Return the sample of a good request with ``changes``."""
    answer = SimpleNamespace(status_code=200, headers={"X-Served-By": "api-1"})
    event: dict[str, Any] = {"method": "GET", "name": "/hits", "response_ms": 2.0, "response": answer}
    event |= {"exception": None, "context": {}, "done_ns": 10_000_000}
    return make_sample(**(event | changes))


def test_latency_counts_from_the_intended_start_that_the_load_test_gives() -> None:
    found = sample(context={"intended_ns": 1_000, "sent_ns": 2_000})
    assert found == Sample(Lane.LOAD, "GET /hits", 1_000, 2_000, 10_000_000, Outcome.OK, 200, "api-1", "")


def test_without_it_the_time_of_sending_is_reckoned_from_the_response_time() -> None:
    found = sample(name="GET /hits")
    assert (found.name, found.intended_ns, found.sent_ns) == ("GET /hits", 8_000_000, 8_000_000)


@pytest.mark.parametrize(
    ("exception", "outcome"),
    [
        (TimeoutError(), Outcome.UNKNOWN),
        (ConnectionResetError(), Outcome.UNKNOWN),
        (ConnectionRefusedError(), Outcome.FAILED),
    ],
)
def test_a_request_without_an_answer_failed_only_if_it_cannot_have_had_an_effect(
    exception: Exception, outcome: Outcome
) -> None:
    found = sample(exception=exception, response=SimpleNamespace(status_code=0, headers=None))
    assert (found.outcome, found.status, found.served_by) == (outcome, 0, "")
