"""What Locust says of a request, as a sample. Pure, and without Locust, whose import changes the whole process.

HTTP clients wrap the socket's errors in their own, so an error is classed by everything that caused it; classes that
are not of the standard library are known by their names, since any client may be behind a load test.
"""

from collections.abc import Mapping
from typing import Any

from flametest.model.samples import Lane, Outcome, Sample

__all__ = ["classify", "make_sample"]

_CAUSES_MAX = 8
_TIMEOUTS = frozenset({"Timeout", "ConnectTimeout", "ReadTimeout"})
_RESETS = frozenset({"HTTPConnectionClosed", "ProtocolError", "RemoteDisconnected", "IncompleteRead"})


def classify(exception: BaseException | None, status: int) -> str:
    """Return the class of an error: refused, timeout, reset, status, other, or empty when there was none."""
    if status >= 400:
        return "status"
    if exception is None:
        return ""
    causes = _causes(exception)
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "refused"
    if any(isinstance(cause, TimeoutError) or type(cause).__name__ in _TIMEOUTS for cause in causes):
        return "timeout"
    if any(isinstance(cause, ConnectionError) or type(cause).__name__ in _RESETS for cause in causes):
        return "reset"
    return "other"


def make_sample(
    *,
    method: str,
    name: str,
    response_ms: float,
    response: Any,
    exception: BaseException | None,
    context: Mapping[str, Any],
    done_ns: int,
) -> Sample:
    """Return what Locust's ``request`` event says as a sample.

    Args:
        method: HTTP method; ``name`` is prefixed by it unless it is so already.
        name: Locust's name of the request.
        response_ms: Locust's response time, from which the time of sending is reckoned when ``context`` lacks it.
        response: the client's response; None or one with status 0 when there was none.
        exception: what Locust counts as failure.
        context: the request's context, with ``intended_ns`` and ``sent_ns`` if the load test puts them there.
        done_ns: monotonic stamp of the event.
    """
    status = int(getattr(response, "status_code", 0) or 0)
    error = classify(exception, status)
    sent_ns = int(context.get("sent_ns") or done_ns - round(response_ms * 1e6))
    intended_ns = int(context.get("intended_ns") or sent_ns)
    headers = getattr(response, "headers", None)
    served_by = str(headers.get("X-Served-By") or "") if headers else ""
    title = name if name.startswith(f"{method} ") else f"{method} {name}"
    return Sample(Lane.LOAD, title, intended_ns, sent_ns, done_ns, _outcome(error), status, served_by, error)


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
