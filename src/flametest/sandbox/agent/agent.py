"""The agent: what the kubelet is on a real node, here for all nodes of the sandbox at once.

It registers the nodes, keeps their heartbeats, and runs one `PodWorker` for each pod that is bound to one of them. To
the API server it offers `PodAccess` (logs, exec). It reaches the cluster by `Objects`, the network by `PodNetwork` and
processes by `PodRuntime`, and knows nothing of who stands behind them. `run` lasts until it is cancelled, and then
ends every pod's processes without touching their objects.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator

from flametest.sandbox.agent import claimdisks
from flametest.sandbox.agent.nodes import NodeKeeper, machine
from flametest.sandbox.agent.outages import is_stopped
from flametest.sandbox.agent.podstate import Tools
from flametest.sandbox.agent.runtime import PodRuntime, StartError
from flametest.sandbox.agent.settings import AgentSettings
from flametest.sandbox.agent.state import ContainerRecord, Waiting
from flametest.sandbox.agent.worker import PodWorker
from flametest.sandbox.errors import StatusError, not_found
from flametest.sandbox.eventrecorder import EventRecorder
from flametest.sandbox.images import Catalogue, Images
from flametest.sandbox.objects import Object, Objects, WatchEvent
from flametest.sandbox.podaccess import ExecProcess, LogOptions
from flametest.sandbox.podnetwork import PodNetwork
from flametest.sandbox.timestamps import Clock, utc_now

__all__ = ["Agent"]

_log = logging.getLogger(__name__)

_FAILED_WORKER_SECONDS = 1.0  # between an error in a pod's worker and the next attempt; errors here are bugs
_WATCHED = ("nodes", "pods", "configmaps", "secrets", "persistentvolumeclaims")


class Agent:
    """Runs the pods of all nodes; implements `flametest.sandbox.podaccess.PodAccess`."""

    def __init__(
        self,
        objects: Objects,
        network: PodNetwork,
        runtime: PodRuntime,
        settings: AgentSettings,
        recorder: EventRecorder,
        *,
        clock: Clock = utc_now,
        images: Images | None = None,
    ) -> None:
        """Prepare; nothing starts before `run`. ``images`` finds images (None: stand-ins only)."""
        facts = machine(settings.state_folder)

        def now() -> float:
            return clock().timestamp()

        self._objects = objects
        self._settings = settings
        self._nodes = {node.name: node for node in settings.nodes}
        self._keeper = NodeKeeper(objects, settings, facts, recorder, now)
        self._tools = Tools(
            objects,
            network,
            runtime,
            images or Images(Catalogue()),
            recorder,
            settings,
            facts.resources(settings.pods_max),
            now,
        )
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._removals: set[asyncio.Task[None]] = set()
        # Nodes that are switched off.
        self._stopped: set[str] = set()
        # Pods whose work is done while a finalizer still holds their object.
        self._done: set[str] = set()
        self._ending = False

    async def run(self) -> None:
        """Run until cancelled."""
        # Subscribed before anything is written, so that no change is missed.
        events = self._objects.watch(*_WATCHED)
        self._keeper.register()
        heartbeats = asyncio.create_task(self._keeper.run(), name="heartbeats of nodes")
        try:
            async for event in events:
                self._take(event)
        finally:
            self._ending = True
            heartbeats.cancel()
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(heartbeats, *self._tasks.values(), *self._removals, return_exceptions=True)
            if isinstance(events, AsyncIterator) and hasattr(events, "aclose"):
                await events.aclose()

    def logs(self, namespace: str, pod: str, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Return the pieces of a container's log; raises `StatusError` at once when there is none."""
        worker, record = self._container(namespace, pod, container)
        log = worker.log(record.name, previous=options.previous)
        if log is None:
            if options.previous:
                message = f'previous terminated container "{container}" in pod "{pod}" not found'
            else:
                reason = record.state.reason if isinstance(record.state, Waiting) else "ContainerCreating"
                message = f'container "{container}" in pod "{pod}" is waiting to start: {reason}'
            raise StatusError(400, "BadRequest", message)
        return log.read(options)

    def check_running(self, namespace: str, pod: str, container: str) -> None:
        """Return if a container runs; raises `StatusError` if it does not."""
        self._running(namespace, pod, container)

    async def execute(
        self, namespace: str, pod: str, container: str, command: list[str], *, stdin: bool, tty: bool
    ) -> ExecProcess:
        """Start a command in a running container."""
        record = self._running(namespace, pod, container)
        try:
            return await self._tools.runtime.execute(record.container_id, command, stdin=stdin, tty=tty)
        except StartError as error:
            raise StatusError(500, "InternalError", f"Internal error occurred: {error}") from error

    def _running(self, namespace: str, pod: str, container: str) -> ContainerRecord:
        _, record = self._container(namespace, pod, container)
        if not record.running:
            raise StatusError(500, "InternalError", f'Internal error occurred: container not found ("{container}")')
        return record

    def _container(self, namespace: str, pod: str, container: str) -> tuple[PodWorker, ContainerRecord]:
        stored = self._objects.get("pods", namespace, pod)
        if stored is None:
            raise not_found("pods", pod)
        worker = self._workers.get(str(stored["metadata"]["uid"]))
        names = [str(each["name"]) for each in stored["spec"]["containers"]]
        names += [str(each["name"]) for each in stored["spec"].get("initContainers") or []]
        if container not in names:
            raise StatusError(400, "BadRequest", f"container {container} is not valid for pod {pod}")
        record = None if worker is None else worker.record(container)
        if worker is None or record is None:
            message = f'container "{container}" in pod "{pod}" is waiting to start: ContainerCreating'
            raise StatusError(400, "BadRequest", message)
        return worker, record

    def _take(self, event: WatchEvent) -> None:
        """Hand a change to the workers that it is about."""
        if event.resource == "pods":
            self._take_pod(event)
            return
        if event.resource == "nodes":
            self._take_node(event)
            return
        if event.resource == "persistentvolumeclaims" and event.type == "DELETED":
            self._drop_claim(event.object)
        namespace = event.object["metadata"].get("namespace")
        for worker in self._workers.values():
            if worker.namespace == namespace:
                worker.kick()

    def _take_pod(self, event: WatchEvent) -> None:
        pod = event.object
        uid = str(pod["metadata"]["uid"])
        worker = self._workers.get(uid)
        if event.type == "DELETED":
            self._done.discard(uid)
            if worker is not None:
                worker.vanish()
        elif worker is not None:
            worker.update(pod)
        elif self._runs(pod) and uid not in self._done and not _is_over(pod):
            self._begin(uid, pod)

    def _runs(self, pod: Object) -> bool:
        """Return whether a pod is bound to a node that is switched on."""
        name = pod["spec"].get("nodeName")
        return name in self._nodes and name not in self._stopped

    def _take_node(self, event: WatchEvent) -> None:
        """Switch a node off or on as its annotation says; one whose object is gone goes on until its pods are gone."""
        name = event.object["metadata"]["name"]
        if name not in self._nodes or event.type == "DELETED":
            return
        stopped = is_stopped(event.object)
        if stopped and name not in self._stopped:
            self._stop(name)
        elif not stopped and name in self._stopped:
            self._start(name)

    def _stop(self, name: str) -> None:
        """Cut a node's power: its pods die and its heartbeats end, and the API is not told."""
        _log.info("node %s is switched off", name)
        self._stopped.add(name)
        self._keeper.pause(name)
        # The link first: else the kernel would say goodbye to the peers of each dying process.
        self._tools.network.unplug(self._nodes[name].pod_range)
        for uid, worker in self._workers.items():
            if worker.node_name == name:
                self._tasks[uid].cancel()

    def _start(self, name: str) -> None:
        """Give a node its power back: it reports at once, and starts again with the pods that are still bound to it."""
        _log.info("node %s is switched on", name)
        self._stopped.discard(name)
        self._tools.network.plug(self._nodes[name].pod_range)
        self._keeper.resume(name)
        for pod in self._objects.list("pods"):
            if pod["spec"].get("nodeName") == name:
                self._take_pod(WatchEvent("MODIFIED", "pods", pod))

    def _begin(self, uid: str, pod: Object) -> None:
        worker = PodWorker(pod, self._nodes[pod["spec"]["nodeName"]], self._tools)
        self._workers[uid] = worker
        task = asyncio.create_task(worker.run(), name=f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}")
        self._tasks[uid] = task
        task.add_done_callback(lambda done: self._end(uid, done))

    def _end(self, uid: str, task: "asyncio.Task[None]") -> None:
        worker = self._workers.pop(uid, None)
        self._tasks.pop(uid, None)
        if task.cancelled():
            # Its node may have got its power back while the pod's remains were cleared away.
            self._look_again(worker)
        elif error := task.exception():
            _log.error("%s failed", task.get_name(), exc_info=error)
            # Start again, so that a pod that is to go does not stay for ever because no change of it comes.
            asyncio.get_running_loop().call_later(_FAILED_WORKER_SECONDS, self._look_again, worker)
        elif worker is not None and not worker.gone:
            self._done.add(uid)

    def _look_again(self, worker: PodWorker | None) -> None:
        if worker is None or worker.gone or self._ending:
            return
        pod = self._objects.get("pods", worker.namespace, worker.name)
        if pod is not None:
            self._take_pod(WatchEvent("MODIFIED", "pods", pod))

    def _drop_claim(self, claim: Object) -> None:
        """Delete what a claim held; the protection of claims in use is the controllers' business."""
        folder = os.path.join(self._settings.state_folder, "claims", str(claim["metadata"]["uid"]))
        # In a thread, since a database has many files.
        removal = asyncio.create_task(asyncio.to_thread(claimdisks.remove, folder), name=f"removal of {folder}")
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)


def _is_over(pod: Object) -> bool:
    """Return whether a pod has ended before this agent began, so that there is nothing to run or to end."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return ended and "deletionTimestamp" not in pod["metadata"]
