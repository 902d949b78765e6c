"""The given images, unpacked once and kept for the next start; each worker gets links to what was unpacked.

Layers are only ever read, so that nodes may share their files. Databases are written, so each node has its own.
"""

import json
import shutil
import subprocess
from pathlib import Path

from scripts.cluster.files import containerd_file
from scripts.cluster.machines import has_process, inside, start_program, wait_for
from scripts.cluster.plan import ClusterError, Machine, Plan

__all__ = ["give_images", "start_containerd", "unpack_images"]

_START_SECONDS = 60.0
_DONE = "unpacked.json"
_DATABASES = "*.db"


def unpack_images(plan: Plan) -> None:
    """Unpack the archives that were not there, or were others, at an earlier start; raises ClusterError."""
    done = plan.unpacked / _DONE
    unpacked = json.loads(done.read_text()) if done.exists() else {}
    changed = [archive for archive in plan.archives if unpacked.get(archive.name) != _version(archive)]
    if not changed:
        return
    plan.unpacked.mkdir(exist_ok=True)
    control, folder = plan.control, plan.folder(plan.control)
    (folder / "containerd.toml").write_text(containerd_file(plan, control, plan.unpacked))
    socket = start_containerd(plan, control)
    for archive in changed:
        _import(plan, socket, archive)
        unpacked[archive.name] = _version(archive)
    inside(plan, control, "pkill", "--exact", "containerd")
    wait_for(lambda: not has_process(plan, control, "containerd"), "the end of containerd", _START_SECONDS)
    done.write_text(json.dumps(unpacked))


def give_images(plan: Plan, node: Machine) -> None:
    """Lay the unpacked images into the folder of a worker's containerd, which must not run yet."""
    root = plan.folder(node) / "containerd"
    shutil.copytree(plan.unpacked, root, symlinks=True, copy_function=_link_or_copy)


def start_containerd(plan: Plan, machine: Machine) -> Path:
    """Start containerd in a machine by the configuration in its folder, and return its socket; raises ClusterError."""
    folder = plan.folder(machine)
    start_program(plan, machine, "containerd", f"--config={folder / 'containerd.toml'}")
    socket = folder / "containerd.sock"
    wait_for(socket.exists, f"containerd; see {folder / 'containerd.log'}", _START_SECONDS)
    return socket


def _version(archive: Path) -> list[int]:
    found = archive.stat()
    return [found.st_size, found.st_mtime_ns]


def _import(plan: Plan, socket: Path, archive: Path) -> None:
    line = [plan.program("ctr"), f"--address={socket}", "--namespace=k8s.io", "images", "import", str(archive)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{archive.name}: {done.stderr.strip()}")


def _link_or_copy(source: str, target: str) -> None:
    if Path(source).match(_DATABASES):
        shutil.copy2(source, target)
    else:
        Path(target).hardlink_to(source)
