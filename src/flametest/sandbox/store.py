"""The cluster's state in memory: objects as JSON bytes under one resource version, with watches.

One store lives as long as its cluster process and holds everything the API serves; nothing is written to disk. It
serves the registry (`flametest.sandbox.apiserver.registry`), which decides what may be stored; the store itself knows
no kinds. An object is kept as the bytes that go to the wire, so that reading one copies nothing, and a change is kept
once however many watchers see it. All calls are synchronous, on the one event loop of the cluster process.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from flametest.sandbox.errors import gone

__all__ = ["CAPACITY_CHANGES", "RING_CHANGES", "Change", "Key", "Record", "Store", "Subscription"]

Key = tuple[str, str]
"""Namespace (empty for what has none) and name of an object of a resource."""

RING_CHANGES = 2048
"""How many past changes a watch may start from; at about 3 kB a change this bounds the ring to some 6 MB."""

CAPACITY_CHANGES = 4096
"""How many changes may wait for one slow watcher before it is dropped."""


@dataclass(frozen=True, slots=True)
class Record:
    """One stored object: its JSON, the resource version of its last change, and its labels for quick selection."""

    data: bytes
    version: int
    labels: dict[str, str]

    def load(self) -> dict[str, Any]:
        """Return a fresh copy of the object, which the caller may change."""
        obj: dict[str, Any] = orjson.loads(self.data)
        return obj


@dataclass(frozen=True, slots=True)
class Change:
    """One change; ``record`` is the state after it (DELETED: the last state), ``previous`` the state before it."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    resource: str
    key: Key
    record: Record
    previous: Record | None


class Subscription:
    """The changes of some resources, in order, for one reader; bounded, and dropped when its reader is too slow."""

    def __init__(self, resources: frozenset[str], backlog: Iterable[Change], capacity: int) -> None:
        self.resources = resources
        self._capacity = capacity
        self._pending: deque[Change] = deque(backlog)
        self._waiter: asyncio.Future[None] | None = None
        self._lost = False
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the subscription has ended: closed by its reader or by the store."""
        return self._closed

    def push(self, change: Change) -> None:
        """Queue a change and wake the reader; past the capacity drop everything and end."""
        if len(self._pending) >= self._capacity:
            self._pending.clear()
            self._lost = True
            self.close()
            return
        self._pending.append(change)
        self._wake()

    async def changes(self) -> list[Change]:
        """Wait for changes and return all that have come, oldest first; an empty list when it was closed.

        Raises:
            StatusError: 410, the reader was too slow and missed changes: list and watch again.
        """
        while not self._pending and not self._closed:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._lost:
            raise gone("too old resource version: the watcher was too slow and has missed changes")
        taken = list(self._pending)
        self._pending.clear()
        return taken

    def close(self) -> None:
        """End it: a waiting reader gets what is left, then empty lists."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Store:
    """Objects by resource, namespace and name."""

    def __init__(self, ring_changes: int = RING_CHANGES) -> None:
        self._version = 0
        self._compacted = 0
        self._objects: dict[str, dict[Key, Record]] = {}
        self._sorted_keys: dict[str, list[Key]] = {}
        self._ring: deque[Change] = deque()
        self._ring_changes = ring_changes
        self._subscriptions: set[Subscription] = set()

    @property
    def version(self) -> int:
        """The resource version of the last change."""
        return self._version

    @property
    def watchers(self) -> int:
        """How many subscriptions are open."""
        return len(self._subscriptions)

    def counts(self) -> dict[str, int]:
        """Return the number of objects by resource; resources that have had none are not named."""
        return {resource: len(records) for resource, records in self._objects.items()}

    def get(self, resource: str, key: Key) -> Record | None:
        """Return the record, or None."""
        return self._objects.get(resource, {}).get(key)

    def items(
        self, resource: str, namespace: str | None = None, after: Key | None = None
    ) -> Iterator[tuple[Key, Record]]:
        """Yield keys and records by namespace and name, of one namespace or (None) of all, after the key ``after``.

        The resource must not change while it is iterated.
        """
        records = self._objects.get(resource)
        if not records:
            return
        keys = self._sorted_keys.get(resource)
        if keys is None:
            keys = self._sorted_keys[resource] = sorted(records)
        for key in keys:
            if (namespace is None or key[0] == namespace) and (after is None or key > after):
                yield key, records[key]

    def put(self, resource: str, key: Key, obj: dict[str, Any]) -> Record:
        """Store an object under a new resource version, which is written into its metadata, and tell the watchers."""
        records = self._objects.setdefault(resource, {})
        previous = records.get(key)
        record = self._record(obj)
        records[key] = record
        if previous is None:
            self._sorted_keys.pop(resource, None)
        self._publish(Change("ADDED" if previous is None else "MODIFIED", resource, key, record, previous))
        return record

    def remove(self, resource: str, key: Key) -> Record:
        """Remove an object that exists and return its last state, which carries the version of the removal."""
        previous = self._objects[resource].pop(key)
        self._sorted_keys.pop(resource, None)
        record = self._record(previous.load())
        self._publish(Change("DELETED", resource, key, record, previous))
        return record

    def subscribe(
        self, resources: Iterable[str], since: int | None = None, capacity: int = CAPACITY_CHANGES
    ) -> Subscription:
        """Return the changes of ``resources`` from now on, or of all after the resource version ``since``.

        Raises:
            StatusError: 410, the ring does not reach back to ``since``.
        """
        wanted = frozenset(resources)
        backlog: list[Change] = []
        if since is not None and since < self._version:
            if since < self._compacted:
                raise gone(f"too old resource version: {since} ({self._compacted})")
            backlog = [c for c in self._ring if c.record.version > since and c.resource in wanted]
        subscription = Subscription(wanted, backlog, max(capacity, len(backlog) + 1))
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; one that has ended already is no error."""
        subscription.close()
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End all subscriptions, so that every open watch ends."""
        for subscription in list(self._subscriptions):
            self.unsubscribe(subscription)

    def _record(self, obj: dict[str, Any]) -> Record:
        self._version += 1
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(self._version)
        # A copy, because the encoder hands out bytes with room behind them: up to 30 kB for an object of 3 kB.
        data = bytes(memoryview(orjson.dumps(obj)))
        return Record(data, self._version, dict(metadata.get("labels") or {}))

    def _publish(self, change: Change) -> None:
        self._ring.append(change)
        if len(self._ring) > self._ring_changes:
            self._compacted = self._ring.popleft().record.version
        dropped = []
        for subscription in self._subscriptions:
            if change.resource in subscription.resources:
                subscription.push(change)
                if subscription.closed:
                    dropped.append(subscription)
        self._subscriptions.difference_update(dropped)
