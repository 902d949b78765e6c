"""Control groups: the kernel's bounds on how much memory and processor time processes take together.

A sandbox has a folder of its own in the hierarchies of the controllers ``memory`` and ``cpu``, made and removed by the
supervisor; in it each container with limits has a folder, made and removed by the agent. Should the supervisor be
killed, a shell that waits for its end removes them, since the kernel does not. Where the sandbox may not make any (an
ordinary user, a container without such rights), there are none, and limits are not enforced.

Both interfaces are served: version 1, where each controller has a hierarchy of its own, and version 2 with one for all:
https://docs.kernel.org/admin-guide/cgroup-v1/index.html and https://docs.kernel.org/admin-guide/cgroup-v2.html.
Standard library only, since the supervisor has to stay small.
"""

import contextlib
import errno
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "CPUS_MAX",
    "MEMORY_BYTES_MAX",
    "ControlGroup",
    "ControlGroups",
    "Limits",
    "enter_command",
    "find",
    "make",
    "remove",
]

CPUS_MAX, MEMORY_BYTES_MAX = 10_000.0, 2**62
"""The greatest bounds; they bound nothing any more, and the kernel takes them."""

_CONTROLLERS = ("memory", "cpu")
_FILE_NAME = "control-groups.json"
_PERIOD_MICROSECONDS = 100_000  # as the kubelet has it
_QUOTA_MICROSECONDS_MIN = 1_000  # which the kernel asks for
_SHARES = 1024  # of processor time, of a process that is in no group
_WEIGHT = 100  # the same by version 2
_REMOVAL_SECONDS_MAX = 2.0
# Standard input ends with the supervisor, and its processes a moment later.
_CLEAR_UP = """
read -r nothing
for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    left=
    for folder in "$@"; do
        rmdir "$folder"/*/ "$folder" 2>/dev/null
        [ -d "$folder" ] && left=1
    done
    [ -z "$left" ] && exit
    sleep 0.1
done
"""
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
        gone = [_remove(folder) for folder in self._folders]
        return all(gone)


class ControlGroups:
    """The groups of one sandbox; `make` makes it, `find` finds one that was made.

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

    def clear_up_after_this_process(self) -> None:
        """Have them removed, and all groups in them, however this process ends."""
        waiting_end, own_end = os.pipe()  # the latter is closed by nobody but the kernel
        command = ["/bin/sh", "-c", _CLEAR_UP, "sh", *map(str, self.folders)]
        actions = [(os.POSIX_SPAWN_DUP2, waiting_end, 0), (os.POSIX_SPAWN_CLOSE, own_end)]
        os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
        os.close(waiting_end)

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


def make(state_folder: Path) -> ControlGroups | None:
    """Return new control groups for the sandbox with this folder, or None where the kernel does not let it have any.

    What an earlier sandbox of this folder has left is removed first.
    """
    remove(state_folder)
    found = _folders(f"flametest-{os.urandom(8).hex()}")
    if found is None:
        return None
    version, folders = found
    # Noted before they are made, so that whatever happens they can be removed.
    (state_folder / _FILE_NAME).write_text(json.dumps({"version": version, "folders": [str(one) for one in folders]}))
    groups = ControlGroups(version, folders)
    try:
        for folder in groups.folders:
            folder.mkdir()
        if version == 2:
            (folders[0] / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in _CONTROLLERS))
        # The only way to know that bounds can be set is to set one.
        groups.remove(groups.add("try", Limits(2**30, 1.0)))
    except OSError:
        remove(state_folder)
        return None
    return groups


def find(state_folder: Path) -> ControlGroups | None:
    """Return the control groups that `make` has made for the sandbox with this folder; None where it could not."""
    noted = _noted(state_folder)
    return ControlGroups(*noted) if noted is not None else None


def remove(state_folder: Path) -> bool:
    """Remove the control groups of a sandbox whose processes have ended; returns whether nothing is left of them."""
    noted = _noted(state_folder)
    left = [folder for folder in dict.fromkeys(noted[1] if noted else ()) if folder.is_dir()]
    deadline = time.monotonic() + _REMOVAL_SECONDS_MAX
    # Processes that were killed may take a moment to leave.
    while left := [folder for folder in left if not _remove_with_children(folder)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    (state_folder / _FILE_NAME).unlink(missing_ok=True)
    return True


def _noted(state_folder: Path) -> tuple[int, tuple[Path, Path]] | None:
    try:
        content = json.loads((state_folder / _FILE_NAME).read_text())
        memory, cpu = content["folders"]
        return int(content["version"]), (Path(memory), Path(cpu))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _folders(name: str) -> tuple[int, tuple[Path, Path]] | None:
    """Return the version of the interface and the folders of this name for memory and cpu; None without one of them."""
    places = _places()
    if all(controller in places for controller in _CONTROLLERS):
        return 1, (places["memory"] / name, places["cpu"] / name)
    with contextlib.suppress(KeyError, OSError):
        unified = places[""]
        if set(_CONTROLLERS) <= set((unified / "cgroup.subtree_control").read_text().split()):
            return 2, (unified / name, unified / name)
    return None


def _places() -> dict[str, Path]:
    """Return where groups can be made: by controller of version 1, and under an empty name for version 2.

    Groups of version 1 lie below that of this process, so that its bounds hold for them too. By version 2 a group that
    has processes can have no groups with bounds, so they lie at the top.
    """
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    places: dict[str, Path] = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options = line.split(" ")[:4]
        if kind == "cgroup2":
            places.setdefault("", Path(place))
        elif kind == "cgroup":
            for controller in set(options.split(",")) & set(_CONTROLLERS):
                below = Path(place, own.get(controller, "/").lstrip("/"))
                places.setdefault(controller, below if below.is_dir() else Path(place))
    return places


def _quota(cpus: float) -> int:
    return max(round(cpus * _PERIOD_MICROSECONDS), _QUOTA_MICROSECONDS_MIN)


def _remove_with_children(folder: Path) -> bool:
    for child in [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else ():
        _remove(child)
    return _remove(folder)


def _remove(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError as error:
        return error.errno == errno.ENOENT
    return True
