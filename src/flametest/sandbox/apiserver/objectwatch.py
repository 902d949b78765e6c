"""The watch that controllers, scheduler and agent read: objects that exist, then changes, as `WatchEvent`."""

from collections.abc import AsyncIterator

from flametest.sandbox.objects import WatchEvent
from flametest.sandbox.store import Record, Store, Subscription

__all__ = ["ObjectWatch"]


class ObjectWatch(AsyncIterator[WatchEvent]):
    """What `Registry.watch` returns: the objects that exist, then the changes, until it is closed."""

    def __init__(self, store: Store, subscription: Subscription, present: list[tuple[str, Record]]) -> None:
        self._store = store
        self._subscription = subscription
        self._events = [WatchEvent("ADDED", name, record.load()) for name, record in reversed(present)]

    async def __anext__(self) -> WatchEvent:
        """Return the next event; ends when the watch or the store was closed."""
        if not self._events:
            changes = await self._subscription.changes()
            if not changes:
                raise StopAsyncIteration
            self._events = [WatchEvent(c.type, c.resource, c.record.load()) for c in reversed(changes)]
        return self._events.pop()

    async def aclose(self) -> None:
        """End the watch."""
        self._events.clear()
        self._store.unsubscribe(self._subscription)
