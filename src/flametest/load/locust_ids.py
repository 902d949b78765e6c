"""What Locust loads beside the load test so that each request of its HTTP clients carries an id, kept with its sample.

Of any load test: whoever calls `HttpSession.request` or `FastHttpSession.request`. Ids that the load test sends itself
stay as they are, and its ``traceparent`` is then what the sample keeps. Lives in Locust's process.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

from locust import events
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession

from flametest.load.locust_sample import TRACE_ID
from flametest.model.requestids import TRACEPARENT, RequestIds, trace_id_of

__all__ = ["send_ids"]

_POSITIONAL_MAX = 2  # what both clients take after method and URL before it could be headers or context
_SESSIONS = (HttpSession, FastHttpSession)


def send_ids(ids: RequestIds) -> Callable[[], None]:
    """Have all HTTP clients send ids from now on; return what takes that back."""
    before = [(session, session.request) for session in _SESSIONS]
    for session, request in before:
        session.request = _with_ids(request, ids)

    def take_back() -> None:
        for session, request in before:
            session.request = request

    return take_back


def _with_ids(request: Callable[..., Any], ids: RequestIds) -> Callable[..., Any]:
    def request_with_ids(session: Any, method: Any, url: Any, *further: Any, **options: Any) -> Any:
        if len(further) > _POSITIONAL_MAX:
            return request(session, method, url, *further, **options)
        own = {**(options.get("headers") or {})}
        sent = {str(name).lower(): value for name, value in (*_kept(session).items(), *own.items())}
        trace_id = trace_id_of(_text(sent.get(TRACEPARENT, ""))) or ids.draw()
        added = {name: value for name, value in ids.headers(trace_id).items() if name.lower() not in sent}
        options["headers"] = {**added, **own}
        options["context"] = {**(options.get("context") or {}), TRACE_ID: trace_id}
        return request(session, method, url, *further, **options)

    return request_with_ids


def _kept(session: Any) -> Mapping[Any, Any]:
    """Return the headers that a client sends with each request; only that of ``requests`` keeps any."""
    headers = getattr(session, "headers", None)
    return headers if isinstance(headers, Mapping) else {}


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _on_init(**_: Any) -> None:
    ids = RequestIds.of(os.environ)
    if ids.is_on:
        send_ids(ids)


events.init.add_listener(_on_init)
