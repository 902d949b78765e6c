"""The seam between the agent's decisions and what runs containers: the protocol `PodRuntime`.

Two runtimes implement it and pass the same named scenarios: `processes` (bubblewrap; pods are real processes) and
`memory` (nothing runs; for fast tests). A runtime starts, signals and ends containers and writes their logs. It must
not decide anything (restarts, probes, phases are the worker's), must not touch the API, and must not raise from
`signal` or `remove` because something has already ended.
"""

from dataclasses import dataclass, field
from typing import Protocol

from flametest.sandbox.agent.capabilities import CAPABILITIES
from flametest.sandbox.agent.logs import LogFile
from flametest.sandbox.cgroupfs import Limits
from flametest.sandbox.images.image import Bind, Image
from flametest.sandbox.podaccess import ExecProcess

__all__ = ["ContainerOptions", "PodRuntime", "PodSandbox", "StartError"]


class StartError(Exception):
    """A container could not be started; ``code`` is the exit code that its status tells (128, as containerd does)."""

    def __init__(self, message: str, code: int = 128) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class PodSandbox:
    """What the containers of one pod share.

    Attributes:
        uid: of the pod.
        hostname: as ``hostname`` prints it inside.
        folder: on the machine, exists, for the pod's files; whoever made it takes it away.
        namespace_path: a file that names the network namespace; empty for the agent's own.
        hosts: text of /etc/hosts.
        resolver: text of /etc/resolv.conf.
    """

    uid: str
    hostname: str
    folder: str
    namespace_path: str
    hosts: str
    resolver: str


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """One instance of a container; a restart is a new instance with a new ``id``.

    Attributes:
        id: unique over the life of the agent.
        pod_uid: of a pod that was prepared.
        name: in the pod's spec.
        image: what it runs.
        arguments: the whole command line, not empty.
        environment: all variables, in order.
        working_directory: absolute.
        user: numeric user id; 0 is root.
        group: numeric group id.
        groups: ids of further groups; heeded for real images.
        owns_volumes: whether its user gets the files of its volumes, whoever's they were: official images start as
            root and do so, and the number of a user that a Dockerfile only names is a guess.
        capabilities: what its root has.
        mounts: volumes, already made.
        read_only_root: whether the container may write to volumes and /dev/shm only.
        limits: what its processes may take together; enforced where the runtime can.
        log: where its output goes; the runtime closes it when the container has ended.
    """

    id: str
    pod_uid: str
    name: str
    image: Image
    arguments: tuple[str, ...]
    log: LogFile
    environment: tuple[tuple[str, str], ...] = ()
    working_directory: str = "/"
    user: int = 0
    group: int = 0
    groups: tuple[int, ...] = ()
    owns_volumes: bool = False
    capabilities: tuple[str, ...] = CAPABILITIES
    mounts: tuple[Bind, ...] = field(default=())
    read_only_root: bool = False
    limits: Limits = field(default=Limits())


class PodRuntime(Protocol):
    """Runs the containers of pods."""

    async def prepare(self, pod: PodSandbox) -> None:
        """Make what the containers of a pod share, before the first of them starts."""

    def differences(self, container: ContainerOptions) -> str:
        """Return what will be otherwise in a container than its image expects, with the remedy; empty for nothing."""

    async def start(self, container: ContainerOptions) -> None:
        """Start a container and return when its command runs (it may have ended already).

        Raises:
            StartError: the command cannot be run; nothing is left of it.
        """

    async def wait(self, container_id: str) -> int:
        """Return the exit code, 128 + n after signal n. Its log is complete then. May be awaited more than once."""

    def ran_out_of_memory(self, container_id: str) -> bool:
        """Return whether a process of a container was killed because the container's memory was at its limit."""

    def signal(self, container_id: str, number: int) -> None:
        """Send a signal to the container's process 1; nothing happens when it has ended."""

    async def execute(self, container_id: str, command: list[str], *, stdin: bool, tty: bool) -> ExecProcess:
        """Start a command inside a running container.

        Raises:
            StartError: the container does not run.
        """

    async def remove(self, pod_uid: str) -> None:
        """End every process of a pod at once and forget it; a pod that is not known is no error."""
