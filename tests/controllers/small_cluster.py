"""A small cluster for tests of controllers: all of it is real but the agent, which only pretends to run pods.

Nothing here sleeps: tests wait for what a watch shows.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from flametest.sandbox.apiserver import Registry
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object, WatchEvent
from flametest.sandbox.timestamps import format_time, utc_now
from tests.patience import PATIENCE_SECONDS

__all__ = ["WATCHED", "PretendAgent", "SmallCluster", "node_object", "pod_status"]


# Conditions as the kubelet lists them.
_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def node_object(name: str, *, pods: int = 110, cpu: str = "4", memory: str = "8Gi", **labels: str) -> Object:
    """Return a Ready node."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
        "spec": {},
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": str(pods)},
            "capacity": {"cpu": cpu, "memory": memory, "pods": str(pods)},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _condition(kind: str, status: bool) -> Object:
    text = "True" if status else "False"
    return {"type": kind, "status": text, "lastTransitionTime": format_time(utc_now())}


def pod_status(pod: Object, *, running: bool, ready: bool, address: str) -> Object:
    """Return the status that an agent reports for a pod that starts or runs."""
    true = {"Initialized", "PodScheduled"} | ({"PodReadyToStartContainers"} if running else set())
    true |= {"Ready", "ContainersReady"} if ready else set()
    state: Object = {"waiting": {"reason": "ContainerCreating"}}
    if running:
        state = {"running": {"startedAt": format_time(utc_now())}}
    common = {"imageID": "", "ready": ready, "started": running, "restartCount": 0, "state": state}
    statuses = [{"name": each["name"], "image": each["image"], **common} for each in pod["spec"]["containers"]]
    status: Object = {
        **pod["status"],
        "phase": "Running" if running else "Pending",
        "conditions": [_condition(kind, kind in true) for kind in _CONDITIONS],
        "containerStatuses": statuses,
    }
    return status | ({"podIP": address, "podIPs": [{"ip": address}]} if running else {})


@dataclass
class PretendAgent:
    """Makes bound pods run and become ready, and finishes deletions; ``holds`` says which pods stay as they are.

    Attributes:
        may_start: whether a bound pod may run and become ready.
        may_end: whether a pod that is being deleted may go.
        exits: the phase in which a pod ends by itself, or empty for one that goes on.
    """

    registry: Registry
    may_start: Callable[[Object], bool] = lambda pod: True
    may_end: Callable[[Object], bool] = lambda pod: True
    exits: Callable[[Object], str] = lambda pod: ""
    _addresses: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        async for event in self.registry.watch("pods"):
            if event.type != "DELETED":
                self.look_at(event.object["metadata"]["namespace"], event.object["metadata"]["name"])

    def look_at_all(self) -> None:
        for pod in self.registry.list("pods"):
            self.look_at(pod["metadata"]["namespace"], pod["metadata"]["name"])

    def look_at(self, namespace: str, name: str) -> None:
        pod = self.registry.get("pods", namespace, name)
        if pod is None or not pod["spec"].get("nodeName"):
            return
        with suppress(StatusError):
            if pod["metadata"].get("deletionTimestamp"):
                self._end(pod)
            elif pod["status"].get("phase") not in ("Succeeded", "Failed"):
                self._start(pod)

    def _start(self, pod: Object) -> None:
        if not self.may_start(pod) or (pod["status"].get("conditions") and self._is_ready(pod)):
            return
        uid = pod["metadata"]["uid"]
        address = self._addresses.setdefault(uid, f"10.244.0.{len(self._addresses) + 1}")
        for running, ready in ((False, False), (True, False), (True, True)):
            status = pod_status(pod, running=running, ready=ready, address=address)
            pod = self.registry.update_status("pods", {**pod, "status": status})
        phase = self.exits(pod)
        if phase:
            self._finish(pod, phase)

    @staticmethod
    def _is_ready(pod: Object) -> bool:
        return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"]["conditions"])

    def _finish(self, pod: Object, phase: str) -> None:
        conditions = [_condition(kind, kind in ("Initialized", "PodScheduled")) for kind in _CONDITIONS]
        self.registry.update_status(
            "pods", {**pod, "status": {**pod["status"], "phase": phase, "conditions": conditions}}
        )

    def _end(self, pod: Object) -> None:
        if not self.may_end(pod):
            return
        if pod["status"].get("phase") != "Failed":
            self._finish(pod, "Failed")
        metadata = pod["metadata"]
        self.registry.delete("pods", metadata["namespace"], metadata["name"], uid=metadata["uid"], grace_seconds=0)


class SmallCluster:
    """The registry, and waiting for what happens in it."""

    def __init__(self, registry: Registry, agent: PretendAgent) -> None:
        self.registry = registry
        self.agent = agent
        self.seen: list[WatchEvent] = []
        self._changed = asyncio.Event()

    async def record(self, *resources: str) -> None:
        async for event in self.registry.watch(*resources):
            self.seen.append(event)
            self._changed.set()

    async def until(self, holds: Callable[[], Any], what: str = "") -> Any:
        """Return what ``holds`` returns as soon as that is true; it is asked again after every change."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not (found := holds()):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"did not happen in {PATIENCE_SECONDS} s: {what or holds}") from None
        return found

    async def settled(self) -> None:
        """Return when nothing has changed during many turns of the event loop."""
        quiet = 0
        version = self.registry.store.version
        while quiet < 50:
            await asyncio.sleep(0)
            quiet = quiet + 1 if self.registry.store.version == version else 0
            version = self.registry.store.version

    def create(self, resource: str, obj: Object) -> Object:
        return self.registry.create(resource, obj)

    def get(self, resource: str, name: str, namespace: str = "default") -> Object:
        found = self.registry.get(resource, namespace, name)
        assert found is not None, f"{resource} {name} is missing"
        return found

    def patch(self, resource: str, name: str, change: Callable[[Object], None]) -> Object:
        obj = self.get(resource, name)
        change(obj)
        return self.registry.update(resource, obj)

    def scale(self, resource: str, name: str, replicas: int) -> None:
        self.patch(resource, name, lambda obj: obj["spec"].update(replicas=replicas))

    def pods(self, namespace: str = "default", **labels: str) -> list[Object]:
        return self.registry.list("pods", namespace, labels or None)

    def ready_pods(self, namespace: str = "default", **labels: str) -> list[Object]:
        return [
            pod
            for pod in self.pods(namespace, **labels)
            if not pod["metadata"].get("deletionTimestamp")
            and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])
        ]

    def events(self, reason: str = "") -> list[Object]:
        return [event for event in self.registry.list("events") if not reason or event["reason"] == reason]

    def seen_of(self, resource: str, since: int = 0) -> list[WatchEvent]:
        return [event for event in self.seen[since:] if event.resource == resource]


WATCHED = (
    "pods",
    "replicasets.apps",
    "replicationcontrollers",
    "resourcequotas",
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "jobs.batch",
    "cronjobs.batch",
    "services",
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "persistentvolumeclaims",
    "persistentvolumes",
    "poddisruptionbudgets.policy",
    "namespaces",
    "nodes",
    "events",
    "configmaps",
    "controllerrevisions.apps",
)
