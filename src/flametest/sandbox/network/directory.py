"""One mirror of Services and EndpointSlices for everything in the network that follows them.

`Directory.run` lives as long as the cluster and holds the only watch; rules, DNS and NodePorts are its listeners.
Changes that arrive together are told together, within the same turn of the event loop.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from flametest.sandbox.objects import Object, Objects

__all__ = ["ENDPOINT_SLICES", "NAMESPACES", "SERVICES", "Directory", "Snapshot"]

SERVICES = "services"
ENDPOINT_SLICES = "endpointslices.discovery.k8s.io"
NAMESPACES = "namespaces"

Key = tuple[str, str]


class Snapshot:
    """What the network has to look like now. Objects in it are shared: read them, never change them."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[Key, Object]] = {SERVICES: {}, ENDPOINT_SLICES: {}, NAMESPACES: {}}

    @property
    def services(self) -> Iterable[Object]:
        """All Services."""
        return self._objects[SERVICES].values()

    @property
    def slices(self) -> Iterable[Object]:
        """All EndpointSlices."""
        return self._objects[ENDPOINT_SLICES].values()

    @property
    def namespaces(self) -> Iterable[str]:
        """The names of all namespaces."""
        return (name for _, name in self._objects[NAMESPACES])

    def put(self, resource: str, obj: Object) -> None:
        """Take in an object's new state."""
        self._objects[resource][_key(obj)] = obj

    def drop(self, resource: str, obj: Object) -> None:
        """Forget an object."""
        self._objects[resource].pop(_key(obj), None)


class Directory:
    """Watches, and calls its listeners with the snapshot after every change."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._snapshot = Snapshot()
        self._scheduled = False
        self._failure: asyncio.Future[None] | None = None

    def add_listener(self, listener: Callable[[Snapshot], None]) -> None:
        """Call ``listener`` from now on; it must not block, and what it raises ends `run`."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Follow the state until cancelled; raises what a listener raised."""
        self._failure = asyncio.get_running_loop().create_future()
        follow = asyncio.create_task(self._follow(), name="directory watch")
        try:
            await asyncio.wait([follow, self._failure], return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                self._failure.result()
            follow.result()
        finally:
            follow.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follow

    async def _follow(self) -> None:
        async with contextlib.aclosing(self._objects.watch(SERVICES, ENDPOINT_SLICES, NAMESPACES)) as events:  # type: ignore[type-var]
            async for event in events:
                if event.type == "DELETED":
                    self._snapshot.drop(event.resource, event.object)
                else:
                    self._snapshot.put(event.resource, event.object)
                if not self._scheduled:
                    self._scheduled = True
                    asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._scheduled = False
        if self._failure is None or self._failure.done():
            return
        try:
            for listener in self._listeners:
                listener(self._snapshot)
        except Exception as error:
            self._failure.set_exception(error)


def _key(obj: Object) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]
