"""What Locust says of a request, as a sample."""

import csv
import errno
import io
import resource
import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.load.locust_sample import UnrecordableError, classify, make_sample
from flametest.measure.samples import read_samples
from flametest.model.samples import SAMPLE_COLUMNS, Lane, Outcome, Sample


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


DONE_NS = 10_000_000


def sample(**changes: Any) -> Sample:
    """Return the sample of a good request with ``changes``."""
    answer = SimpleNamespace(status_code=200, headers={"X-Served-By": "api-1"})
    event: dict[str, Any] = {"request_type": "GET", "name": "/hits", "response_time": 2.0, "response": answer}
    return make_sample(event | {"exception": None, "context": {}} | changes, DONE_NS)


def test_latency_counts_from_the_intended_start_that_the_load_test_gives() -> None:
    found = sample(context={"intended_ns": 1_000, "sent_ns": 2_000})
    assert found == Sample(Lane.LOAD, "GET /hits", 1_000, 2_000, DONE_NS, Outcome.OK, 200, "api-1", "")


def test_without_it_the_time_of_sending_is_reckoned_from_the_response_time() -> None:
    found = sample(name="GET /hits")
    assert (found.name, found.intended_ns, found.sent_ns) == ("GET /hits", 8_000_000, 8_000_000)


@pytest.mark.parametrize(
    "context", [{"sent_ns": "8"}, {"sent_ns": DONE_NS + 1}, {"sent_ns": -(10**13)}, {"intended_ns": True}, "none", None]
)
def test_a_context_that_means_something_else_is_left_alone(context: Any) -> None:
    assert sample(context=context).sent_ns == 8_000_000


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


@pytest.mark.parametrize("exception", [RuntimeError("UNAVAILABLE"), "UNAVAILABLE", ["UNAVAILABLE"]])
def test_a_failure_without_a_response_time_is_a_failed_request(exception: Any) -> None:
    event = {"request_type": "grpc", "name": "/shop.Shop/Buy", "response_time": None, "exception": exception}
    found = make_sample(event, DONE_NS)
    assert (found.name, found.outcome, found.error) == ("grpc /shop.Shop/Buy", Outcome.FAILED, "other")
    assert (found.sent_ns, found.done_ns) == (DONE_NS, DONE_NS)


def test_a_failure_without_a_response_time_lasted_as_long_as_its_start_tells() -> None:
    found = sample(response_time=None, exception=TimeoutError(), response=None, start_time=time.time() - 3)
    assert (found.done_ns - found.sent_ns) / 1e9 == pytest.approx(3, abs=1)


@pytest.mark.parametrize(
    "changes",
    [
        {"response_time": None},
        {"response_time": float("nan")},
        {"response_time": -1},
        {"response_time": "12"},
        {"response_time": True},
        {"response_time": 1e300},
        {"response_time": "12", "exception": RuntimeError()},
        {"name": None},
        {"name": " "},
    ],
)
def test_what_is_no_request_is_said_to_be_none(changes: dict[str, Any]) -> None:
    with pytest.raises(UnrecordableError, match=r"its (response_time|name) is"):
        sample(**changes)


@pytest.mark.parametrize("status", ["OK", None, 10**9, -1, object(), float("nan"), float("inf")])
def test_a_status_of_another_protocol_is_no_http_status(status: Any) -> None:
    assert sample(response=SimpleNamespace(status_code=status, headers=3)).status == 0


def test_what_the_load_test_calls_a_success_is_one_whatever_its_status() -> None:
    accepted = SimpleNamespace(status_code=404, headers={}, _manual_result=True)
    assert sample(response=accepted).outcome is Outcome.OK
    rejected = SimpleNamespace(status_code=200, headers={}, _manual_result=ValueError("no cart"))
    assert sample(response=rejected, exception=ValueError("no cart")).outcome is Outcome.FAILED


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "request_type": st.text() | st.none(),
            "name": st.text() | st.none() | st.integers(),
            "response_time": st.floats() | st.none() | st.text() | st.integers(),
            "exception": st.none() | st.text() | st.just(OSError(99, "no")) | st.booleans(),
            "context": st.none() | st.dictionaries(st.sampled_from(["sent_ns", "intended_ns"]), st.integers()),
            "response": st.none() | st.builds(SimpleNamespace, status_code=st.integers() | st.text()),
            "start_time": st.none() | st.floats() | st.text(),
        },
    )
)
def test_whatever_is_fired_is_a_sample_that_can_be_read_back_or_is_told_of(event: dict[str, Any]) -> None:
    try:
        found = make_sample(event, 10**15)
    except UnrecordableError:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SAMPLE_COLUMNS)
    writer.writerow(found)
    lines = text.getvalue().encode().decode().splitlines(keepends=True)
    assert len(lines) == 2
    assert read_samples(lines).row(0) == found


@pytest.mark.parametrize(
    ("exception", "error"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "generator: EMFILE"),
        (wrapped(OSError(errno.ENFILE, "File table overflow")), "generator: ENFILE"),
        (RuntimeError("pool", OSError(errno.EADDRNOTAVAIL, "Cannot assign")), "generator: EADDRNOTAVAIL"),
        (OSError(errno.EADDRINUSE, "in use"), "generator: EADDRINUSE"),
        (MemoryError(), "generator: ENOMEM"),
        (OSError(errno.ENOBUFS, "no buffers"), "generator: ENOBUFS"),
        (socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"), "generator: ENOMEM"),
        (RuntimeError("can't start new thread"), "generator: no threads"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "other"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "other"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "other"),
    ],
)
def test_what_the_sending_machine_lacks_is_no_failure_of_the_system(exception: Exception, error: str) -> None:
    assert sample(exception=exception, response=None).error == error


def test_a_name_that_cannot_be_asked_for_without_descriptors_is_no_failure_of_the_system() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        found = sample(exception=wrapped(socket.gaierror(socket.EAI_AGAIN, "Temporary failure")), response=None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found.error == "generator: EMFILE"
