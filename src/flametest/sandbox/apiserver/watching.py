"""Watches over HTTP: a response that goes on, one JSON event a line, until its time, client or server ends it."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from aiohttp import web

from flametest.sandbox.apiserver.outcomes import Selection
from flametest.sandbox.apiserver.registry import Registry
from flametest.sandbox.apiserver.requests import Form, Target, is_true, number_of, parse_version, selection
from flametest.sandbox.apiserver.resources import Resource
from flametest.sandbox.apiserver.selectors import FieldRequirement
from flametest.sandbox.apiserver.tables import IncludeObject, partial_metadata, table
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object
from flametest.sandbox.store import Change, Record, Subscription

__all__ = ["stream_watch"]

WATCH_SECONDS_MIN, WATCH_SECONDS_MAX = 1800, 3600
"""How long a watch lasts that names no end; at random between, so that clients do not all come back at once."""

BOOKMARK_SECONDS = 15.0
"""How often a bookmark tells its client the present version, if it asked for bookmarks."""

LAST_BOOKMARK_SECONDS = 2.0
"""How long before the end of a watch a last one comes, as from a real API server: the next watch begins from it."""


class _Encoder:
    """Turns records into lines of the stream, in the form that the client wants."""

    def __init__(self, registry: Registry, resource: Resource, form: Form, include: IncludeObject) -> None:
        self._registry = registry
        self._resource = resource
        self._form = form
        self._include = include
        self._header_sent = False

    def line(self, kind: str, data: bytes) -> bytes:
        """Return the line of an event about a stored object."""
        data = self._reshape(orjson.loads(data)) if self._form != "object" else self._resource.shown(data)
        return b'{"type":"' + kind.encode() + b'","object":' + data + b"}\n"

    def bookmark(self, version: int, *, initial_end: bool) -> bytes:
        """Return the line that tells the present version; ``initial_end``: that the initial events are complete."""
        metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj = {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        if self._form == "table":
            obj = table(self._resource, [], metadata, self._include, self._registry.clock(), header=False)
        elif self._form == "metadata":
            obj = partial_metadata(obj)
        return b'{"type":"BOOKMARK","object":' + orjson.dumps(obj) + b"}\n"

    def _reshape(self, obj: Object) -> bytes:
        if self._form == "metadata":
            return orjson.dumps(partial_metadata(obj))
        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        header = not self._header_sent
        self._header_sent = True
        now = self._registry.clock()
        return orjson.dumps(table(self._resource, [obj], metadata, self._include, now, header=header))


def _error_line(error: StatusError) -> bytes:
    return b'{"type":"ERROR","object":' + orjson.dumps(error.to_object()) + b"}\n"


@dataclass(frozen=True, slots=True)
class _Watch:
    """What one watch is about: a namespace (None: all), a selection, and how its events are written."""

    namespace: str | None
    chosen: Selection
    encoder: _Encoder
    bookmarks: bool

    def lines(self, change: Change) -> Iterator[bytes]:
        """Yield the line of a change as the selection sees it: what comes into it is added, what leaves it deleted."""
        if self.namespace is not None and change.key[0] != self.namespace:
            return
        now = change.type != "DELETED" and self.chosen.matches(change.key, change.record)
        before = change.previous is not None and self.chosen.matches(change.key, change.previous)
        if now:
            yield self.encoder.line("MODIFIED" if before else "ADDED", change.record.data)
        elif before and change.previous is not None:
            deleted = change.type == "DELETED"
            last = change.record.data if deleted else _restamped(change.previous, change.record.version)
            yield self.encoder.line("DELETED", last)


def _restamped(record: Record, version: int) -> bytes:
    """Return an object with the version of the change by which it left the selection."""
    obj = record.load()
    obj["metadata"]["resourceVersion"] = str(version)
    return orjson.dumps(obj)


def _read_watch(
    registry: Registry, request: web.BaseRequest, target: Target, form: Form, include: IncludeObject
) -> _Watch:
    chosen = selection(request.query, target.resource)
    if target.name:
        chosen = Selection(chosen.labels, (*chosen.fields, FieldRequirement("metadata.name", True, target.name)))
    encoder = _Encoder(registry, target.resource, form, include)
    return _Watch(target.namespace, chosen, encoder, is_true(request.query, "allowWatchBookmarks"))


async def stream_watch(
    registry: Registry, request: web.BaseRequest, target: Target, form: Form, include: IncludeObject
) -> web.StreamResponse:
    """Answer a watch; a version that is too old to start from comes as an ERROR event, as from a real server.

    Raises:
        StatusError: 400, a broken query.
    """
    watch = _read_watch(registry, request, target, form, include)
    since = parse_version(request.query.get("resourceVersion", ""))
    seconds = number_of(request.query, "timeoutSeconds")
    if not seconds:
        seconds = random.randint(WATCH_SECONDS_MIN, WATCH_SECONDS_MAX)  # noqa: S311 - spreads load, guards nothing
    if is_true(request.query, "sendInitialEvents"):
        since = None
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    subscription: Subscription | None = None
    try:
        subscription = registry.subscribe(target.resource, since)
        if since is None:
            await response.write(_initial(registry, target, watch, is_true(request.query, "sendInitialEvents")))
        ends = asyncio.get_running_loop().time() + seconds
        async with asyncio.timeout_at(ends):
            await _follow(registry, subscription, response, watch, ends)
    except StatusError as error:
        await response.write(_error_line(error))
    except TimeoutError:
        # The time that the client gave has passed: a watch ends without an event of its own.
        pass
    finally:
        if subscription is not None:
            registry.store.unsubscribe(subscription)
    await response.write_eof()
    return response


def _initial(registry: Registry, target: Target, watch: _Watch, initial_end: bool) -> bytes:
    """Return the lines of the objects that exist, and of the bookmark that ends them if it was asked for."""
    listing = registry.select(target.resource, target.namespace, Selection(watch.chosen.labels, watch.chosen.fields))
    lines = [watch.encoder.line("ADDED", record.data) for record in listing.records]
    if initial_end and watch.bookmarks:
        lines.append(watch.encoder.bookmark(listing.version, initial_end=True))
    return b"".join(lines)


async def _follow(
    registry: Registry, subscription: Subscription, response: web.StreamResponse, watch: _Watch, ends: float
) -> None:
    """Write changes as they come, until the subscription is closed, and bookmarks meanwhile."""
    clock = asyncio.get_running_loop().time
    bookmark_at = _next_bookmark(clock(), ends) if watch.bookmarks else None
    while True:
        try:
            async with asyncio.timeout_at(bookmark_at):
                changes = await subscription.changes()
        except TimeoutError:
            await response.write(watch.encoder.bookmark(registry.store.version, initial_end=False))
            bookmark_at = _next_bookmark(clock(), ends)
            continue
        if not changes:
            return
        lines = b"".join(line for change in changes for line in watch.lines(change))
        if lines:
            await response.write(lines)


def _next_bookmark(now: float, ends: float) -> float:
    """Return when the next bookmark is due: at intervals, and a last one before the end."""
    last = ends - LAST_BOOKMARK_SECONDS
    return min(now + BOOKMARK_SECONDS, last) if last > now else now + BOOKMARK_SECONDS
