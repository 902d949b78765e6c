"""What Locust loads beside the load test (``-f locustfile.py,locust_export.py``): each request becomes a sample.

It has no users of its own and works with any load test. A load test that puts ``intended_ns`` and ``sent_ns`` into a
request's context, as loadtests/locustfile.py does, has its latency counted from the intended start; otherwise both
are the time of sending. The file is named by FLAMETEST_LOAD_SAMPLES. Lives in Locust's process, as long as it.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
from locust import events

from flametest.load.samplefile import FLUSH_SECONDS, SampleFile
from flametest.model.samples import Lane, Outcome, Sample

__all__ = ["SAMPLES_VARIABLE", "classify", "make_sample"]

SAMPLES_VARIABLE = "FLAMETEST_LOAD_SAMPLES"
_CAUSES_MAX = 8
_RESETS = frozenset({"HTTPConnectionClosed", "ProtocolError", "RemoteDisconnected", "IncompleteRead"})


def classify(exception: BaseException | None, status: int) -> str:
    """Return the class of an error, empty when there was none; looks at what caused ``exception`` too.

    HTTP clients wrap the socket's errors in their own, so that the names of the classes are what they share.
    """
    if status >= 400:
        return "status"
    if exception is None:
        return ""
    causes = _causes(exception)
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "refused"
    if any(isinstance(cause, (TimeoutError, gevent.Timeout)) for cause in causes):
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
    """Return what Locust's ``request`` event says as a sample."""
    status = int(getattr(response, "status_code", 0) or 0)
    error = classify(exception, status)
    sent_ns = int(context.get("sent_ns") or done_ns - round(response_ms * 1e6))
    intended_ns = int(context.get("intended_ns") or sent_ns)
    headers = getattr(response, "headers", None)
    served_by = str(headers.get("X-Served-By") or "") if headers else ""
    outcome = Outcome.OK if not error else Outcome.UNKNOWN if error in {"timeout", "reset"} else Outcome.FAILED
    title = name if name.startswith(f"{method} ") else f"{method} {name}"
    return Sample(Lane.LOAD, title, intended_ns, sent_ns, done_ns, outcome, status, served_by, error)


def _causes(exception: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    pending: list[Any] = [exception]
    while pending and len(found) < _CAUSES_MAX:
        cause = pending.pop(0)
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            pending += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    return found


def _export(environment: Any, path: Path) -> None:
    file = SampleFile(path)
    parent = os.getppid()

    def on_request(
        *, request_type: str, name: str, response_time: float, response: Any, exception: Any, context: Any, **_: Any
    ) -> None:
        done_ns = time.monotonic_ns()
        sample = make_sample(
            method=request_type,
            name=name,
            response_ms=response_time,
            response=response,
            exception=exception,
            context=context or {},
            done_ns=done_ns,
        )
        file.append(sample)

    def flush_often() -> None:
        while True:
            gevent.sleep(FLUSH_SECONDS)
            file.flush()
            if os.getppid() != parent:
                # Whoever wanted this load is gone; nobody else would end it.
                environment.runner.quit()
                return

    flusher = gevent.spawn(flush_often)

    def on_quit(**_: Any) -> None:
        flusher.kill()
        file.close()

    environment.events.request.add_listener(on_request)
    environment.events.quit.add_listener(on_quit)


def _on_init(environment: Any, **_: Any) -> None:
    if path := os.environ.get(SAMPLES_VARIABLE):
        _export(environment, Path(path))


events.init.add_listener(_on_init)
