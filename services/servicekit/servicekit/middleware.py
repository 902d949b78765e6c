"""What happens around every request: its ids, the fault switch, metrics, the access log, and the last resort.

Plain ASGI, wrapped around the whole application, so that also answers that FastAPI makes itself (404, 405, 422) and
errors that nobody expected carry the request id and are counted and logged.
"""

import asyncio
import json
import logging
import re
import time
import uuid
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .faults import FaultSwitch
from .logs import log_fields, request_id
from .tracing import accepted_trace, trace

__all__ = ["RequestMetrics", "RequestMiddleware"]

_log = logging.getLogger(f"{__package__}.access")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# What the cluster asks, not users: kept out of the access log, and out of the reach of the fault switch, so that a
# brown-out stays one and does not become a restart.
_CLUSTER_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestMetrics:
    """Counts and durations of requests, for Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self._requests = Counter("http_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram("http_request_duration_seconds", "Time to answer.", labels[:2], registry=registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


@dataclass(slots=True)
class _Answer:
    """What was sent so far: the status, 0 before the answer began."""

    status: int = 0


class RequestMiddleware:
    """Wraps an ASGI application; one per application."""

    def __init__(self, app: ASGIApp, switch: FaultSwitch, metrics: RequestMetrics) -> None:
        self._app = app
        self._switch = switch
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = _accepted_request_id(scope)
        token, trace_token = request_id.set(identifier), trace.set(accepted_trace(scope["headers"]))
        started = time.monotonic()
        answer = _Answer()
        try:
            await self._serve(scope, receive, _with_request_id(send, identifier, answer), answer)
        finally:
            self._account(scope, answer.status, time.monotonic() - started)
            trace.reset(trace_token)
            request_id.reset(token)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, answer: _Answer) -> None:
        try:
            if scope["path"] not in _CLUSTER_PATHS:
                decision = self._switch.decide()
                if decision.delay_seconds:
                    await asyncio.sleep(decision.delay_seconds)
                if decision.fails:
                    await _send_json(send, 500, {"error": "injected", "message": "The fault switch is on."})
                    return
            await self._app(scope, receive, send)
        except Exception:
            _log.exception("request failed", extra=log_fields(path=scope["path"]))
            if answer.status:
                raise  # the answer has begun: only breaking the connection tells the client that it is not whole
            await _send_json(send, 500, {"error": "internal", "message": "Something went wrong here. It was noted."})

    def _account(self, scope: Scope, status: int, seconds: float) -> None:
        # The route's template, not the path: labels must not grow with what clients send.
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if route != "unmatched" else "any"
        self._metrics.observe(method, route, status, seconds)
        if scope["path"] not in _CLUSTER_PATHS:
            _log.info(
                "request",
                extra=log_fields(
                    method=scope["method"], path=scope["path"], status=status, duration_ms=round(seconds * 1000, 2)
                ),
            )


def _accepted_request_id(scope: Scope) -> str:
    """Return the client's X-Request-ID when it is safe to log and to send back, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            if _REQUEST_ID.fullmatch(text):
                return str(text)
    return uuid.uuid4().hex


def _with_request_id(send: Send, identifier: str, answer: _Answer) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", identifier.encode())]
        await send(message)

    return wrapped


async def _send_json(send: Send, status: int, body: dict[str, str]) -> None:
    content = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
