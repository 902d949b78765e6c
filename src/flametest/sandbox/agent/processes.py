"""Pods as real processes: the runtime that starts containers with bubblewrap inside the pod's network namespace.

A container is one bubblewrap process and, as process 1 of a process namespace of its own, the container's command.
When the command ends, the kernel ends all else in that namespace; when the agent ends, bubblewrap's
``--die-with-parent`` ends the command. So nothing outlives its pod, and nothing outlives the agent.
Used by the `Agent` of a real sandbox; lives as long as it.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from flametest.sandbox.agent.bounds import Bounds
from flametest.sandbox.agent.bubblewrap import await_end, child_pid, last_words, translated
from flametest.sandbox.agent.children import Child, give_to
from flametest.sandbox.agent.execs import Command
from flametest.sandbox.agent.imageroot import ImageRoots
from flametest.sandbox.agent.nesting import make_nested_places
from flametest.sandbox.agent.root import RootFiles, group_text, passwd_text, root_arguments
from flametest.sandbox.agent.runtime import ContainerOptions, PodSandbox, StartError
from flametest.sandbox.agent.volumeowners import take_over_volumes
from flametest.sandbox.cgroupfs import ControlGroup, ControlGroups, enter_command
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.idmaps import has_other_users
from flametest.sandbox.images import Bind, Image
from flametest.sandbox.podaccess import ExecProcess
from flametest.sandbox.removal import remove_tree

__all__ = ["ProcessRuntime"]

_CHUNK_BYTES = 64 * 1024
_START_SECONDS_MAX = 10.0
_SHARED_FILES = ("hosts", "hostname", "resolv.conf")
_NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"


@dataclass(slots=True)
class _Container:
    """A container that was started and not yet forgotten."""

    options: ContainerOptions
    child: Child
    pid: int
    pidfd: int | None  # None of one that ended before it could be opened
    group: ControlGroup | None  # None of one without limits
    ran_out_of_memory: bool = False
    ended: asyncio.Task[int] = field(init=False)


class ProcessRuntime:
    """Runs containers as processes of this machine."""

    def __init__(self, folder: str, groups: ControlGroups | None = None) -> None:
        """Look for the programs that are needed.

        ``folder`` is the runtime's own, for files that images bring. Without control groups limits are not enforced.

        Raises:
            SandboxError: bubblewrap or nsenter is not installed.
        """
        self._bwrap = _program("bwrap", "bubblewrap")
        self._nsenter = _program("nsenter", "util-linux")
        self._setpriv = shutil.which("setpriv")
        self._setsid = shutil.which("setsid")
        self._identity = _identity(self._bwrap)
        self._folder = folder
        self._has_other_users = has_other_users()
        self._bounds = Bounds(groups)
        self._pods: dict[str, PodSandbox] = {}
        self._containers: dict[str, _Container] = {}
        # By pod: what may not have ended yet, and has to before the pod is forgotten.
        self._children: dict[str, list[Child | Command]] = {}
        self._image_roots: ImageRoots | None = None
        self._removals: set[asyncio.Task[None]] = set()
        self._image_files: dict[Image, tuple[tuple[str, str], ...]] = {}

    async def prepare(self, pod: PodSandbox) -> None:
        """Write the files of /etc that the pod's containers share."""
        folder = os.path.join(pod.folder, "etc")
        os.makedirs(folder, exist_ok=True)
        texts = {
            "hosts": pod.hosts,
            "hostname": pod.hostname + "\n",
            "resolv.conf": pod.resolver,
            "nsswitch.conf": _NSSWITCH,
        }
        for name, text in texts.items():
            _write(os.path.join(folder, name), text)
        self._pods[pod.uid] = pod

    def differences(self, container: ContainerOptions) -> str:
        """Return what a container's users will not get here, with the remedy; empty for nothing."""
        try:
            return self._roots().differences(container) if container.image.root else ""
        except StartError:
            return ""  # which its start will tell

    async def start(self, container: ContainerOptions) -> None:
        """Start a container and return when its command runs; raises StartError."""
        pod = self._pods[container.pod_uid]
        if self._has_other_users:
            await asyncio.to_thread(take_over_volumes, container)
        make_nested_places(container)
        try:
            arguments = self._arguments(pod, container)
            group = self._bounds.add(container)
        except StartError:
            self._remove_root(container.id)
            raise
        enter = enter_command(group) if group is not None else []
        status_read, status_write = os.pipe()
        pipes = (os.pipe(), os.pipe())
        give_to(self._owner(container), *(write for _, write in pipes))
        try:
            child = Child(
                [*enter, *arguments[0], "--json-status-fd", str(status_write), "--", *arguments[1]],
                environment=dict(container.environment),
                stdout=pipes[0][1],
                stderr=pipes[1][1],
                pass_fds=(status_write,),
            )
        except OSError as error:
            _close(status_read, *(read for read, _ in pipes))
            self._bounds.remove(group)
            self._remove_root(container.id)
            raise StartError(f"cannot start a process for container {container.name}: {error}") from error
        finally:
            _close(status_write, *(write for _, write in pipes))
        self._keep(pod.uid, child)
        outputs = {pipes[0][0]: 1, pipes[1][0]: 2}
        try:
            async with asyncio.timeout(_START_SECONDS_MAX):
                running = await self._running(container, child, group, status_read, pipes[1][0])
        except BaseException as error:
            child.kill()
            _close(status_read, *outputs)
            self._bounds.remove(group)
            await child.wait()
            self._remove_root(container.id)
            if isinstance(error, TimeoutError):
                raise StartError(f"{container.arguments[0]} did not run within {_START_SECONDS_MAX:g} s") from None
            raise
        running.ended = asyncio.create_task(
            self._follow(running, outputs, status_read), name=f"container {container.name} of pod {pod.uid}"
        )
        self._forget_ended(container.pod_uid, container.name)
        self._containers[container.id] = running

    async def wait(self, container_id: str) -> int:
        """Return the exit code of a container, once its log is complete."""
        return await asyncio.shield(self._containers[container_id].ended)

    def ran_out_of_memory(self, container_id: str) -> bool:
        """Return whether the kernel has killed a process of a container that has ended for the sake of its limit."""
        container = self._containers.get(container_id)
        return container is not None and container.ran_out_of_memory

    def signal(self, container_id: str, number: int) -> None:
        """Signal the container's process 1."""
        container = self._containers.get(container_id)
        if container is not None and container.pidfd is not None and not container.ended.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(container.pidfd, number)

    async def execute(self, container_id: str, command: list[str], *, stdin: bool, tty: bool) -> ExecProcess:
        """Start a command in a container's namespaces, with its environment and working directory."""
        container = self._containers.get(container_id)
        if container is None or container.ended.done():
            raise StartError(f"container {container_id} does not run")
        options = container.options
        enter = self._enter(container)
        environment = dict(options.environment)
        if tty:
            environment.setdefault("TERM", "xterm")
            if self._setsid is not None:
                enter = [self._setsid, "--ctty", *enter]
        try:
            within = enter_command(container.group) if container.group is not None else []
            owner = self._owner(options)
            started = Command([*within, *enter], command, environment, stdin=stdin, tty=tty, owner=owner)
        except OSError as error:
            raise StartError(f"cannot start a process in container {options.name}: {error}") from error
        self._keep(options.pod_uid, started)
        return started

    def _owner(self, container: ContainerOptions) -> tuple[int, int] | None:
        """Return user and group that output belongs to; None where they are this process' own, by another number."""
        is_other = bool(container.image.root) and not self._roots().renumbers(container)
        return (container.user, container.group) if is_other else None

    def _enter(self, container: _Container) -> list[str]:
        """Return the words before a command that is executed in a container."""
        options = container.options
        real = bool(options.image.root) and not self._roots().renumbers(options)
        enter = [self._nsenter, "-t", str(container.pid), "-m", "-p", "-n", "-i", "-u"]
        if (options.user or options.group) and not real:
            enter += ["-U", "--preserve-credentials"]
        enter += ["--wdns=" + options.working_directory, "--"]
        if options.image.root:
            return [*enter, *self._roots().within(options)]
        if self._setpriv is not None:
            enter += [self._setpriv, "--pdeathsig", "KILL"]
            if not options.user and not options.group:
                bounding = ",".join(["-all", *(f"+{name}" for name in options.capabilities)])
                enter += ["--bounding-set", bounding]
            enter.append("--")
        return enter

    async def remove(self, pod_uid: str) -> None:
        """End the pod's processes and forget it."""
        mine = [found for found in self._containers.values() if found.options.pod_uid == pod_uid]
        for container in mine:
            self.signal(container.options.id, signal.SIGKILL)
        for container in mine:
            await asyncio.shield(container.ended)
            del self._containers[container.options.id]
            self._bounds.remove(container.group)
            self._remove_root(container.options.id)
        # Starts that were given up and commands whose callers have gone: killed, but nobody has waited for them.
        for child in self._children.pop(pod_uid, ()):
            child.kill()
            await child.wait()
        self._pods.pop(pod_uid, None)
        self._bounds.remove(None)

    def _keep(self, pod_uid: str, child: Child | Command) -> None:
        """Remember a process of a pod until it has ended."""
        others = [one for one in self._children.get(pod_uid, ()) if not one.ended]
        self._children[pod_uid] = [*others, child]

    def _forget_ended(self, pod_uid: str, name: str) -> None:
        """Drop what a container was before its restart."""
        for key, found in list(self._containers.items()):
            if found.options.pod_uid == pod_uid and found.options.name == name and found.ended.done():
                del self._containers[key]
                self._bounds.remove(found.group)
                self._remove_root(key)

    def _arguments(self, pod: PodSandbox, container: ContainerOptions) -> tuple[list[str], list[str]]:
        """Return the command line up to bubblewrap's options, and that of the container."""
        enter = [self._nsenter, f"--net={pod.namespace_path}", "--"] if pod.namespace_path else []
        if container.image.root:
            roots = self._roots()
            options = roots.arguments(pod, container, self._shared_files(pod, container))
            return [*enter, self._bwrap, *options], roots.command(container)
        files = RootFiles((*self._etc_files(pod, container), *self._files_of(container.image)))
        return [*enter, self._bwrap, *root_arguments(pod, container, files)], list(container.arguments)

    def _roots(self) -> ImageRoots:
        """Return what makes roots of real images; prepared with the first one.

        Raises:
            StartError: a program that it needs is not installed.
        """
        if self._image_roots is None:
            try:
                self._image_roots = ImageRoots(self._folder, one_user=not self._has_other_users)
            except SandboxError as error:
                raise StartError(f"{error}; {error.remedy}") from error
        return self._image_roots

    def _remove_root(self, container_id: str) -> None:
        """Unmount a container's root at once, and begin to remove what it has written: nothing waits for the disk."""
        folder = None if self._image_roots is None else self._image_roots.unmount(container_id)
        if folder is not None:
            name = f"removal of the root of container {container_id}"
            removal = asyncio.create_task(asyncio.to_thread(remove_tree, folder), name=name)
            self._removals.add(removal)
            removal.add_done_callback(self._removals.discard)

    @staticmethod
    def _shared_files(pod: PodSandbox, container: ContainerOptions) -> list[Bind]:
        """Return the files of /etc that a pod's containers share, as mounts of one that runs a real image."""
        mounted = {mount.target for mount in container.mounts}
        folder = os.path.join(pod.folder, "etc")
        binds = (Bind(f"{folder}/{name}", f"/etc/{name}", read_only=False) for name in _SHARED_FILES)
        return [bind for bind in binds if bind.target not in mounted]

    def _etc_files(self, pod: PodSandbox, container: ContainerOptions) -> list[tuple[str, str]]:
        shared = os.path.join(pod.folder, "etc")
        own = os.path.join(shared, container.name)
        os.makedirs(own, exist_ok=True)
        image, others = container.image, self._has_other_users
        passwd = passwd_text(image, container.user, container.group, has_other_users=others)
        _write(os.path.join(own, "passwd"), passwd)
        _write(os.path.join(own, "group"), group_text(image, container.group, has_other_users=others))
        mounted = {mount.target for mount in container.mounts}
        found = [(f"/etc/{name}", f"{shared}/{name}") for name in (*_SHARED_FILES, "nsswitch.conf")]
        found += [(f"/etc/{name}", f"{own}/{name}") for name in ("passwd", "group")]
        return [(target, source) for target, source in found if target not in mounted]

    def _files_of(self, image: Image) -> tuple[tuple[str, str], ...]:
        """Return the image's own files as (target, source), written when the image is first used."""
        found = self._image_files.get(image)
        if found is None:
            folder = os.path.join(self._folder, f"image-{len(self._image_files)}")
            os.makedirs(folder, exist_ok=True)
            made = []
            for number, file in enumerate(image.files):
                source = os.path.join(folder, str(number))
                _write(source, file.text)
                os.chmod(source, file.mode)
                made.append((file.path, source))
            found = self._image_files[image] = tuple(made)
        return found

    async def _running(
        self, container: ContainerOptions, child: Child, group: ControlGroup | None, status: int, stderr: int
    ) -> _Container:
        """Return the container when its command runs."""
        pid = await child_pid(status)
        if pid is None:
            await child.wait()
            if group is not None and group.ran_out_of_memory():
                raise StartError("container init was OOM-killed (memory limit too low?)")
            raise StartError(translated(last_words(stderr), container.arguments[0]))
        pidfd = _pidfd(pid)
        # Between its start and the command, bubblewrap's child builds the root; nothing tells the moment of the
        # command but the program that the process runs. It takes some milliseconds, so looking is cheap.
        try:
            while pidfd is not None and not child.ended:
                with contextlib.suppress(OSError):
                    if not self._is_before_command(_identity(f"/proc/{pid}/exe")):
                        return _Container(container, child, pid, pidfd, group)
                await asyncio.sleep(0.002)
            code = await child.wait()
        except asyncio.CancelledError:
            _close(pidfd)
            raise
        if code:
            words = last_words(stderr)
            if words.startswith((b"bwrap: ", b"setpriv: failed to execute")):
                _close(pidfd)
                raise StartError(translated(words, container.arguments[0]))
            # It was the command that ended so fast; what it said belongs to the log.
            container.log.write(2, words)
        return _Container(container, child, pid, pidfd, group)

    def _is_before_command(self, identity: tuple[int, int]) -> bool:
        """Return whether a program is one that builds the container, and not yet its command."""
        roots = self._image_roots
        return identity == self._identity or (roots is not None and roots.is_before_command(identity))

    @staticmethod
    async def _follow(container: _Container, outputs: dict[int, int], status: int) -> int:
        """Copy output into the log until the container ends; return its exit code."""
        loop = asyncio.get_running_loop()
        log = container.options.log

        def copy(descriptor: int) -> None:
            # One piece a turn of the event loop: the pipe holds the container up when it writes faster.
            if _copy(descriptor, outputs[descriptor], log.write) == 0:
                loop.remove_reader(descriptor)

        for descriptor in outputs:
            os.set_blocking(descriptor, False)
            loop.add_reader(descriptor, copy, descriptor)
        try:
            code = await container.child.wait()
            await await_end(container.pidfd)
            return code
        finally:
            _close(container.pidfd)
            for descriptor, stream in outputs.items():
                loop.remove_reader(descriptor)
                while _copy(descriptor, stream, log.write) > 0:
                    pass
            _close(status, *outputs)
            log.close()
            container.ran_out_of_memory = container.group is not None and container.group.ran_out_of_memory()


def _program(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise SandboxError(f"the program {name} is not installed", f"install the package {package}")
    return path


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _close(*descriptors: int | None) -> None:
    for descriptor in descriptors:
        if descriptor is not None:
            os.close(descriptor)


def _pidfd(pid: int) -> int | None:
    """Return a descriptor of a process, or None when it has ended already."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _copy(descriptor: int, stream: int, write: Callable[[int, bytes], None]) -> int:
    """Copy one piece of output; return its bytes, 0 at the end, -1 when there is nothing yet."""
    try:
        data = os.read(descriptor, _CHUNK_BYTES)
    except BlockingIOError:
        return -1
    except OSError:
        return 0
    if data:
        write(stream, data)
    return len(data)
