"""A cluster's state that needs no API server, a network without namespaces, and an agent over them, for the tests."""

import asyncio
import contextlib
import copy
import itertools
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox.agent.agent import Agent
from flametest.sandbox.agent.runtime import PodRuntime
from flametest.sandbox.agent.settings import AgentSettings
from flametest.sandbox.errors import not_found
from flametest.sandbox.eventrecorder import EventRecorder
from flametest.sandbox.images import Catalogue, Images
from flametest.sandbox.objects import Object, WatchEvent
from flametest.sandbox.podaccess import LogOptions
from flametest.sandbox.podnetwork import PodAddress
from flametest.sandbox.settings import NodeSettings

NODES = tuple(NodeSettings(f"sandbox-{n}", f"10.240.0.{n}", f"10.244.{n}.0/24") for n in (1, 2, 3))


class StandInObjects:
    """`Objects` over a dictionary, with the graceful deletion of pods that the agent relies on."""

    def __init__(self) -> None:
        self._stored: dict[tuple[str, str, str], Object] = {}
        self._queues: list[tuple[tuple[str, ...], asyncio.Queue[WatchEvent]]] = []
        self._serial = itertools.count(1)
        self.history: list[WatchEvent] = []

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        return copy.deepcopy(self._stored.get((resource, namespace, name)))

    def list(self, resource: str, namespace: str | None = None, labels: dict[str, str] | None = None) -> list[Object]:
        found = [obj for (kind, place, _), obj in sorted(self._stored.items()) if kind == resource]
        return copy.deepcopy([obj for obj in found if namespace in (None, obj["metadata"].get("namespace", ""))])

    def create(self, resource: str, obj: Object) -> Object:
        stored = copy.deepcopy(obj)
        stored["metadata"].setdefault("uid", f"uid-{next(self._serial)}")
        return self._store("ADDED", resource, stored)

    def update(self, resource: str, obj: Object) -> Object:
        stored = self._of(resource, obj)
        return self._store("MODIFIED", resource, {**copy.deepcopy(obj), "status": stored.get("status", {})})

    def update_status(self, resource: str, obj: Object) -> Object:
        stored = self._of(resource, obj)
        return self._store("MODIFIED", resource, {**stored, "status": copy.deepcopy(obj["status"])})

    def bind(self, namespace: str, pod: str, node: str) -> None:
        stored = self._stored["pods", namespace, pod]
        self._store("MODIFIED", "pods", {**stored, "spec": {**stored["spec"], "nodeName": node}})

    def delete(
        self,
        resource: str,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        grace_seconds: int | None = None,
        propagation: str = "Background",
    ) -> None:
        stored = self._stored.get((resource, namespace, name))
        if stored is None:
            raise not_found(resource, name)
        if resource == "pods" and grace_seconds != 0 and stored["spec"].get("nodeName"):
            seconds = (
                stored["spec"].get("terminationGracePeriodSeconds", 30) if grace_seconds is None else grace_seconds
            )
            marks = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": seconds}
            self._store("MODIFIED", resource, {**stored, "metadata": {**stored["metadata"], **marks}})
            return
        del self._stored[resource, namespace, name]
        self._tell(WatchEvent("DELETED", resource, stored))

    def watch(self, *resources: str) -> AsyncIterator[WatchEvent]:
        queue: asyncio.Queue[WatchEvent] = asyncio.Queue()
        for (kind, _, _), obj in sorted(self._stored.items()):
            if kind in resources:
                queue.put_nowait(WatchEvent("ADDED", kind, copy.deepcopy(obj)))
        self._queues.append((resources, queue))
        return self._events(queue)

    @staticmethod
    async def _events(queue: "asyncio.Queue[WatchEvent]") -> AsyncIterator[WatchEvent]:
        while True:
            yield await queue.get()

    def _of(self, resource: str, obj: Object) -> Object:
        metadata = obj["metadata"]
        stored = self._stored.get((resource, metadata.get("namespace", ""), metadata["name"]))
        if stored is None:
            raise not_found(resource, metadata["name"])
        return stored

    def _store(self, kind: Any, resource: str, obj: Object) -> Object:
        obj["metadata"]["resourceVersion"] = str(next(self._serial))
        self._stored[resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]] = obj
        self._tell(WatchEvent(kind, resource, obj))
        return copy.deepcopy(obj)

    def last(self, resource: str) -> WatchEvent:
        """Return the newest change of a resource; nodes and leases change all the time."""
        return next(event for event in reversed(self.history) if event.resource == resource)

    def _tell(self, event: WatchEvent) -> None:
        self.history.append(copy.deepcopy(event))
        for resources, queue in self._queues:
            if event.resource in resources:
                queue.put_nowait(copy.deepcopy(event))


@dataclass
class StandInNetwork:
    """`PodNetwork` whose pods all live in the test's own network, at one loopback address."""

    address: str = "127.0.0.1"
    attached: set[str] = field(default_factory=set)
    unplugged: set[str] = field(default_factory=set)

    def unplug(self, pod_range: str) -> None:
        self.unplugged.add(pod_range)

    def plug(self, pod_range: str) -> None:
        self.unplugged.discard(pod_range)

    async def attach(self, pod_uid: str, pod_range: str) -> PodAddress:
        self.attached.add(pod_uid)
        return PodAddress(self.address, "")

    async def detach(self, pod_uid: str) -> None:
        self.attached.discard(pod_uid)


class NamespaceNetwork:
    """`PodNetwork` that gives each pod a network namespace with nothing but loopback."""

    def __init__(self) -> None:
        self.attached: dict[str, str] = {}

    def unplug(self, pod_range: str) -> None:
        raise NotImplementedError

    def plug(self, pod_range: str) -> None:
        raise NotImplementedError

    async def attach(self, pod_uid: str, pod_range: str) -> PodAddress:
        name = f"flametest-agent-{os.getpid()}-{pod_uid}"
        await asyncio.to_thread(self._make, name)
        self.attached[pod_uid] = name
        return PodAddress("127.0.0.1", f"/run/netns/{name}")

    async def detach(self, pod_uid: str) -> None:
        name = self.attached.get(pod_uid)
        if name is not None:
            await asyncio.to_thread(subprocess.run, ["ip", "netns", "delete", name], check=True)
            del self.attached[pod_uid]

    @staticmethod
    def _make(name: str) -> None:
        subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)


class Bench:
    """An agent that runs, and what a test asks of it."""

    def __init__(
        self,
        runtime: PodRuntime,
        folder: Path,
        catalogue: Catalogue,
        network: StandInNetwork | NamespaceNetwork | None = None,
        **settings: Any,
    ) -> None:
        self.objects = StandInObjects()
        self.network = network or StandInNetwork()
        self.runtime = runtime
        self.folder = folder
        options = AgentSettings(state_folder=str(folder), nodes=NODES, **settings)
        recorder = EventRecorder(self.objects, "kubelet")
        self.agent = Agent(self.objects, self.network, runtime, options, recorder, images=Images(catalogue))
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Bench":
        self._task = asyncio.create_task(self.agent.run())
        await self.until(lambda: self.objects.get("nodes", "", "sandbox-3"))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.end()

    async def end(self) -> None:
        """End the agent and return once it has ended; again is no error."""
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def create(
        self, name: str, *, status: Object | None = None, labels: dict[str, str] | None = None, **spec: Any
    ) -> Object:
        """Create a pod that is bound to the first node; ``main`` is its only container unless told otherwise."""
        metadata = {"name": name, "namespace": "default", "labels": labels or {}, "generation": 1}
        spec.setdefault("terminationGracePeriodSeconds", 3)
        return self.objects.create(
            "pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": {"nodeName": "sandbox-1", **spec},
                "status": status or {"phase": "Pending", "qosClass": "BestEffort"},
            },
        )

    def pod(self, name: str) -> Object:
        found = self.objects.get("pods", "default", name)
        assert found is not None, f"pod {name} is gone"
        return found

    def container(self, name: str, number: int = 0) -> Object:
        statuses: list[Object] = self.pod(name)["status"].get("containerStatuses") or [{}]
        return statuses[number]

    def conditions(self, name: str) -> list[str]:
        return [c["type"] for c in self.pod(name)["status"].get("conditions", []) if c["status"] == "True"]

    def events(self, name: str) -> list[tuple[str, str]]:
        return [
            (event["reason"], event["message"])
            for event in self.objects.list("events")
            if event["involvedObject"]["name"] == name
        ]

    async def until(self, condition: Callable[[], Any], seconds_max: float = 15.0) -> Any:
        """Return what the condition returns as soon as it is true; looks again after every turn of the event loop."""
        end = time.monotonic() + seconds_max
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() < end, f"did not come true within {seconds_max} s: {condition}"
            await asyncio.sleep(0.005)

    async def until_phase(self, name: str, phase: str) -> None:
        await self.until(lambda: self.pod(name)["status"].get("phase") == phase)

    async def until_gone(self, name: str) -> None:
        await self.until(lambda: self.objects.get("pods", "default", name) is None and not self.network.attached)

    async def text(self, name: str, container: str = "main", **options: Any) -> str:
        pieces = self.agent.logs("default", name, container, LogOptions(**options))
        return b"".join([piece async for piece in pieces]).decode()


@pytest.fixture
def bench_class() -> type[Bench]:
    return Bench


@pytest.fixture
def namespace_network() -> NamespaceNetwork:
    return NamespaceNetwork()


@pytest.fixture
def stand_in_objects() -> StandInObjects:
    return StandInObjects()
