"""What is left of a sandbox that has ended: processes, namespaces, interfaces, mounts, control groups, files."""

import contextlib
import os
import re
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from flametest.sandbox import controlgroups
from flametest.sandbox.launch import Sandbox, SandboxOptions, find, start
from tests.patience import PATIENCE_SECONDS

__all__ = ["Family", "nothing_is_left_of"]

_KEPT = ("images", "lock", "sandbox.log")  # the store, and what a sandbox keeps on purpose


class Family:
    """A supervisor and all below it as they were, held by pidfds, and the state of the host at that moment."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.descriptors: dict[int, int] = {}
        self.commands: dict[int, str] = {}
        # Held open, since the kernel gives the number of one that is gone to the next, which may be a neighbour's.
        self._held: list[int] = []
        pending = [sandbox.pid]
        while pending:
            pid = pending.pop()
            with contextlib.suppress(OSError):
                self.descriptors[pid] = os.pidfd_open(pid)
                self.commands[pid] = Path(f"/proc/{pid}/cmdline").read_text()
                self._held.append(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))
                for task in Path(f"/proc/{pid}/task").iterdir():
                    pending += [int(child) for child in task.joinpath("children").read_text().split()]
        self.namespaces = {os.readlink(f"/proc/self/fd/{descriptor}") for descriptor in self._held}
        self.namespaces.discard(os.readlink("/proc/self/ns/net"))

    def kill(self, program: str) -> None:
        """Send SIGKILL to the process that runs a program; of the supervisor and its copy init, the supervisor."""
        self.kill_process(min(pid for pid, command in self.commands.items() if program in command))

    def kill_process(self, pid: int) -> None:
        """Send SIGKILL to one of them."""
        signal.pidfd_send_signal(self.descriptors[pid], signal.SIGKILL)

    def await_end(self) -> None:
        """Return when all processes have ended; fails when they have not in time."""
        for pid, descriptor in self.descriptors.items():
            assert select.select([descriptor], [], [], 15)[0], f"process {pid} lives on: {self.commands.get(pid)}"
        with contextlib.suppress(ChildProcessError):
            os.waitpid(min(self.descriptors), 0)

    def namespaces_left(self) -> set[str]:
        """Return those of its network namespaces that some process is still in."""
        found = set()
        for path in Path("/proc").glob("[0-9]*/ns/net"):
            with contextlib.suppress(OSError):
                found.add(os.readlink(path))
        return found & self.namespaces

    def close(self) -> None:
        for descriptor in (*self.descriptors.values(), *self._held):
            os.close(descriptor)


def host_state(options: SandboxOptions) -> Counter[str]:
    """Return the host's interfaces and mounts that are as a sandbox makes them; others may come and go meanwhile."""
    interfaces = [path.name for path in Path("/sys/class/net").iterdir() if re.fullmatch(r"pod\d+", path.name)]
    own = re.compile(r"proc /proc |tmpfs /run |nsfs /run/netns/pod-\d|.*" + re.escape(str(options.home)))
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if own.match(line)]
    return Counter([*interfaces, *mounts])


def files_of(options: SandboxOptions) -> list[Path]:
    """Return what a sandbox has made of files, but for the store of images and what it keeps on purpose."""
    tops = [*options.home.glob("*"), *options.state_folder.glob("*")]
    above = (options.state_folder.parent, options.state_folder)
    return [path for path in tops if path.name not in _KEPT and path not in above]


@contextlib.contextmanager
def nothing_is_left_of(options: SandboxOptions, busy: Callable[[Sandbox], None] = lambda _: None) -> Iterator[Family]:
    """Start a sandbox, let ``busy`` give it something to do and the caller end it, and check what is left."""
    before = host_state(options)
    sandbox = start(options)
    busy(sandbox)
    family = Family(sandbox)
    made = controlgroups.find(sandbox.state_folder)
    groups = made.folders if made is not None else ()
    try:
        assert all(group.is_dir() for group in groups)
        assert len(family.descriptors) >= 4
        assert len(family.namespaces) >= 1
        yield family
        family.await_end()
        assert not sandbox.alive()
        assert find(options) is None
        assert family.namespaces_left() == set()
        assert host_state(options) == before
        assert not any(group.exists() for group in groups)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while left := files_of(options):
            assert time.monotonic() < deadline, f"files are left: {left}"
            time.sleep(0.05)
    finally:
        family.close()
