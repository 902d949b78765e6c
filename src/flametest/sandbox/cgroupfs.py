"""The kernel's interface to control groups: bounds on the memory and processor time that processes take together.

Both versions are served: version 1, where each controller has a hierarchy of its own, and version 2 with one for all:
https://docs.kernel.org/admin-guide/cgroup-v1/index.html and https://docs.kernel.org/admin-guide/cgroup-v2.html.
Where a sandbox's groups are is for `flametest.sandbox.controlgroups` to say. Standard library only.
"""

import contextlib
import errno
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CPUS_MAX", "MEMORY_BYTES_MAX", "ControlGroup", "ControlGroups", "Limits", "enter_command", "remove_folder"]

CPUS_MAX, MEMORY_BYTES_MAX = 10_000.0, 2**62
"""The greatest bounds; they bound nothing any more, and the kernel takes them."""

_PERIOD_MICROSECONDS = 100_000  # as the kubelet has it
_QUOTA_MICROSECONDS_MIN = 1_000  # which the kernel asks for
_SHARES = 1024  # of processor time, of a process that is in no group
_WEIGHT = 100  # the same by version 2
_ENTER = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 125; shift; done; shift; exec "$@"'


@dataclass(frozen=True, slots=True)
class Limits:
    """What the processes of a container may take together; None for no bound.

    Attributes:
        memory_bytes: memory, page cache that cannot be given back included.
        cpus: processors, such as 0.5.
    """

    memory_bytes: int | None = None
    cpus: float | None = None

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return self.memory_bytes is not None or self.cpus is not None


class ControlGroup:
    """The group of one container: a folder in each hierarchy, which are one and the same by version 2."""

    def __init__(self, version: int, folders: tuple[Path, ...]) -> None:
        self._version = version
        self._folders = folders

    @property
    def entries(self) -> tuple[str, ...]:
        """The files by which a process enters, when it writes a zero into each of them."""
        return tuple(str(folder / "cgroup.procs") for folder in self._folders)

    def ran_out_of_memory(self) -> bool:
        """Return whether the kernel has killed a process of it because its memory was at the bound."""
        name = "memory.events" if self._version == 2 else "memory.oom_control"
        with contextlib.suppress(OSError):
            for line in (self._folders[0] / name).read_text().splitlines():
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value) > 0
        return False

    def remove(self) -> bool:
        """Remove the group; returns whether it is gone, which it is not while a process is in it."""
        gone = [remove_folder(folder) for folder in self._folders]
        return all(gone)


class ControlGroups:
    """The groups of one sandbox.

    Args:
        version: of the kernel's interface, 1 or 2.
        folders: of the sandbox, for the controllers memory and cpu; the same one twice by version 2.
    """

    def __init__(self, version: int, folders: tuple[Path, Path]) -> None:
        self._version = version
        self._memory, self._cpu = folders
        self._count = 0

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders in which its groups are, each once."""
        return tuple(dict.fromkeys((self._memory, self._cpu)))

    def add(self, name: str, limits: Limits) -> ControlGroup:
        """Return a new group with these bounds.

        Raises:
            OSError: the kernel refuses a bound.
        """
        folders = tuple(folder / name for folder in self.folders)
        group = ControlGroup(self._version, folders)
        try:
            for folder in folders:
                folder.mkdir()
            (self._bound_2 if self._version == 2 else self._bound_1)(name, limits)
            self._weigh(+1)
        except OSError:
            group.remove()
            raise
        return group

    def remove(self, group: ControlGroup) -> bool:
        """Remove a group of its own; returns whether it is gone."""
        gone = group.remove()
        if gone:
            self._weigh(-1)
        return gone

    def _bound_1(self, name: str, limits: Limits) -> None:
        if limits.memory_bytes is not None:
            memory = self._memory / name
            (memory / "memory.limit_in_bytes").write_text(str(limits.memory_bytes))
            # Without this, what is over the bound would be swapped out; there is no such file where swap is not counted
            with contextlib.suppress(FileNotFoundError, PermissionError):
                (memory / "memory.memsw.limit_in_bytes").write_text(str(limits.memory_bytes))
        if limits.cpus is not None:
            (self._cpu / name / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
            (self._cpu / name / "cpu.cfs_quota_us").write_text(str(_quota(limits.cpus)))

    def _bound_2(self, name: str, limits: Limits) -> None:
        folder = self._memory / name
        if limits.memory_bytes is not None:
            (folder / "memory.max").write_text(str(limits.memory_bytes))
            with contextlib.suppress(FileNotFoundError, PermissionError):
                (folder / "memory.swap.max").write_text("0")
            (folder / "memory.oom.group").write_text("1")
        if limits.cpus is not None:
            (folder / "cpu.max").write_text(f"{_quota(limits.cpus)} {_PERIOD_MICROSECONDS}")

    def _weigh(self, change: int) -> None:
        """Have all containers together weigh as much as as many processes that are in no group."""
        self._count += change
        count = max(self._count, 1)
        if self._version == 2:
            (self._cpu / "cpu.weight").write_text(str(min(_WEIGHT * count, 10_000)))
        else:
            (self._cpu / "cpu.shares").write_text(str(min(_SHARES * count, 262_144)))


def enter_command(group: ControlGroup) -> list[str]:
    """Return what, put before a command, has it run in a group."""
    return ["/bin/sh", "-c", _ENTER, "sh", *group.entries, "--"]


def _quota(cpus: float) -> int:
    return max(round(cpus * _PERIOD_MICROSECONDS), _QUOTA_MICROSECONDS_MIN)


def remove_folder(folder: Path) -> bool:
    """Remove the folder of a group; returns whether it is gone, which it is not while a process is in it."""
    try:
        folder.rmdir()
    except OSError as error:
        return error.errno == errno.ENOENT
    return True
