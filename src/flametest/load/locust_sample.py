"""What Locust says of a request, as a sample. Without Locust, whose import changes the whole process.

HTTP clients wrap the socket's errors in their own, so an error is classed by everything that caused it; classes that
are not of the standard library are known by their names, since any client may be behind a load test. Whatever is fired
as a request has to become a sample or be told of: what vanished would count as if it had never been asked.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from flametest.load.exhaustion import exhaustion
from flametest.model.samples import Lane, Outcome, Sample

__all__ = ["TRACE_ID", "UnrecordableError", "classify", "make_sample"]

TRACE_ID = "trace_id"
"""Under which the context of a request has the id that it carried."""

_CAUSES_MAX = 8
_NAME_CHARACTERS_MAX = 300
_STATUS_MAX = 999
_REQUEST_SECONDS_MAX = 3600.0  # what is said to have taken longer is a mistake of whoever fired it
_TIMEOUTS = frozenset({"Timeout", "ConnectTimeout", "ReadTimeout"})
_RESETS = frozenset({"HTTPConnectionClosed", "ProtocolError", "RemoteDisconnected", "IncompleteRead"})


class UnrecordableError(ValueError):
    """A request event that is no sample; the message says what it lacks."""


def classify(exception: Any, status: int, *, is_accepted: bool = False) -> str:
    """Return the class of an error: refused, timeout, reset, status, other, or empty when there was none.

    One that the machine of the load caused itself is classed as `exhaustion` does.

    Args:
        exception: what the load test or its client says went wrong; anything that is true does.
        status: HTTP status; 0 without an answer.
        is_accepted: the load test called the answer a success, whatever its status.
    """
    if status >= 400 and not is_accepted:
        return "status"
    if not isinstance(exception, BaseException):
        return "other" if exception else ""
    causes = _causes(exception)
    return exhaustion(causes) or _class_of(causes)


def make_sample(event: Mapping[str, Any], done_ns: int) -> Sample:
    """Return what Locust's ``request`` event says as a sample.

    One that failed needs no response time: clients of other protocols have none then. Its duration is told by the
    context or by ``start_time``, and is 0 where neither is there.

    Args:
        event: its arguments, as Locust's documentation has them: ``request_type``, ``name``, ``response_time`` in
            milliseconds, ``response``, ``exception``, ``context``, ``start_time``. The context's ``intended_ns`` and
            ``sent_ns`` (`time.monotonic_ns`) tell when the request was to start and did; its ``trace_id`` is the
            id that `locust_ids` has sent with it.
        done_ns: monotonic stamp of the event.

    Raises:
        UnrecordableError: it has no name, or was answered well and does not say how long that took.
    """
    response, exception = event.get("response"), event.get("exception")
    status = _status(response)
    # Both clients of Locust note so that a load test has called an answer a success.
    error = classify(exception, status, is_accepted=getattr(response, "_manual_result", None) is True)
    sent_ns = _sent_ns(event, done_ns, has_failed=bool(error))
    intended_ns = _plausible(_context(event).get("intended_ns"), sent_ns) or sent_ns
    stamps, served_by = (intended_ns, sent_ns, done_ns), _served_by(response)
    return Sample(Lane.LOAD, _title(event), *stamps, _outcome(error), status, served_by, error, _trace_id(event))


def _sent_ns(event: Mapping[str, Any], done_ns: int, *, has_failed: bool) -> int:
    """Return when a request was sent.

    Raises:
        UnrecordableError: nothing tells, and it did not fail.
    """
    if told_ns := _plausible(_context(event).get("sent_ns"), done_ns):
        return told_ns
    taken_ms = event.get("response_time")
    if _is_number(taken_ms) and 0 <= taken_ms <= _REQUEST_SECONDS_MAX * 1e3:
        return done_ns - round(taken_ms * 1e6)
    if not has_failed or taken_ms is not None:
        raise UnrecordableError(f"its response_time is {taken_ms!r:.60}; expected milliseconds")
    begun = event.get("start_time")
    seconds = time.time() - begun if _is_number(begun) else 0.0
    return done_ns - (round(seconds * 1e9) if 0 <= seconds <= _REQUEST_SECONDS_MAX else 0)


def _title(event: Mapping[str, Any]) -> str:
    """Return the name of a request in one line, with its method or protocol before it.

    Raises:
        UnrecordableError: it has none.
    """
    method, name = event.get("request_type"), event.get("name")
    if name is None or not str(name).strip():
        raise UnrecordableError(f"its name is {name!r:.60}")
    title = " ".join(str(name).split())
    prefix = " ".join(str(method).split()) if method else ""
    if prefix and not title.startswith(f"{prefix} "):
        title = f"{prefix} {title}"
    return _text(title)[:_NAME_CHARACTERS_MAX]


def _text(value: str) -> str:
    """Return text that any file can hold: what is no character, or none that can be seen, is replaced."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in value)


def _status(response: Any) -> int:
    """Return the HTTP status of an answer; 0 where there is none, as for other protocols."""
    try:
        status = int(getattr(response, "status_code", 0) or 0)
    except (TypeError, ValueError, OverflowError):
        return 0
    return status if 0 <= status <= _STATUS_MAX else 0


def _served_by(response: Any) -> str:
    try:
        return _text(str(response.headers.get("X-Served-By") or ""))
    except (AttributeError, TypeError):  # no answer, or none with headers
        return ""


def _trace_id(event: Mapping[str, Any]) -> str:
    told = _context(event).get(TRACE_ID)
    return told if isinstance(told, str) else ""


def _context(event: Mapping[str, Any]) -> Mapping[str, Any]:
    context = event.get("context")
    return context if isinstance(context, Mapping) else {}


def _plausible(told_ns: Any, until_ns: int) -> int:
    """Return a monotonic stamp that a context holds; 0 for none, or for one of another clock or unit."""
    if not isinstance(told_ns, int) or isinstance(told_ns, bool):
        return 0
    return told_ns if 0 <= until_ns - told_ns <= _REQUEST_SECONDS_MAX * 1e9 else 0


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _class_of(causes: Sequence[BaseException]) -> str:
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "refused"
    if any(isinstance(cause, TimeoutError) or type(cause).__name__ in _TIMEOUTS for cause in causes):
        return "timeout"
    if any(isinstance(cause, ConnectionError) or type(cause).__name__ in _RESETS for cause in causes):
        return "reset"
    return "other"


def _outcome(error: str) -> Outcome:
    if not error:
        return Outcome.OK
    # The client does not tell whether the request went out before the time limit; it may have.
    return Outcome.UNKNOWN if error in {"timeout", "reset"} else Outcome.FAILED


def _causes(exception: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    pending: list[Any] = [exception]
    while pending and len(found) < _CAUSES_MAX:
        cause = pending.pop(0)
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            pending += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return found
