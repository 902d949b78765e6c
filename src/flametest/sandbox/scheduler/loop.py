"""The scheduler's loop: it watches pods, nodes and claims, and binds each pod that has no node as soon as there is one.

It lives as long as the cluster process. A pod for which there is no node is told so (condition PodScheduled, event
FailedScheduling) and tried again when something changed that may help. The pods that wait are its only queue.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime

from flametest.sandbox.cache import Cache, Reference, Transition
from flametest.sandbox.errors import StatusError
from flametest.sandbox.eventrecorder import EventRecorder
from flametest.sandbox.objects import Object, Objects
from flametest.sandbox.scheduler.choice import Placement, Refusal, choose, missing_claim
from flametest.sandbox.scheduler.view import NodeView, is_done
from flametest.sandbox.storageclasses import SELECTED_NODE, STORAGE_CLASSES, waits_for_consumer
from flametest.sandbox.timestamps import Clock, format_time, utc_now

__all__ = ["Scheduler"]

_log = logging.getLogger(__name__)

_NAME = "default-scheduler"
_CLAIMS, _VOLUMES = "persistentvolumeclaims", "persistentvolumes"
_RESOURCES = ("nodes", _CLAIMS, _VOLUMES, "pods", STORAGE_CLASSES)
_RETRY_SECONDS = 0.1


class Scheduler:
    """Binds pods to nodes.

    Args:
        objects: the state of the cluster.
        clock: the present time.
    """

    def __init__(self, objects: Objects, *, clock: Clock = utc_now) -> None:
        self._objects = objects
        self._clock = clock
        self._recorder = EventRecorder(objects, _NAME, clock)
        self._cache = Cache()
        self._fresh: dict[Reference, None] = {}
        self._refused: dict[Reference, None] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take_in(), name="scheduler: watch")
            tasks.create_task(self._work(), name="scheduler: queue")

    async def _take_in(self) -> None:
        while True:
            events = self._objects.watch(*_RESOURCES)
            try:
                for transition in self._cache.fill(self._objects, _RESOURCES):
                    self._learn(transition)
                async for event in events:
                    self._learn(self._cache.apply(event))
            except StatusError as error:
                _log.warning("the scheduler's watch ended and starts again: %s", error)
            finally:
                close = getattr(events, "aclose", None)
                if close is not None:
                    await close()
            await asyncio.sleep(_RETRY_SECONDS)

    def _learn(self, transition: Transition | None) -> None:
        if transition is None:
            return
        if transition.resource == "pods":
            self._learn_pod(transition)
        elif not _is_heartbeat(transition):
            self._reconsider()

    def _learn_pod(self, transition: Transition) -> None:
        reference, after = transition.reference, transition.after
        if after is None or not _is_pending(after):
            self._fresh.pop(reference, None)
            self._refused.pop(reference, None)
            if after is None or is_done(after) or _is_new_on_node(transition):
                self._reconsider()
        elif reference not in self._refused:
            self._fresh[reference] = None
            self._wake.set()

    def _reconsider(self) -> None:
        """Put the refused pods back into the queue: what has changed may make room for one of them."""
        self._fresh.update(self._refused)
        self._refused.clear()
        if self._fresh:
            self._wake.set()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for reference in self._ordered():
                self._attempt(reference)
                await asyncio.sleep(0)

    def _ordered(self) -> list[Reference]:
        """Return the pods to try: higher priority first, then the order in which they came."""

        def rank(reference: Reference) -> int:
            pod = self._cache.get("pods", reference.namespace, reference.name)
            return -int((pod or {"spec": {}})["spec"].get("priority") or 0)

        return sorted(self._fresh, key=rank)

    def _attempt(self, reference: Reference) -> None:
        pod = self._cache.get("pods", reference.namespace, reference.name)
        self._fresh.pop(reference, None)
        if pod is None or not _is_pending(pod):
            return
        if self._waits_for_binding(pod):
            self._refused[reference] = None
            return
        try:
            self._decide(reference, pod)
        except StatusError as error:
            _log.info("pod %s/%s is tried again: %s", reference.namespace, reference.name, error)
            self._refresh(reference)
            self._refused[reference] = None
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._reconsider)
        except Exception:
            _log.exception("pod %s/%s cannot be scheduled", reference.namespace, reference.name)
            self._refused[reference] = None

    def _decide(self, reference: Reference, pod: Object) -> None:
        missing = next((name for name in _claim_names(pod) if self._claim(pod, name) is None), None)
        views = self._views()
        volumes = self._volumes_of(pod)
        choice = choose(pod, views, volumes) if missing is None else missing_claim(missing, len(views))
        match choice:
            case Placement(node) if waiting := [one for one in self._claims_of(pod) if self._waits_for_node(one)]:
                self._refused[reference] = None  # until the volumes are there
                self._select_node(waiting, node)
            case Placement(node):
                self._objects.bind(reference.namespace, reference.name, node)
                self._refresh(reference)
                place = f"{reference.namespace}/{reference.name}"
                self._recorder.normal(pod, "Scheduled", f"Successfully assigned {place} to {node}")
            case Refusal(message):
                self._refused[reference] = None
                self._recorder.warning(pod, "FailedScheduling", message)
                status = refused_status(pod, message, self._clock())
                if status is not None:
                    self._objects.update_status("pods", {**pod, "status": status})
                    self._refresh(reference)

    def _refresh(self, reference: Reference) -> None:
        """Take in what was just written, so that the next choice counts with it."""
        pod = self._objects.get("pods", reference.namespace, reference.name)
        if pod is None:
            self._learn(self._cache.drop("pods", reference.namespace, reference.name))
        else:
            self._learn(self._cache.put("pods", pod))

    def _claim(self, pod: Object, name: str) -> Object | None:
        return self._cache.get(_CLAIMS, pod["metadata"]["namespace"], name)

    def _claims_of(self, pod: Object) -> list[Object]:
        return [claim for name in _claim_names(pod) if (claim := self._claim(pod, name))]

    def _volumes_of(self, pod: Object) -> list[Object]:
        names = [claim["spec"].get("volumeName") for claim in self._claims_of(pod)]
        return [volume for name in names if name and (volume := self._cache.get(_VOLUMES, "", name))]

    def _select_node(self, claims: Iterable[Object], node: str) -> None:
        """Tell claims on which node their pod will be."""
        for claim in claims:
            metadata = claim["metadata"]
            annotations = {**(metadata.get("annotations") or {}), SELECTED_NODE: node}
            self._objects.update(_CLAIMS, {**claim, "metadata": {**metadata, "annotations": annotations}})

    def _waits_for_binding(self, pod: Object) -> bool:
        """Return whether a claim is there but not bound: it will be, in a moment, and brings the pod back."""
        return any(not _is_bound(claim) and not self._waits_for_node(claim) for claim in self._claims_of(pod))

    def _waits_for_node(self, claim: Object) -> bool:
        """Return whether a claim gets its volume only when it is known on which node its pod will be."""
        if _is_bound(claim) or SELECTED_NODE in (claim["metadata"].get("annotations") or {}):
            return False
        return waits_for_consumer(claim, self._cache.objects_of(STORAGE_CLASSES))

    def _views(self) -> list[NodeView]:
        on_node: dict[str, list[Object]] = {}
        for pod in self._cache.objects_of("pods"):
            node = pod["spec"].get("nodeName")
            if node and not is_done(pod):
                on_node.setdefault(node, []).append(pod)
        nodes = self._cache.objects_of("nodes")
        return [NodeView(node, tuple(on_node.get(node["metadata"]["name"], ()))) for node in nodes]


def _is_bound(claim: Object) -> bool:
    return bool((claim.get("status") or {}).get("phase") == "Bound")


def _claim_names(pod: Object) -> Iterable[str]:
    for volume in pod["spec"].get("volumes") or []:
        if "persistentVolumeClaim" in volume:
            yield volume["persistentVolumeClaim"]["claimName"]
        elif "ephemeral" in volume:
            yield f"{pod['metadata']['name']}-{volume['name']}"


def _is_pending(pod: Object) -> bool:
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and not pod["metadata"].get("deletionTimestamp")
        and not is_done(pod)
        and not spec.get("schedulingGates")
        and spec.get("schedulerName", _NAME) == _NAME
    )


def _is_new_on_node(transition: Transition) -> bool:
    before, after = transition.before, transition.after
    return after is not None and (before is None or before["spec"].get("nodeName") != after["spec"].get("nodeName"))


def _is_heartbeat(transition: Transition) -> bool:
    """Return whether nothing changed that scheduling looks at: nodes report every few seconds."""
    before, after = transition.before, transition.after
    if transition.resource != "nodes" or before is None or after is None:
        return False

    def relevant(node: Object) -> tuple[object, ...]:
        return node.get("spec"), node["metadata"].get("labels"), (node.get("status") or {}).get("allocatable")

    return relevant(before) == relevant(after)


def refused_status(pod: Object, message: str, now: datetime) -> Object | None:
    """Return the pod's status with the condition that says why it has no node; None if it says so already."""
    status: Object = pod.get("status") or {}
    conditions: list[Object] = status.get("conditions") or []
    told = next((each for each in conditions if each["type"] == "PodScheduled"), {})
    if told.get("status") == "False" and told.get("message") == message:
        return None
    same = told.get("status") == "False"
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "lastProbeTime": None,
        "lastTransitionTime": told["lastTransitionTime"] if same else format_time(now),
        "reason": "Unschedulable",
        "message": message,
        "observedGeneration": pod["metadata"].get("generation", 1),
    }
    return {**status, "conditions": [*(each for each in conditions if each["type"] != "PodScheduled"), condition]}
