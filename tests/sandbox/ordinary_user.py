"""Runs programs of this interpreter as an ordinary user, whom only the program's own mount namespace knows.

So nothing of the machine is changed: /etc/passwd, /etc/subuid and /etc/subgid are shown with one line more, and folders
of root's are no obstacle on the way to the interpreter, its environment and the project. Only root can do it.
"""

import contextlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OrdinaryUser"]

ROOT = Path(__file__).parents[2]
_STASH = "/mnt"
_NUMBER = 54321


@dataclass(frozen=True)
class OrdinaryUser:
    """A user of the machine.

    Attributes:
        name: in /etc/passwd.
        number: user and group id, which nobody else has.
        ranges: what /etc/subuid and /etc/subgid give him, as ``first:count``; empty for nothing.
        home: a folder of his, where everybody can get to.
    """

    name: str
    number: int
    ranges: str
    home: Path

    @classmethod
    @contextlib.contextmanager
    def existing(cls, ranges: str = "") -> Iterator["OrdinaryUser"]:
        """Make the home folder of a user, and remove it with everything in it."""
        home = Path(tempfile.mkdtemp(prefix="flametest-ordinary-"))
        try:
            os.chown(home, _NUMBER, _NUMBER)
            yield cls("ordinary", _NUMBER, ranges, home)
        finally:
            shutil.rmtree(home)

    def command(self, *words: str, privileges: bool = True) -> list[str]:
        """Return the words that run a command as this user; without privileges, set-uid programs have none."""
        lines = ["set -e", *self._accounts(), *_showing(Path(sys.base_prefix), Path(sys.prefix), ROOT)]
        user = f"setpriv --reuid={self.number} --regid={self.number} --clear-groups"
        user += "" if privileges else " --no-new-privs"
        lines.append(f"exec {user} -- {shlex.join(words)}")
        return ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", "\n".join(lines)]

    def run(self, code: str, *arguments: str, seconds_max: float, privileges: bool = True) -> str:
        """Return what a program of this interpreter prints; it has to succeed."""
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        done = subprocess.run(
            self.command(sys.executable, "-c", code, *arguments, privileges=privileges),
            env=environment | {"HOME": str(self.home)},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=seconds_max,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _accounts(self) -> Iterator[str]:
        """Yield what shows the files of accounts as they are to be."""
        passwd = f"{self.name}:x:{self.number}:{self.number}::{self.home}:/bin/sh\n"
        ranges = f"{self.name}:{self.ranges}\n" if self.ranges else ""
        yield f"mount -t tmpfs tmpfs {_STASH}"
        for path, line in (("/etc/passwd", passwd), ("/etc/subuid", ranges), ("/etc/subgid", ranges)):
            name = f"{_STASH}/{Path(path).name}"
            if not Path(path).exists():
                continue
            kept = Path(path).read_text() if path == "/etc/passwd" else ""
            yield f"printf %s {shlex.quote(kept + line)} > {name}"
            yield f"mount --bind {name} {path}"


def _showing(*folders: Path) -> Iterator[str]:
    """Yield what puts folders that others may enter in place of those on the way to ``folders`` that they may not."""
    hidden = [(folder, closed) for folder in folders if (closed := _closed(folder)) is not None]
    for number, (folder, _) in enumerate(hidden):
        yield f"mkdir {_STASH}/{number}"
        yield f"mount --rbind {shlex.quote(str(folder))} {_STASH}/{number}"
    for closed in sorted({closed for _, closed in hidden}):
        yield f"mount -t tmpfs -o mode=0755 tmpfs {shlex.quote(str(closed))}"
    for number, (folder, _) in enumerate(hidden):
        place = shlex.quote(str(folder))
        yield f"mkdir -p {place}"
        yield f"mount --rbind {_STASH}/{number} {place}"


def _closed(folder: Path) -> Path | None:
    """Return the first folder on the way to another that only root may enter."""
    return next((one for one in reversed(folder.parents) if not one.stat().st_mode & stat.S_IXOTH), None)
