"""The folder of one sandbox: who may start one in it, and how it is cleared."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from flametest.sandbox import controlgroups
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.removal import remove_tree

__all__ = ["LOG_NAME", "clear", "locked"]

LOG_NAME = "sandbox.log"
_LOCK_NAME = "lock"
_LOCK_SECONDS_MAX = 60.0


@contextlib.contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Hold the start of the sandbox of this name; the kernel lets go of it with the process.

    Raises:
        SandboxError: somebody else has held it for too long.
        OSError: the folder is not there, or belongs to somebody else.
    """
    deadline = time.monotonic() + _LOCK_SECONDS_MAX
    with (folder / _LOCK_NAME).open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"another process has been starting the sandbox {name} for {_LOCK_SECONDS_MAX:.0f} s"
                    raise SandboxError(message, "end that process, or wait for it") from None
                time.sleep(0.02)
        yield


def clear(folder: Path, *, keep_log: bool) -> None:
    """Remove what a sandbox left: its control groups, credentials, the state file, and the data of its pods."""
    controlgroups.remove(folder)
    kept = {_LOCK_NAME, LOG_NAME} if keep_log else {_LOCK_NAME}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)
