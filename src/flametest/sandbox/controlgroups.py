"""The control groups of a sandbox, by which limits of containers are enforced: where they are, and that they go.

A sandbox has a folder of its own in the hierarchies of the controllers ``memory`` and ``cpu``, made and removed by the
supervisor; in it each container with limits has a folder, made and removed by the agent. Should the supervisor be
killed, what waits for its end removes them (`clearup`), since the kernel does not. Where the sandbox may not make any
(an ordinary user in groups that root has not given him, a container without such rights), there are none, and limits
are not enforced.

The kernel's interface is in `flametest.sandbox.cgroupfs`. Standard library only: the supervisor has to stay small.
"""

import contextlib
import json
import os
import time
from pathlib import Path

from flametest.sandbox.cgroupfs import ControlGroups, Limits, remove_folder

__all__ = ["find", "make", "places", "remove"]

_CONTROLLERS = ("memory", "cpu")
_FILE_NAME = "control-groups.json"
_REMOVAL_SECONDS_MAX = 2.0


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
    found = places()
    if all(controller in found for controller in _CONTROLLERS):
        return 1, (found["memory"] / name, found["cpu"] / name)
    with contextlib.suppress(KeyError, OSError):
        unified = found[""]
        if set(_CONTROLLERS) <= set((unified / "cgroup.subtree_control").read_text().split()):
            return 2, (unified / name, unified / name)
    return None


def places() -> dict[str, Path]:
    """Return where groups can be made: by controller of version 1, and under an empty name for version 2.

    Groups of version 1 lie below that of this process, so that its bounds hold for them too. By version 2 a group that
    has processes can have no groups with bounds, so they lie at the top.
    """
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options = line.split(" ")[:4]
        if kind == "cgroup2":
            found.setdefault("", Path(place))
        elif kind == "cgroup":
            for controller in set(options.split(",")) & set(_CONTROLLERS):
                below = Path(place, own.get(controller, "/").lstrip("/"))
                found.setdefault(controller, below if below.is_dir() else Path(place))
    return found


def _remove_with_children(folder: Path) -> bool:
    for child in [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else ():
        remove_folder(child)
    return remove_folder(folder)
