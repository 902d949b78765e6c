"""Removes folders that containers have written to, whatever modes and owners their files have.

Run as ``python -P -m flametest.sandbox.removal FOLDER...`` for an ordinary user: files of containers may belong to ids
that were given to him (`idmaps`), and only a user namespace in which these are mapped may remove them.
"""

import contextlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from flametest.sandbox import namespaces

__all__ = ["main", "remove_tree"]


def remove_tree(folder: Path) -> None:
    """Remove a folder with everything below it: what its owner may not enter, and what belongs to ids given to him.

    What cannot be removed stays; it is no error that the folder is not there.
    """
    _remove(folder)
    if os.path.lexists(folder) and not namespaces.privileged():
        command = [sys.executable, "-P", "-m", "flametest.sandbox.removal", str(folder)]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)


def main(folders: list[str]) -> int:
    """Remove folders in a user namespace of this process's own; returns the exit code."""
    namespaces.enter_user_namespace()
    for folder in folders:
        _remove(Path(folder))
    return 0


def _remove(folder: Path) -> None:
    def open_up(_function: object, path: str, _error: object) -> None:
        parent = os.path.dirname(path)
        for one in (parent, path):
            with contextlib.suppress(OSError):
                if stat.S_ISDIR(os.lstat(one).st_mode):
                    os.chmod(one, stat.S_IRWXU)
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(os.lstat(path).st_mode):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)

    shutil.rmtree(folder, onerror=open_up)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
