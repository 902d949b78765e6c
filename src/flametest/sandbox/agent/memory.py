"""A runtime in which nothing runs: containers are facts in memory. For fast tests of everything above the runtime.

What a container would do is told beforehand: a `Program` for a command line. It passes the same named scenarios as
the runtime of real processes. Lives as long as the test that made it.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from flametest.sandbox.agent.runtime import ContainerOptions, PodSandbox, StartError
from flametest.sandbox.podaccess import ExecProcess

__all__ = ["MemoryRuntime", "Program"]

_KILLED = 128 + int(signal.SIGKILL)
_PAUSING = (signal.SIGSTOP, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Program:
    """What a command does.

    Attributes:
        output: written to standard output when it starts; ``{NAME}`` of a variable is filled in.
        code: its exit code; None for one that runs until it is ended.
        memory_bytes: how much it takes; over its limit it is killed as soon as it starts.
        on_stop: its exit code when it is asked to end; None for one that takes no notice.
        commands: exit codes of commands that are executed inside; others end with 0.
    """

    output: str = ""
    code: int | None = None
    memory_bytes: int = 0
    on_stop: int | None = 0
    commands: Mapping[tuple[str, ...], int] = field(default_factory=dict)


@dataclass(slots=True)
class _Container:
    options: ContainerOptions
    program: Program
    ended: "asyncio.Future[int]"

    @property
    def is_over_its_limit(self) -> bool:
        bound = self.options.limits.memory_bytes
        return bound is not None and self.program.memory_bytes > bound


class MemoryRuntime:
    """Implements `PodRuntime` without processes.

    Attributes:
        started: the options of every container that was started, in order.
        signals: (container's name, signal) for every signal that was sent, in order.
    """

    def __init__(
        self, programs: Mapping[tuple[str, ...], Program] | Callable[[ContainerOptions], Program | None]
    ) -> None:
        """Take the programs by command line, or a function that finds them; an unknown command cannot start."""
        self._programs = programs
        self._pods: dict[str, PodSandbox] = {}
        self._containers: dict[str, _Container] = {}
        self.started: list[ContainerOptions] = []
        self.signals: list[tuple[str, int]] = []

    @property
    def pods(self) -> list[str]:
        """The uids of pods that were prepared and not removed."""
        return list(self._pods)

    async def prepare(self, pod: PodSandbox) -> None:
        """Remember the pod."""
        self._pods[pod.uid] = pod

    def differences(self, container: ContainerOptions) -> str:
        """Return that nothing is otherwise: there are no users."""
        return ""

    async def start(self, container: ContainerOptions) -> None:
        """Start the program of the container's command line."""
        program = self._find(container)
        if program is None:
            raise StartError(f'exec: "{container.arguments[0]}": executable file not found in $PATH')
        found = _Container(container, program, asyncio.get_running_loop().create_future())
        self._containers[container.id] = found
        self.started.append(container)
        container.log.write(1, program.output.format_map(dict(container.environment)).encode())
        if found.is_over_its_limit:
            self._end(found, _KILLED)
        elif program.code is not None:
            self._end(found, program.code)

    async def wait(self, container_id: str) -> int:
        """Return the exit code."""
        return await asyncio.shield(self._containers[container_id].ended)

    def ran_out_of_memory(self, container_id: str) -> bool:
        """Return whether its program takes more than its limit."""
        container = self._containers.get(container_id)
        return container is not None and container.is_over_its_limit

    def signal(self, container_id: str, number: int) -> None:
        """End the container by SIGKILL, or by another signal when its program heeds it."""
        container = self._containers.get(container_id)
        if container is None or container.ended.done():
            return
        self.signals.append((container.options.name, number))
        if number == signal.SIGKILL:
            self._end(container, _KILLED)
        elif number not in _PAUSING and container.program.on_stop is not None:
            self._end(container, container.program.on_stop)

    async def execute(self, container_id: str, command: list[str], *, stdin: bool, tty: bool) -> ExecProcess:
        """Return a command that has ended with the code that the program tells for it."""
        container = self._containers.get(container_id)
        if container is None or container.ended.done():
            raise StartError(f"container {container_id} does not run")
        return _Ended(container.program.commands.get(tuple(command), 0))

    async def remove(self, pod_uid: str) -> None:
        """End the pod's containers and forget it."""
        for container_id, container in list(self._containers.items()):
            if container.options.pod_uid == pod_uid:
                self._end(container, _KILLED)
                del self._containers[container_id]
        self._pods.pop(pod_uid, None)

    def end(self, name: str, code: int) -> None:
        """Let the containers of a name end by themselves."""
        for container in self._containers.values():
            if container.options.name == name:
                self._end(container, code)

    def _find(self, container: ContainerOptions) -> Program | None:
        if callable(self._programs):
            return self._programs(container)
        return self._programs.get(container.arguments)

    @staticmethod
    def _end(container: _Container, code: int) -> None:
        if not container.ended.done():
            container.options.log.close()
            container.ended.set_result(code)


class _Ended:
    """A command inside a container that has already ended, without output."""

    refusal = ""

    def __init__(self, code: int) -> None:
        self._code = code

    async def write(self, data: bytes) -> None:
        """Nobody reads."""

    def close_stdin(self) -> None:
        """Nobody reads."""

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield nothing."""
        parts: tuple[tuple[int, bytes], ...] = ()
        for part in parts:
            yield part

    async def wait(self) -> int:
        """Return the exit code."""
        return self._code

    def kill(self) -> None:
        """It has ended."""
