"""Claims with a file system of their own, as large as they ask for, where a person has asked for that.

A claim is a folder of the machine's disk, whatever size it asks for. One with the annotation `OWN_FILESYSTEM` gets a
file system of its own instead: a file with holes, formatted and mounted by a loop device. So it can be full, and a
fault that fills it takes nothing from the machine but what it was given. The mount belongs to the sandbox's own
namespace and goes with it, and the loop device with the mount, however the sandbox ends.

That takes root (the kernel lets no ordinary user mount such a file), a loop device, and ``mkfs.ext4``.
"""

import contextlib
import os
import shutil
import subprocess
import threading
from pathlib import Path

from flametest.sandbox.namespaces import privileged, unmount
from flametest.sandbox.objects import Object
from flametest.sandbox.quantities import parse_quantity

__all__ = ["OWN_FILESYSTEM", "mount_own", "own_size", "remove"]

OWN_FILESYSTEM = "sandbox.flametest.dev/own-filesystem"
BYTES_MIN = 8 * 1024 * 1024  # a smaller one would hold little but its own books
BYTES_MAX = 64 * 1024**3
BYTES_LEFT_MIN = 1024**3  # of the machine's disk, should the file system be filled
_SECONDS_MAX = 60.0
_lock = threading.Lock()  # two pods of one claim may start at one moment


def own_size(claim: Object) -> int:
    """Return how large a claim's own file system is to be, in bytes; 0 for a claim that asks for none."""
    if str((claim["metadata"].get("annotations") or {}).get(OWN_FILESYSTEM, "")).lower() != "true":
        return 0
    return int(parse_quantity(((claim.get("status") or {}).get("capacity") or {}).get("storage") or 0))


def mount_own(folder: str, size: int) -> str:
    """Have a claim's folder be a file system of its own, and return why it is not; empty when it is. May be repeated.

    What a claim has become at first it stays: a folder that is there already is left as it is.
    """
    with _lock:
        if os.path.isdir(folder):
            return ""
        os.makedirs(folder)
        os.chmod(folder, 0o777)  # noqa: S103 - for whatever user the pod runs as
        return _hindrance(folder, size) or _mounted(folder, size)


def remove(folder: str) -> None:
    """Remove a claim's folder with all that it holds, and its file system where it has one."""
    if os.path.exists(_image(folder)):
        with contextlib.suppress(OSError):
            unmount(folder)
        with contextlib.suppress(OSError):
            os.unlink(_image(folder))
    shutil.rmtree(folder, ignore_errors=True)


def _image(folder: str) -> str:
    return f"{folder}.image"


def _hindrance(folder: str, size: int) -> str:
    if not privileged() or os.geteuid() != 0:
        return "only root may mount a file system of its own"
    if not BYTES_MIN <= size <= BYTES_MAX:
        return f"it asks for {size} bytes, and a file system of its own has {BYTES_MIN} to {BYTES_MAX}"
    missing = [name for name in ("mkfs.ext4", "mount") if _program(name) is None]
    if missing:
        return f"{' and '.join(missing)} are not installed (packages e2fsprogs, mount)"
    if not os.path.exists("/dev/loop-control"):
        return "this machine has no loop devices"
    free = shutil.disk_usage(folder).free
    if free < size + BYTES_LEFT_MIN:
        return f"{free} bytes are free on the machine's disk, too few for {size} more"
    return ""


def _mounted(folder: str, size: int) -> str:
    """Format and mount it; nothing of it outlives the sandbox, so that neither journal nor barriers are worth it."""
    image = _image(folder)
    with open(image, "wb") as file:
        file.truncate(size)
    format_it = ["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "nodiscard,root_owner=0:0", image]
    mount_it = ["mount", "-o", "loop,nosuid,nodev,barrier=0", image, folder]
    for command in (format_it, mount_it):
        program = _program(command[0])
        try:
            subprocess.run(
                [program or command[0], *command[1:]],
                check=True,
                capture_output=True,
                timeout=_SECONDS_MAX,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.SubprocessError) as error:
            os.unlink(image)
            told = getattr(error, "stderr", b"") or b""
            return f"{command[0]}: {told.decode(errors='replace').strip() or error}"
    # Images that want an empty folder are not to stumble over what only a check of the disk needs.
    with contextlib.suppress(OSError):
        Path(folder, "lost+found").rmdir()
    os.chmod(folder, 0o777)  # noqa: S103 - for whatever user the pod runs as
    return ""


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
