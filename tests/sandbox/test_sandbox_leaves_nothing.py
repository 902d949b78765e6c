"""However a sandbox ends, nothing of it is left: no process, network namespace, interface or mount."""

import contextlib
import os
import re
import select
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from flametest.sandbox import controlgroups
from flametest.sandbox.launch import Sandbox, SandboxOptions, find, start

pytestmark = pytest.mark.sandbox

SUPERVISOR, CLUSTER = "flametest.sandbox.supervisor", "flametest.sandbox.cluster"
FORWARDER = "flametest.sandbox.network.forwarder"


class Family:
    """A supervisor and all below it as they were, held by pidfds, and the state of the host at that moment."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.descriptors: dict[int, int] = {}
        self.commands: dict[int, str] = {}
        self.namespaces: set[str] = set()
        pending = [sandbox.pid]
        while pending:
            pid = pending.pop()
            with contextlib.suppress(OSError):
                self.descriptors[pid] = os.pidfd_open(pid)
                self.commands[pid] = Path(f"/proc/{pid}/cmdline").read_text()
                self.namespaces.add(os.readlink(f"/proc/{pid}/ns/net"))
                for task in Path(f"/proc/{pid}/task").iterdir():
                    pending += [int(child) for child in task.joinpath("children").read_text().split()]
        self.namespaces.discard(os.readlink("/proc/self/ns/net"))

    def kill(self, program: str) -> None:
        """Send SIGKILL to the process that runs a program; of the supervisor and its copy init, the supervisor."""
        pid = min(pid for pid, command in self.commands.items() if program in command)
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
        for descriptor in self.descriptors.values():
            os.close(descriptor)


def host_state(options: SandboxOptions) -> Counter[str]:
    """Return the host's interfaces and mounts that are as a sandbox makes them; others may come and go meanwhile."""
    interfaces = [path.name for path in Path("/sys/class/net").iterdir() if re.fullmatch(r"pod\d+", path.name)]
    own = re.compile(r"proc /proc |tmpfs /run |nsfs /run/netns/pod-\d|.*" + re.escape(str(options.home)))
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if own.match(line)]
    return Counter([*interfaces, *mounts])


@contextlib.contextmanager
def nothing_is_left_of(options: SandboxOptions) -> Iterator[Family]:
    """Start a sandbox, let the caller end it, and check what is left."""
    before = host_state(options)
    sandbox = start(options)
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
    finally:
        family.close()


@pytest.mark.parametrize("program", [SUPERVISOR, CLUSTER, FORWARDER])
def test_nothing_is_left_when_one_process_is_killed(options: SandboxOptions, program: str) -> None:
    with nothing_is_left_of(options) as family:
        family.kill(program)


def test_nothing_is_left_when_init_is_killed(options: SandboxOptions) -> None:
    with nothing_is_left_of(options):
        sandbox = find(options)
        assert sandbox is not None
        os.kill(sandbox.init_pid, signal.SIGKILL)


def test_nothing_is_left_after_a_stop(options: SandboxOptions) -> None:
    with nothing_is_left_of(options):
        sandbox = find(options)
        assert sandbox is not None
        sandbox.stop()


def test_a_sandbox_starts_again_where_one_was_killed(options: SandboxOptions) -> None:
    with nothing_is_left_of(options) as family:
        family.kill(SUPERVISOR)
    again = start(options)
    assert again.alive()


def test_a_stop_that_is_not_heard_ends_in_a_kill(options: SandboxOptions) -> None:
    with nothing_is_left_of(options) as family:
        sandbox = find(options)
        assert sandbox is not None
        signal.pidfd_send_signal(family.descriptors[sandbox.pid], signal.SIGSTOP)
        sandbox.stop(grace_seconds=0.1)
