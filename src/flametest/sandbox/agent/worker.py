"""The life of one pod on its node: one worker, one task, from the binding to the removal of the object.

The agent hands the worker the newest object (`update`), says that it is gone (`vanish`) or that something it may wait
for has changed (`kick`). What to do is decided by `plan`; the keeper of the containers carries it out, and the worker
publishes the status. Ending by any way (deletion, force, cancellation) leaves no process, network or file of the pod
but its claims' folders.
"""

import asyncio
import contextlib
import logging
import os
import shutil
from dataclasses import replace

from flametest.sandbox.agent import podfiles
from flametest.sandbox.agent.claimdisks import mount_own
from flametest.sandbox.agent.containers import ContainerKeeper
from flametest.sandbox.agent.environment import hostname_of
from flametest.sandbox.agent.instances import InstanceMaker
from flametest.sandbox.agent.logs import LogFile
from flametest.sandbox.agent.outages import resume
from flametest.sandbox.agent.plan import PodFacts, plan
from flametest.sandbox.agent.podstate import PodState, Tools
from flametest.sandbox.agent.runtime import PodSandbox
from flametest.sandbox.agent.state import ContainerRecord, Waiting, records_of
from flametest.sandbox.agent.status import PodProgress, pod_status
from flametest.sandbox.agent.volumes import VolumeError, Volumes
from flametest.sandbox.errors import SandboxError, StatusError
from flametest.sandbox.objects import Object
from flametest.sandbox.podnetwork import PodAddress
from flametest.sandbox.settings import NodeSettings

__all__ = ["PodWorker"]

_log = logging.getLogger(__name__)


class PodWorker:
    """Runs one pod."""

    def __init__(self, pod: Object, node: NodeSettings, tools: Tools) -> None:
        settings = tools.settings
        records = records_of(pod["spec"])
        resume(records, pod.get("status"), tools.now())
        self._state = PodState(pod, node, tools, records)
        self._tools = tools
        self._namespace, self._name = str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"])
        claims = os.path.join(settings.state_folder, "claims")
        disk = os.path.join(settings.state_folder, "nodes", node.name)
        folder = self._state.folder
        self._volumes = Volumes(folder, claims, disk, settings.tokens, settings.api_certificate)
        self._instances = InstanceMaker(folder, self._volumes, tools.now, settings.log_bytes_max)
        self._containers = ContainerKeeper(self._state, self._instances)
        self._progress = PodProgress(node.address, tools.now())
        self._grace_seconds = 0.0

    def update(self, pod: Object) -> None:
        """Take the newest object."""
        self._state.pod = pod
        self._state.wake.set()

    def vanish(self) -> None:
        """The object is gone: end everything at once."""
        self._state.gone = True
        self._state.wake.set()

    def kick(self) -> None:
        """A ConfigMap, Secret or claim has changed that the pod may use."""
        for record in self._state.records:
            if isinstance(record.state, Waiting) and record.state.reason == "CreateContainerConfigError":
                record.retry_at = 0.0
        self._state.wake.set()

    @property
    def gone(self) -> bool:
        """Whether the object is gone."""
        return self._state.gone

    @property
    def name(self) -> str:
        """The pod's name."""
        return self._name

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return self._namespace

    @property
    def node_name(self) -> str:
        """The name of the pod's node."""
        return self._state.node.name

    def record(self, name: str) -> ContainerRecord | None:
        """Return the container of a name; None when the pod has none."""
        return next((record for record in self._state.records if record.name == name), None)

    def log(self, name: str, *, previous: bool) -> LogFile | None:
        """Return the log of a container's newest instance or of the one before; None when there is none."""
        return self._instances.log(name, previous=previous)

    async def run(self) -> None:
        """Live the pod's life; returns when its object is gone or may go."""
        try:
            if not self._state.terminating and await self._set_up():
                await self._live()
            await self._finish()
        finally:
            await self._cleaned_up()

    async def _set_up(self) -> bool:
        """Make network, volumes and shared files; return False when the pod is deleted meanwhile."""
        self._publish()
        os.makedirs(self._state.folder, mode=0o711, exist_ok=True)
        # The kernel makes the network while files are written.
        attached = asyncio.ensure_future(self._attach())
        try:
            volumes = await self._make_volumes()
        except BaseException:
            attached.cancel()
            raise
        finally:
            await asyncio.wait([attached])
        address = attached.result()
        if address is None or not volumes:
            return False
        self._state.address = address.ip
        sandbox = PodSandbox(
            uid=self._state.uid,
            hostname=hostname_of(self._state.pod),
            folder=self._state.folder,
            namespace_path=address.namespace_path,
            hosts=podfiles.hosts_text(self._state.pod, address.ip, self._tools.settings),
            resolver=podfiles.resolver_text(self._state.pod, self._tools.settings),
        )
        # Once more: the downward API may show the address that was not known before.
        self._renew_volumes()
        await self._tools.runtime.prepare(sandbox)
        self._progress = replace(self._progress, sandbox_ready=True)
        self._publish()
        self._progress = replace(self._progress, ip=address.ip)
        return True

    async def _attach(self) -> PodAddress | None:
        """Return the pod's address; tries again while the network refuses and the pod is wanted."""
        if self._state.pod["spec"].get("hostNetwork"):
            return PodAddress(self._state.node.address, "")
        while not self._state.terminating:
            self._state.wake.clear()
            try:
                return await self._tools.network.attach(self._state.uid, self._state.node.pod_range)
            except SandboxError as error:
                self._state.warning("FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            await self._pause(self._tools.settings.volume_retry_seconds)
        return None

    async def _make_volumes(self) -> bool:
        """Make the volumes as soon as their sources are there; return False when the pod is deleted meanwhile."""
        while not self._state.terminating:
            self._state.wake.clear()
            try:
                await self._mount_claims()
                self._volumes.make(self._state.context())
                return True
            except VolumeError as error:
                self._state.warning("FailedMount", f"MountVolume.SetUp failed for volume {error}")
            await self._pause(self._tools.settings.volume_retry_seconds)
        return False

    async def _mount_claims(self) -> None:
        """Have claims be file systems of their own that are to; formatting one takes a moment, so in a thread."""
        for folder, size in self._volumes.own_filesystems(self._state.context()):
            if hindrance := await asyncio.to_thread(mount_own, folder, size):
                told = f"a claim is a folder of the machine's disk, without a size of its own: {hindrance}"
                self._state.warning("ClaimDiffers", told)

    async def _live(self) -> None:
        """Carry out plan after plan until all containers are done or the object is gone."""
        while not self._state.gone:
            self._state.wake.clear()
            now = self._tools.now()
            facts = self._facts(now)
            step = plan(facts, self._state.records, now)
            if step.finished:
                # How the last container ended is told together with the end of the pod.
                return
            for action in step.actions:
                record = self.record(action.name)
                if record is not None and not self._state.gone:
                    await self._containers.carry_out(action, record, facts)
            self._publish()
            if step.actions:
                continue
            self._containers.freeze()
            self._renew_volumes()
            wake_at = step.wake_at
            if (limit := self._active_until()) is not None:
                wake_at = limit if wake_at is None else min(limit, wake_at)
            await self._pause(None if wake_at is None else max(wake_at - self._tools.now(), 0.0))

    async def _finish(self) -> None:
        """Show how the pod ended, end what it shared, and let its object go once it is deleted."""
        if self._state.gone:
            return
        self._containers.stop_tasks()
        self._progress = replace(self._progress, over=True, sandbox_ready=False)
        if (self._state.pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            self._publish()
        await self._tools.runtime.remove(self._state.uid)
        if not self._state.terminating:
            await self._tools.network.detach(self._state.uid)
        while not self._state.terminating:
            self._state.wake.clear()
            await self._state.wake.wait()
        if not self._state.gone:
            with contextlib.suppress(StatusError):
                self._tools.objects.delete("pods", self._namespace, self._name, uid=self._state.uid, grace_seconds=0)

    async def _cleaned_up(self) -> None:
        """Clean up to the end, also when this task is cancelled meanwhile: whoever ends the agent waits for it."""
        removal = asyncio.ensure_future(self._clean_up())
        try:
            await asyncio.shield(removal)
        except asyncio.CancelledError:
            await asyncio.wait([removal])
            raise

    async def _clean_up(self) -> None:
        self._containers.stop_tasks()
        self._instances.close()
        await self._tools.runtime.remove(self._state.uid)
        await self._tools.network.detach(self._state.uid)
        await asyncio.to_thread(shutil.rmtree, self._state.folder, ignore_errors=True)

    def _facts(self, now: float) -> PodFacts:
        spec, metadata, settings = self._state.pod["spec"], self._state.pod["metadata"], self._tools.settings
        wanted = metadata.get("deletionGracePeriodSeconds")
        grace_seconds = float(spec.get("terminationGracePeriodSeconds", 30) if wanted is None else wanted)
        limit = self._active_until()
        if limit is not None and now >= limit and not self._progress.reason:
            message = "Pod was active on the node longer than the specified deadline"
            self._progress = replace(self._progress, reason="DeadlineExceeded", message=message)
        if self._state.terminating:
            self._shorten(now, grace_seconds)
        return PodFacts(
            spec.get("restartPolicy", "Always"),
            grace_seconds,
            self._state.terminating or bool(self._progress.reason),
            settings.backoff_seconds,
            settings.backoff_seconds_max,
        )

    def _shorten(self, now: float, grace_seconds: float) -> None:
        """Set the deadline of a deletion; bring it forward when the pod is deleted again with less grace."""
        if self._state.deadline is not None and grace_seconds >= self._grace_seconds:
            return
        self._grace_seconds = grace_seconds
        self._state.deadline = (
            now + grace_seconds if self._state.deadline is None else min(now + grace_seconds, self._state.deadline)
        )
        for record in self._state.records:
            if record.stop is not None:
                record.stop.deadline = min(record.stop.deadline, self._state.deadline)

    def _active_until(self) -> float | None:
        seconds = self._state.pod["spec"].get("activeDeadlineSeconds")
        return None if seconds is None or self._progress.reason else self._progress.started_at + float(seconds)

    def _renew_volumes(self) -> None:
        """Show containers what has changed in their ConfigMaps and Secrets; one that has gone stays as it was."""
        if self._state.pod["spec"].get("volumes") and not self._state.terminating:
            with contextlib.suppress(VolumeError):
                self._volumes.make(self._state.context())

    def _publish(self) -> None:
        """Write the status when it differs from the stored one."""
        try:
            stored = self._tools.objects.get("pods", self._namespace, self._name)
            if self._state.gone or stored is None or stored["metadata"]["uid"] != self._state.uid:
                return
            status = pod_status(stored, self._state.records, self._progress, self._tools.now())
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
                await self._state.wake.wait()
