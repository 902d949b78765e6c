"""The life of one pod on its node: one worker, one task, from the binding to the removal of the object.

The agent hands the worker the newest object (`update`), says that it is gone (`vanish`) or that something it may wait
for has changed (`kick`). These only set facts and wake the task: a mailbox that holds one letter, so it cannot run
over. What to do is decided by `plan`; the worker carries it out and publishes the status. Ending by any way (deletion,
force, cancellation) leaves no process, network or file of the pod but its claims' folders.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from flametest.sandbox.agent import hooks, podfiles
from flametest.sandbox.agent.environment import PodContext, hostname_of
from flametest.sandbox.agent.image import Image
from flametest.sandbox.agent.images import Catalogue, PullError
from flametest.sandbox.agent.instances import InstanceMaker, WaitError
from flametest.sandbox.agent.logs import LogFile
from flametest.sandbox.agent.plan import STOP_SECONDS_MIN, Action, PodFacts, Step, next_backoff_seconds, plan
from flametest.sandbox.agent.probing import Prober
from flametest.sandbox.agent.runtime import PodRuntime, PodSandbox, StartError
from flametest.sandbox.agent.settings import AgentSettings
from flametest.sandbox.agent.state import ContainerRecord, Hook, Running, Stop, Terminated, Waiting, records_of
from flametest.sandbox.agent.status import PodProgress, pod_status
from flametest.sandbox.agent.volumes import VolumeError, Volumes
from flametest.sandbox.errors import SandboxError, StatusError
from flametest.sandbox.eventrecorder import EventRecorder
from flametest.sandbox.objects import Object, Objects
from flametest.sandbox.podnetwork import PodAddress, PodNetwork
from flametest.sandbox.settings import NodeSettings

__all__ = ["PodWorker", "Tools"]

_log = logging.getLogger(__name__)
_EXEC_OUTPUT_BYTES_MAX = 10 * 1024
_CONFIG_RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What all workers of an agent work with."""

    objects: Objects
    network: PodNetwork
    runtime: PodRuntime
    catalogue: Catalogue
    recorder: EventRecorder
    settings: AgentSettings
    capacity: dict[str, str]
    now: Callable[[], float]


class PodWorker:
    """Runs one pod.

    Attributes:
        pod: the newest object.
        records: the pod's containers.
    """

    def __init__(self, pod: Object, node: NodeSettings, tools: Tools) -> None:
        self.pod = pod
        self.records = records_of(pod["spec"])
        self._node = node
        self._tools = tools
        self._uid = str(pod["metadata"]["uid"])
        self._namespace, self._name = str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"])
        self._folder = os.path.join(tools.settings.state_folder, "pods", self._uid)
        claims = os.path.join(tools.settings.state_folder, "claims")
        settings = tools.settings
        self._volumes = Volumes(self._folder, claims, settings.service_account_token, settings.api_certificate)
        self._instances = InstanceMaker(self._folder, self._volumes, tools.now, settings.log_bytes_max)
        self._progress = PodProgress(node.address, tools.now())
        self._address = ""
        self._gone = False
        self._deadline: float | None = None
        self._grace_seconds = 0.0
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._probers: dict[str, Prober] = {}

    def update(self, pod: Object) -> None:
        """Take the newest object."""
        self.pod = pod
        self._wake.set()

    def vanish(self) -> None:
        """The object is gone: end everything at once."""
        self._gone = True
        self._wake.set()

    def kick(self) -> None:
        """A ConfigMap, Secret or claim has changed that the pod may use."""
        for record in self.records:
            if isinstance(record.state, Waiting) and record.state.reason == "CreateContainerConfigError":
                record.retry_at = 0.0
        self._wake.set()

    @property
    def gone(self) -> bool:
        """Whether the object is gone."""
        return self._gone

    @property
    def node_name(self) -> str:
        """The node that the pod is bound to."""
        return self._node.name

    @property
    def terminating(self) -> bool:
        """Whether the pod was deleted."""
        return self._gone or "deletionTimestamp" in self.pod["metadata"]

    def record(self, name: str) -> ContainerRecord | None:
        """Return the container of a name; None when the pod has none."""
        return next((record for record in self.records if record.name == name), None)

    def log(self, name: str, *, previous: bool) -> LogFile | None:
        """Return the `LogFile` of a container, or None."""
        return self._instances.log(name, previous=previous)

    async def run(self) -> None:
        """Live the pod's life; returns when its object is gone or may go."""
        try:
            if not self.terminating and await self._set_up():
                await self._live()
            await self._finish()
        finally:
            await asyncio.shield(asyncio.ensure_future(self._clean_up()))

    async def _set_up(self) -> bool:
        """Make network, volumes and shared files; return False when the pod is deleted meanwhile."""
        self._publish()
        os.makedirs(self._folder, mode=0o711, exist_ok=True)
        # The kernel makes the network while files are written.
        attached = asyncio.ensure_future(self._attach())
        try:
            volumes = await self._make_volumes()
        finally:
            await asyncio.wait([attached])
        address = attached.result()
        if address is None or not volumes:
            return False
        self._address = address.ip
        sandbox = PodSandbox(
            uid=self._uid,
            hostname=hostname_of(self.pod),
            folder=self._folder,
            namespace_path=address.namespace_path,
            hosts=podfiles.hosts_text(self.pod, address.ip, self._tools.settings),
            resolver=podfiles.resolver_text(self.pod, self._tools.settings),
        )
        if self.pod["spec"].get("volumes"):
            # Once more: the downward API may show the address that was not known before.
            self._volumes.make(self._context())
        await self._tools.runtime.prepare(sandbox)
        self._progress = replace(self._progress, sandbox_ready=True)
        self._publish()
        self._progress = replace(self._progress, ip=address.ip)
        return True

    async def _attach(self) -> PodAddress | None:
        """Return the pod's address; tries again while the network refuses and the pod is wanted."""
        while not self.terminating:
            self._wake.clear()
            try:
                return await self._tools.network.attach(self._uid, self._node.pod_range)
            except SandboxError as error:
                self._warn("FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            await self._pause(self._tools.settings.volume_retry_seconds)
        return None

    async def _make_volumes(self) -> bool:
        """Make the volumes as soon as their sources are there; return False when the pod is deleted meanwhile."""
        while not self.terminating:
            self._wake.clear()
            try:
                self._volumes.make(self._context())
                return True
            except VolumeError as error:
                self._warn("FailedMount", f"MountVolume.SetUp failed for volume {error}")
            await self._pause(self._tools.settings.volume_retry_seconds)
        return False

    async def _live(self) -> None:
        """Carry out plan after plan until all containers are done or the object is gone."""
        while not self._gone:
            self._wake.clear()
            now = self._tools.now()
            step = plan(self._facts(now), self.records, now)
            if step.finished:
                # How the last container ended is told together with the end of the pod.
                return
            for action in step.actions:
                await self._do(action)
            self._publish()
            if step.actions:
                continue
            self._renew_volumes()
            wake_at = step.wake_at
            if (limit := self._active_until()) is not None:
                wake_at = limit if wake_at is None else min(limit, wake_at)
            await self._pause(None if wake_at is None else max(wake_at - self._tools.now(), 0.0))

    async def _finish(self) -> None:
        """Show how the pod ended, end what it shared, and let its object go once it is deleted."""
        if self._gone:
            return
        self._stop_tasks()
        self._progress = replace(self._progress, over=True, sandbox_ready=False)
        if (self.pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            self._publish()
        await self._tools.runtime.remove(self._uid)
        if not self.terminating:
            await self._tools.network.detach(self._uid)
        while not self.terminating:
            self._wake.clear()
            await self._wake.wait()
        if not self._gone:
            with contextlib.suppress(StatusError):
                self._tools.objects.delete("pods", self._namespace, self._name, uid=self._uid, grace_seconds=0)

    async def _clean_up(self) -> None:
        self._stop_tasks()
        self._instances.close()
        await self._tools.runtime.remove(self._uid)
        await self._tools.network.detach(self._uid)
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def _facts(self, now: float) -> PodFacts:
        spec, metadata, settings = self.pod["spec"], self.pod["metadata"], self._tools.settings
        wanted = metadata.get("deletionGracePeriodSeconds")
        grace_seconds = float(spec.get("terminationGracePeriodSeconds", 30) if wanted is None else wanted)
        limit = self._active_until()
        if limit is not None and now >= limit and not self._progress.reason:
            message = "Pod was active on the node longer than the specified deadline"
            self._progress = replace(self._progress, reason="DeadlineExceeded", message=message)
        if self.terminating:
            self._shorten(now, grace_seconds)
        return PodFacts(
            spec.get("restartPolicy", "Always"),
            grace_seconds,
            self.terminating or bool(self._progress.reason),
            settings.backoff_seconds,
            settings.backoff_seconds_max,
        )

    def _shorten(self, now: float, grace_seconds: float) -> None:
        """Set the deadline of a deletion; bring it forward when the pod is deleted again with less grace."""
        if self._deadline is not None and grace_seconds >= self._grace_seconds:
            return
        self._grace_seconds = grace_seconds
        self._deadline = now + grace_seconds if self._deadline is None else min(now + grace_seconds, self._deadline)
        for record in self.records:
            if record.stop is not None:
                record.stop.deadline = min(record.stop.deadline, self._deadline)

    def _active_until(self) -> float | None:
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        return None if seconds is None or self._progress.reason else self._progress.started_at + float(seconds)

    async def _do(self, action: Action) -> None:
        record = self.record(action.name)
        if record is None or self._gone:
            return
        match action.step:
            case Step.START:
                await self._start(record)
            case Step.BACK_OFF:
                self._back_off(record)
            case Step.STOP:
                self._stop(record, action.grace_seconds)
            case Step.HOOK:
                self._begin_hook(record)
            case Step.ASK:
                self._ask(record)
            case Step.KILL:
                self._kill(record)

    async def _start(self, record: ContainerRecord) -> None:
        """Start a container's next instance, or let it wait with the reason why not."""
        try:
            image = self._pull(record)
            self._note_restart(record)
            options = self._instances.make(self._context(), record, image)
        except WaitError as error:
            self._wait_with(record, error.reason, str(error))
            return
        self._tell(record, "Created", "Container created")
        started_at = self._tools.now()
        record.container_id = options.id
        record.started = record.ready = False
        record.unhealthy = ""
        try:
            await self._tools.runtime.start(options)
        except StartError as error:
            options.log.close()
            now = self._tools.now()
            record.state = Terminated(error.code, "StartError", started_at, now, options.id, str(error))
            self._warn("Failed", f"Error: {error}", record)
            return
        record.state = Running(self._tools.now())
        self._tell(record, "Started", "Container started")
        self._spawn(self._await_exit(record, options.id), f"end of container {record.name} of pod {self._name}")
        if hook := (record.spec.get("lifecycle") or {}).get("postStart"):
            await self._post_start(record, hook)
        if record.running and not record.unhealthy:
            self._probe(record)

    def _note_restart(self, record: ContainerRecord) -> None:
        """Count a restart and set what the next one is held back."""
        ended = record.state if isinstance(record.state, Terminated) else record.last
        if ended is None or isinstance(record.state, Running):
            return
        if isinstance(record.state, Terminated) or record.state.reason == "CrashLoopBackOff":
            record.last = ended
            facts = self._facts(self._tools.now())
            record.backoff_seconds = next_backoff_seconds(record, ended.finished_at, facts)
            record.backoff_at = self._tools.now()
            record.restarts += 1

    def _pull(self, record: ContainerRecord) -> Image:
        """Return the image, telling the events of a pull; raises WaitError."""
        reference, policy = str(record.spec["image"]), record.spec.get("imagePullPolicy", "IfNotPresent")
        try:
            if policy == "Always":
                self._tell(record, "Pulling", f'Pulling image "{reference}"')
            image = self._tools.catalogue.image(reference)
        except PullError as error:
            if policy == "Never":
                message = f'Container image "{reference}" is not present with pull policy of Never'
                self._warn("ErrImageNeverPull", message, record)
                self._warn("Failed", "Error: ErrImageNeverPull", record)
                raise WaitError("ErrImageNeverPull", message) from error
            if policy != "Always":
                self._tell(record, "Pulling", f'Pulling image "{reference}"')
            self._warn("Failed", f'Failed to pull image "{reference}": {error}', record)
            self._warn("Failed", "Error: ErrImagePull", record)
            raise WaitError("ErrImagePull", str(error)) from error
        if policy == "Always":
            self._tell(record, "Pulled", f'Successfully pulled image "{reference}" in 0s (0s including waiting)')
        else:
            self._tell(record, "Pulled", f'Container image "{reference}" already present on machine')
        if image.notice:
            self._warn("ImageDiffers", image.notice, record)
        record.pull_seconds = 0.0
        return image

    def _wait_with(self, record: ContainerRecord, reason: str, message: str) -> None:
        settings, now = self._tools.settings, self._tools.now()
        if reason == "ErrImagePull":
            doubled = record.pull_seconds * 2 or settings.backoff_seconds
            record.pull_seconds = min(doubled, settings.backoff_seconds_max)
            record.retry_at = now + record.pull_seconds
        elif reason == "ErrImageNeverPull":
            record.retry_at = now + settings.backoff_seconds
        else:
            record.retry_at = now + _CONFIG_RETRY_SECONDS
            self._warn("Failed", f"Error: {message}", record)
        record.state = Waiting(reason, message)

    def _back_off(self, record: ContainerRecord) -> None:
        """Show that a restart or a pull is held back."""
        if isinstance(record.state, Terminated):
            record.last = record.state
            record.state = _crash_loop(record, self.pod)
            message = f"Back-off restarting failed container {record.name} in pod {_pod_text(self.pod)}"
            self._warn("BackOff", message, record)
        elif isinstance(record.state, Waiting):
            reference = record.spec["image"]
            message = f'Back-off pulling image "{reference}": ErrImagePull: {record.state.message}'
            self._normal("BackOff", f'Back-off pulling image "{reference}"', record)
            self._warn("Failed", "Error: ImagePullBackOff", record)
            record.state = Waiting("ImagePullBackOff", message)

    def _stop(self, record: ContainerRecord, grace_seconds: float) -> None:
        hook = Hook.DUE if record.pre_stop is not None and grace_seconds > 0 else Hook.DONE
        deadline = self._tools.now() + grace_seconds
        if self._deadline is not None:
            deadline = min(deadline, self._deadline)
        # Without grace there is nothing to ask for.
        record.stop = Stop(deadline, hook, asked=grace_seconds <= 0)
        self._normal("Killing", record.unhealthy or f"Stopping container {record.name}", record)

    def _begin_hook(self, record: ContainerRecord) -> None:
        if record.stop is not None and record.pre_stop is not None:
            record.stop.hook = Hook.RUNS
            self._spawn(self._pre_stop(record, record.stop, record.pre_stop), f"preStop of {record.name}")

    async def _pre_stop(self, record: ContainerRecord, stop: Stop, hook: dict[str, Any]) -> None:
        try:
            await hooks.run_hook(hook, record.spec, self._address, self._executor(record))
        except hooks.HookError as error:
            self._warn("FailedPreStopHook", f"PreStopHook failed: {error}", record)
        stop.hook = Hook.DONE
        self._wake.set()

    async def _post_start(self, record: ContainerRecord, hook: dict[str, Any]) -> None:
        """Run the postStart hook, unless container or pod end before it; its failure ends the container."""
        task = asyncio.ensure_future(hooks.run_hook(hook, record.spec, self._address, self._executor(record)))
        while not task.done() and record.running and not self.terminating:
            self._wake.clear()
            woken = asyncio.ensure_future(self._wake.wait())
            await asyncio.wait([task, woken], return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
        if not task.done():
            task.cancel()
            return
        if error := task.exception():
            self._warn("FailedPostStartHook", f"PostStartHook failed: {error}", record)
            record.unhealthy = "FailedPostStartHook"

    def _ask(self, record: ContainerRecord) -> None:
        if record.stop is None:
            return
        record.stop.asked = True
        record.stop.deadline = max(record.stop.deadline, self._tools.now() + STOP_SECONDS_MIN)
        try:
            number = self._tools.catalogue.image(str(record.spec["image"])).stop_signal
        except PullError:
            number = int(signal.SIGTERM)
        self._tools.runtime.signal(record.container_id, number)

    def _kill(self, record: ContainerRecord) -> None:
        if record.stop is not None:
            record.stop.killed = True
            self._tools.runtime.signal(record.container_id, signal.SIGKILL)

    async def _await_exit(self, record: ContainerRecord, container_id: str) -> None:
        """Note how an instance ended."""
        code = await self._tools.runtime.wait(container_id)
        if record.container_id != container_id or not isinstance(record.state, Running):
            return
        if prober := self._probers.pop(record.name, None):
            prober.stop()
        record.started = record.ready = False
        record.stop, record.unhealthy = None, ""
        record.state = Terminated(
            code,
            "Completed" if code == 0 else "Error",
            record.state.started_at,
            self._tools.now(),
            container_id,
            self._instances.termination_message(record),
        )
        self._wake.set()

    def _probe(self, record: ContainerRecord) -> None:
        """Begin to probe a container that runs."""

        def failed(kind: str, message: str) -> None:
            self._warn("Unhealthy", f"{kind.capitalize()} probe failed: {message}", record)

        prober = Prober(
            record,
            self._address,
            self._executor(record),
            failed=failed,
            changed=self._wake.set,
            terminating=lambda: self.terminating,
        )
        self._probers[record.name] = prober
        prober.start()

    def _executor(self, record: ContainerRecord) -> Callable[[list[str]], Coroutine[Any, Any, tuple[int, bytes]]]:
        async def execute(command: list[str]) -> tuple[int, bytes]:
            """Run a command in the container; return its code and the beginning of its output."""
            try:
                process = await self._tools.runtime.execute(record.container_id, command, stdin=False, tty=False)
            except StartError as error:
                return 128, str(error).encode()
            output = b""
            try:
                async for _, data in process.output():
                    output = (output + data)[:_EXEC_OUTPUT_BYTES_MAX]
                return await process.wait(), output
            finally:
                process.kill()

        return execute

    def _context(self) -> PodContext:
        addresses = {
            "status.hostIP": self._node.address,
            "status.hostIPs": self._node.address,
            "status.podIP": self._address,
            "status.podIPs": self._address,
        }
        return PodContext(self.pod, self._tools.objects, addresses, self._tools.capacity)

    def _renew_volumes(self) -> None:
        """Show containers what has changed in their ConfigMaps and Secrets; one that has gone stays as it was."""
        if self.pod["spec"].get("volumes") and not self.terminating:
            with contextlib.suppress(VolumeError):
                self._volumes.make(self._context())

    def _publish(self) -> None:
        """Write the status when it differs from the stored one."""
        try:
            stored = self._tools.objects.get("pods", self._namespace, self._name)
            if self._gone or stored is None or stored["metadata"]["uid"] != self._uid:
                return
            status = pod_status(stored, self.records, self._progress, self._tools.now())
            if status == stored.get("status"):
                return
            stored["status"] = status
            # The agent is the one that knows; it need not ask whether somebody has changed the object meanwhile.
            stored["metadata"].pop("resourceVersion", None)
            self._tools.objects.update_status("pods", stored)
        except StatusError as error:
            _log.warning("status of pod %s/%s is not stored: %s", self._namespace, self._name, error)

    async def _pause(self, seconds: float | None) -> None:
        """Wait until woken, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("%s failed", task.get_name(), exc_info=error)
            self._wake.set()

    def _stop_tasks(self) -> None:
        for prober in self._probers.values():
            prober.stop()
        self._probers.clear()
        for task in list(self._tasks):
            task.cancel()

    def _normal(self, reason: str, message: str, record: ContainerRecord | None = None) -> None:
        self._tools.recorder.normal(self.pod, reason, message, _field_path(record))

    def _tell(self, record: ContainerRecord, reason: str, message: str) -> None:
        self._tools.recorder.normal(self.pod, reason, message, _field_path(record))

    def _warn(self, reason: str, message: str, record: ContainerRecord | None = None) -> None:
        self._tools.recorder.warning(self.pod, reason, message, _field_path(record))


def _field_path(record: ContainerRecord | None) -> str:
    if record is None:
        return ""
    kind = "containers" if record.role.value == "main" else "initContainers"
    return f"spec.{kind}{{{record.name}}}"


def _pod_text(pod: Object) -> str:
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


def _crash_loop(record: ContainerRecord, pod: Object) -> Waiting:
    seconds = int(record.backoff_seconds)
    text = f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"
    message = f"back-off {text} restarting failed container={record.name} pod={_pod_text(pod)}"
    return Waiting("CrashLoopBackOff", message)
