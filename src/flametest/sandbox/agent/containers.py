"""Carries out what was planned for the containers of one pod: starts, holds, hooks, signals; and notes how they end.

A `ContainerKeeper` belongs to one pod worker and ends with it. Its tasks (one that awaits each running instance, one a
hook, the probes) only change the records and wake the worker.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from flametest.sandbox.agent import hooks
from flametest.sandbox.agent.instances import InstanceMaker, WaitError
from flametest.sandbox.agent.plan import STOP_SECONDS_MIN, Action, PodFacts, Step, next_backoff_seconds
from flametest.sandbox.agent.podstate import PodState, pod_text
from flametest.sandbox.agent.probes import NotExecutedError
from flametest.sandbox.agent.probing import Prober
from flametest.sandbox.agent.pulling import PodDeletedError, Puller, image_id
from flametest.sandbox.agent.runtime import StartError
from flametest.sandbox.agent.state import ContainerRecord, Hook, Running, Stop, Terminated, Waiting
from flametest.sandbox.images import Image
from flametest.sandbox.objects import Object
from flametest.sandbox.podaccess import not_executed

__all__ = ["FROZEN_ANNOTATION", "ContainerKeeper"]

FROZEN_ANNOTATION = "sandbox.flametest.dev/frozen"
"""Names a container by the ``containerID`` of its status: its process 1 stands still for as long as this is so."""

_log = logging.getLogger(__name__)
_EXEC_OUTPUT_BYTES_MAX = 10 * 1024
_CONFIG_RETRY_SECONDS = 2.0


class ContainerKeeper:
    """Starts and ends the containers of one pod."""

    def __init__(self, state: PodState, instances: InstanceMaker) -> None:
        self._state = state
        self._tools = state.tools
        self._instances = instances
        self._tasks: set[asyncio.Task[None]] = set()
        self._probers: dict[str, Prober] = {}
        self._puller = Puller(state)

    async def carry_out(self, action: Action, record: ContainerRecord, facts: PodFacts) -> None:
        """Take one step; whatever goes wrong with the container is in its record afterwards."""
        match action.step:
            case Step.START:
                await self._start(record, facts)
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

    def freeze(self) -> None:
        """Stop process 1 of the container that the pod's annotation names, and let those of all others go on.

        Nobody inside a container can do so: the kernel drops such signals to the first process of a namespace.
        """
        named = str((self._state.pod["metadata"].get("annotations") or {}).get(FROZEN_ANNOTATION, ""))
        for record in self._state.records:
            wanted = bool(record.container_id) and named.rpartition("//")[2] == record.container_id
            if record.running and wanted != record.frozen:
                record.frozen = wanted
                self._tools.runtime.signal(record.container_id, signal.SIGSTOP if wanted else signal.SIGCONT)

    def stop_tasks(self) -> None:
        """End probes and hooks, and take no more notice of how containers end."""
        for prober in self._probers.values():
            prober.stop()
        self._probers.clear()
        for task in list(self._tasks):
            task.cancel()

    async def _start(self, record: ContainerRecord, facts: PodFacts) -> None:
        """Start a container's next instance, or let it wait with the reason why not."""
        try:
            image = await self._puller.pull(record)
            self._note_restart(record, facts)
            options = self._instances.make(self._state.context(), record, image)
        except WaitError as error:
            self._wait_with(record, error.reason, str(error))
            return
        except PodDeletedError:
            return
        if notice := self._tools.runtime.differences(options):
            self._state.warning("ImageDiffers", notice, record)
        self._state.normal("Created", "Container created", record)
        started_at = self._tools.now()
        record.container_id = options.id
        record.image_id = image_id(image)
        record.stop_signal = _stop_signal(record, image)
        record.started = record.ready = record.frozen = False
        record.unhealthy = ""
        try:
            await self._tools.runtime.start(options)
        except StartError as error:
            options.log.close()
            now = self._tools.now()
            record.state = Terminated(error.code, "StartError", started_at, now, options.id, str(error))
            self._state.warning("Failed", f"Error: {error}", record)
            return
        record.state = Running(self._tools.now())
        self._state.normal("Started", "Container started", record)
        self._spawn(
            self._await_exit(record, options.id),
            f"end of container {record.name} of pod {self._state.pod['metadata']['name']}",
        )
        if hook := (record.spec.get("lifecycle") or {}).get("postStart"):
            await self._post_start(record, hook)
        if record.running and not record.unhealthy:
            self._probe(record)

    def _note_restart(self, record: ContainerRecord, facts: PodFacts) -> None:
        """Count a restart and set what the next one is held back."""
        ended = record.state if isinstance(record.state, Terminated) else record.last
        if ended is None or isinstance(record.state, Running):
            return
        if isinstance(record.state, Terminated) or record.state.reason == "CrashLoopBackOff":
            record.last = ended
            record.backoff_seconds = next_backoff_seconds(record, ended.finished_at, facts)
            record.backoff_at = self._tools.now()
            record.restarts += 1

    def _wait_with(self, record: ContainerRecord, reason: str, message: str) -> None:
        settings, now = self._tools.settings, self._tools.now()
        if reason == "ErrImagePull":
            doubled = record.pull_seconds * 2 or settings.backoff_seconds
            record.pull_seconds = min(doubled, settings.backoff_seconds_max)
            record.retry_at = now + record.pull_seconds
        elif reason in ("ErrImageNeverPull", "InvalidImageName"):
            record.retry_at = now + settings.backoff_seconds
        else:
            record.retry_at = now + _CONFIG_RETRY_SECONDS
            self._state.warning("Failed", f"Error: {message}", record)
        if isinstance(record.state, Terminated):
            record.last = record.state
        record.state = Waiting(reason, message)

    def _back_off(self, record: ContainerRecord) -> None:
        """Show that a restart or a pull is held back."""
        if isinstance(record.state, Terminated):
            record.last = record.state
            record.state = _crash_loop(record, self._state.pod)
            message = f"Back-off restarting failed container {record.name} in pod {pod_text(self._state.pod)}"
            self._state.warning("BackOff", message, record)
        elif isinstance(record.state, Waiting):
            reference = record.spec["image"]
            message = f'Back-off pulling image "{reference}": ErrImagePull: {record.state.message}'
            self._state.normal("BackOff", f'Back-off pulling image "{reference}"', record)
            self._state.warning("Failed", "Error: ImagePullBackOff", record)
            record.state = Waiting("ImagePullBackOff", message)

    def _stop(self, record: ContainerRecord, grace_seconds: float) -> None:
        hook = Hook.DUE if record.pre_stop is not None and grace_seconds > 0 else Hook.DONE
        deadline = self._tools.now() + grace_seconds
        if self._state.deadline is not None:
            deadline = min(deadline, self._state.deadline)
        # Without grace there is nothing to ask for.
        record.stop = Stop(deadline, hook, asked=grace_seconds <= 0)
        self._state.normal("Killing", record.unhealthy or f"Stopping container {record.name}", record)

    def _begin_hook(self, record: ContainerRecord) -> None:
        if record.stop is not None and record.pre_stop is not None:
            record.stop.hook = Hook.RUNS
            self._spawn(self._pre_stop(record, record.stop, record.pre_stop), f"preStop of {record.name}")

    async def _pre_stop(self, record: ContainerRecord, stop: Stop, hook: dict[str, Any]) -> None:
        try:
            await hooks.run_hook(hook, record.spec, self._state.address, self._executor(record))
        except hooks.HookError as error:
            self._state.warning("FailedPreStopHook", f"PreStopHook failed: {error}", record)
        stop.hook = Hook.DONE
        self._state.wake.set()

    async def _post_start(self, record: ContainerRecord, hook: dict[str, Any]) -> None:
        """Run the postStart hook, unless container or pod end before it; its failure ends the container."""
        task = asyncio.ensure_future(hooks.run_hook(hook, record.spec, self._state.address, self._executor(record)))
        while not task.done() and record.running and not self._state.terminating:
            self._state.wake.clear()
            woken = asyncio.ensure_future(self._state.wake.wait())
            await asyncio.wait([task, woken], return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
        if not task.done():
            task.cancel()
            return
        if error := task.exception():
            self._state.warning("FailedPostStartHook", f"PostStartHook failed: {error}", record)
            record.unhealthy = "FailedPostStartHook"

    def _ask(self, record: ContainerRecord) -> None:
        if record.stop is None:
            return
        record.stop.asked = True
        record.stop.deadline = max(record.stop.deadline, self._tools.now() + STOP_SECONDS_MIN)
        self._tools.runtime.signal(record.container_id, record.stop_signal)

    def _kill(self, record: ContainerRecord) -> None:
        if record.stop is not None:
            record.stop.killed = True
            self._tools.runtime.signal(record.container_id, signal.SIGKILL)

    async def _await_exit(self, record: ContainerRecord, container_id: str) -> None:
        """Note how an instance ended."""
        code = await self._tools.runtime.wait(container_id)
        if record.container_id != container_id or not isinstance(record.state, Running):
            return
        finished_at = self._tools.now()
        message = await self._instances.termination_message(record, code)
        if prober := self._probers.pop(record.name, None):
            prober.stop()
        record.started = record.ready = False
        record.stop, record.unhealthy = None, ""
        record.state = Terminated(
            code,
            self._why_ended(container_id, code),
            record.state.started_at,
            finished_at,
            container_id,
            message,
        )
        self._state.wake.set()

    def _why_ended(self, container_id: str, code: int) -> str:
        """Return the reason of an end, as containerd tells it: whatever the code, where memory ran out."""
        if self._tools.runtime.ran_out_of_memory(container_id):
            return "OOMKilled"
        return "Completed" if code == 0 else "Error"

    def _probe(self, record: ContainerRecord) -> None:
        """Begin to probe a container that runs."""

        def failed(kind: str, told: str) -> None:
            self._state.warning("Unhealthy", f"{kind.capitalize()} {told}", record)

        prober = Prober(
            record,
            self._state.address,
            self._executor(record),
            failed=failed,
            changed=self._state.wake.set,
            terminating=lambda: self._state.terminating,
            notice_seconds=self._tools.settings.notice_seconds,
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
                if process.refusal:
                    raise NotExecutedError(not_executed(process.refusal))
                return await process.wait(), output
            finally:
                process.kill()

        return execute

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("%s failed", task.get_name(), exc_info=error)
            self._state.wake.set()


def _stop_signal(record: ContainerRecord, image: Image) -> int:
    """Return the signal that asks the container to end: the spec's, else the image's."""
    name = str((record.spec.get("lifecycle") or {}).get("stopSignal") or "")
    return int(signal.Signals[name]) if name in signal.Signals.__members__ else image.stop_signal


def _crash_loop(record: ContainerRecord, pod: Object) -> Waiting:
    seconds = int(record.backoff_seconds)
    text = f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"
    message = f"back-off {text} restarting failed container={record.name} pod={pod_text(pod)}"
    return Waiting("CrashLoopBackOff", message)
