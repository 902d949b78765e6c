"""How one instance of a container comes to be: from its spec to what a runtime starts.

`InstanceMaker` serves one pod worker. It looks up the image, works out environment, command line, user, mounts and
log, and remembers the logs of the newest instance and the one before. What keeps a container from starting is raised
as `WaitError`, whose reason the container's status then shows.
"""

import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from flametest.sandbox.agent.capabilities import capabilities_of
from flametest.sandbox.agent.environment import ConfigError, PodContext, command_line, environment_of, expand
from flametest.sandbox.agent.logs import LogFile
from flametest.sandbox.agent.runtime import ContainerOptions
from flametest.sandbox.agent.state import ContainerRecord
from flametest.sandbox.agent.volumes import Volumes
from flametest.sandbox.cgroupfs import CPUS_MAX, MEMORY_BYTES_MAX, Limits
from flametest.sandbox.images import Bind, Image
from flametest.sandbox.images.rootfs import ImageUser, user_of
from flametest.sandbox.objects import Object
from flametest.sandbox.podaccess import LogOptions
from flametest.sandbox.quantities import parse_quantity

__all__ = ["InstanceMaker", "WaitError"]

_MESSAGE_BYTES_MAX = 4096
_FALLBACK_BYTES_MAX = 2048
_FALLBACK_LINES_MAX = 80


class WaitError(Exception):
    """A container cannot be made now: ``reason`` as in the status of a waiting container."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class InstanceMaker:
    """Makes the instances of the containers of one pod.

    Attributes:
        folder: of the pod.
        volumes: of the pod, already made.
        clock: seconds since the epoch.
        log_bytes_max: see `AgentSettings`.
    """

    folder: str
    volumes: Volumes
    clock: Callable[[], float]
    log_bytes_max: int
    _logs: dict[str, list[LogFile]] = field(default_factory=dict)

    def make(self, context: PodContext, record: ContainerRecord, image: Image) -> ContainerOptions:
        """Return the options of the container's next instance.

        Raises:
            WaitError: something that the container refers to is missing or not allowed.
        """
        container = record.spec
        user = _user(context.pod, container, image)
        try:
            variables = environment_of(context, container, replace(image, home=user.home))
            arguments = command_line(container, image, variables)
        except ConfigError as error:
            raise WaitError("CreateContainerConfigError", str(error)) from error
        mounts = tuple(self._mounts(record, variables))
        read_only = bool((container.get("securityContext") or {}).get("readOnlyRootFilesystem"))
        return ContainerOptions(
            id=secrets.token_hex(32),
            pod_uid=str(context.pod["metadata"]["uid"]),
            name=record.name,
            image=image,
            arguments=arguments,
            log=self._new_log(record),
            environment=tuple(variables.items()),
            working_directory=str(container.get("workingDir") or image.working_directory or "/"),
            user=user.user,
            group=user.group,
            groups=user.groups,
            owns_volumes=bool(user.name) and not image.root,
            capabilities=capabilities_of(container),
            mounts=mounts,
            read_only_root=read_only,
            limits=_limits(container),
        )

    def log(self, name: str, *, previous: bool) -> LogFile | None:
        """Return the log of a container's newest instance, or of the one before; None when there is none."""
        logs = self._logs.get(name, [])
        place = 2 if previous else 1
        return logs[-place] if len(logs) >= place else None

    def close(self) -> None:
        """Close all logs, so that those who follow them end."""
        for logs in self._logs.values():
            for log in logs:
                log.close()

    async def termination_message(self, record: ContainerRecord, code: int) -> str:
        """Return what an ended container has left in its message file, or the end of its log where that is wanted."""
        message = _beginning(self._message_file(record))
        log = self.log(record.name, previous=False)
        if not message and code and log and record.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            lines = [piece async for piece in log.read(LogOptions(tail_lines=_FALLBACK_LINES_MAX))]
            message = b"".join(lines)[-_FALLBACK_BYTES_MAX:]
        return message.decode(errors="replace")

    def _new_log(self, record: ContainerRecord) -> LogFile:
        folder = os.path.join(self.folder, "logs", record.name)
        os.makedirs(folder, exist_ok=True)
        logs = self._logs.setdefault(record.name, [])
        logs.append(LogFile(os.path.join(folder, f"{record.restarts}.log"), self.clock, self.log_bytes_max))
        if len(logs) > 2:
            old = logs.pop(0)
            for path in (old.path, old.path + ".1"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        return logs[-1]

    def _message_file(self, record: ContainerRecord) -> str:
        return os.path.join(self.folder, "messages", record.name)

    def _mounts(self, record: ContainerRecord, variables: dict[str, str]) -> list[Bind]:
        message = self._message_file(record)
        os.makedirs(os.path.dirname(message), exist_ok=True)
        with open(message, "wb"):
            # For whatever user the container runs as.
            os.chmod(message, 0o666)  # noqa: S103
        target = str(record.spec.get("terminationMessagePath") or "/dev/termination-log")
        mounts = [Bind(message, target, read_only=False)]
        for mount in record.spec.get("volumeMounts") or []:
            volume = self.volumes.made.get(mount["name"])
            if volume is None:
                raise WaitError("CreateContainerConfigError", f'volume "{mount["name"]}" is not in the pod')
            read_only = volume.read_only or bool(mount.get("readOnly"))
            source = self._source(volume.folder, mount, variables, make=not volume.read_only)
            mounts.append(Bind(source, os.path.normpath(str(mount["mountPath"])), read_only))
        return mounts

    @staticmethod
    def _source(folder: str, mount: Object, variables: dict[str, str], *, make: bool) -> str:
        """Return what is mounted: the volume, or the part of it that subPath names."""
        part = str(mount.get("subPath") or expand(str(mount.get("subPathExpr") or ""), variables))
        if not part:
            return folder
        path = os.path.normpath(os.path.join(folder, part))
        if not path.startswith(folder + os.sep):
            raise WaitError("CreateContainerConfigError", f'subPath "{part}" leads out of volume "{mount["name"]}"')
        if make:
            os.makedirs(path, exist_ok=True) if not os.path.exists(path) else None
        elif not os.path.exists(path):
            raise WaitError("CreateContainerConfigError", f'failed to prepare subPath "{part}" of "{mount["name"]}"')
        # Followed here, since the links of a ConfigMap's folder lead nowhere once a single file is mounted.
        return os.path.realpath(path)


def _beginning(path: str) -> bytes:
    """Return the first bytes of a message file; empty when it is not there."""
    try:
        with open(path, "rb") as file:
            return file.read(_MESSAGE_BYTES_MAX)
    except FileNotFoundError:
        return b""


def _limits(container: Object) -> Limits:
    """Return the limits of a container; zero is none, as with the kubelet."""
    given = (container.get("resources") or {}).get("limits") or {}
    memory, cpus = (parse_quantity(given.get(name, 0)) for name in ("memory", "cpu"))
    return Limits(min(int(memory), MEMORY_BYTES_MAX) or None, min(float(cpus), CPUS_MAX) or None)


def _user(pod: Object, container: Object, image: Image) -> ImageUser:
    """Return whom a container runs as: by its security context, else by its image.

    Raises:
        WaitError: it may not run as root, and would.
    """
    shared = pod["spec"].get("securityContext") or {}
    own = container.get("securityContext") or {}
    user, group = (own.get(name, shared.get(name)) for name in ("runAsUser", "runAsGroup"))
    if user is None:
        found = ImageUser(image.user, image.group, image.groups, image.user_name, image.home)
    elif image.root:
        found = user_of(Path(image.root, "rootfs"), str(int(user)))
    else:
        found = ImageUser(int(user), 0, (), "", image.home)
    if found.user == 0 and own.get("runAsNonRoot", shared.get("runAsNonRoot")):
        metadata = pod["metadata"]
        where = f'pod: "{metadata["name"]}_{metadata["namespace"]}({metadata["uid"]})", container: {container["name"]}'
        why = "container's runAsUser breaks non-root policy" if user == 0 else "image will run as root"
        raise WaitError("CreateContainerConfigError", f"container has runAsNonRoot and {why} ({where})")
    number = found.group if group is None else int(group)
    further = {*found.groups, *map(int, shared.get("supplementalGroups") or ())}
    if "fsGroup" in shared:
        further.add(int(shared["fsGroup"]))
    return replace(found, group=number, groups=tuple(sorted(further - {number})))
