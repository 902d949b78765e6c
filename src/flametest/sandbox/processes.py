"""Processes of the host by pid and start time: which one lives, ending exactly that one, and how much memory it takes.

A pid alone names nobody for long: it is given to another process when its own is gone. Standard library and few
imports, since the supervisor uses it too.
"""

import contextlib
import os
import select
import signal
import socket
import sys
from pathlib import Path

from flametest.sandbox.errors import SandboxError

__all__ = ["end_process", "listens", "own_processes", "process_start_ticks", "proportional_set_bytes", "readable"]

_KILL_SECONDS_MAX = 10.0
_LISTENING = "0A"
_PACKAGE_NAME = b"flametest.sandbox."


def process_start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since the machine did (proc(5), field 22 of stat); None if gone.

    Together with the pid it names a process for good: pids come again, the pair does not. A zombie counts as gone.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def end_process(pid: int, start_ticks: int, grace_seconds: float) -> None:
    """End exactly the process that started at that time, and wait for it to be gone.

    It gets SIGTERM and ``grace_seconds`` (0: neither), then SIGKILL.

    Raises:
        SandboxError: it did not end after SIGKILL.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if process_start_ticks(pid) != start_ticks:
            return
        ended = grace_seconds > 0 and _signal_and_wait(descriptor, signal.SIGTERM, grace_seconds)
        if not ended and not _signal_and_wait(descriptor, signal.SIGKILL, _KILL_SECONDS_MAX):
            message = f"process {pid} of the sandbox did not end within {_KILL_SECONDS_MAX:.0f} s of SIGKILL"
            raise SandboxError(message, f"inspect it with `cat /proc/{pid}/stack /proc/{pid}/status`")
        # Only the process that started the sandbox is its parent, and has to take its exit status.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    finally:
        os.close(descriptor)


def _signal_and_wait(descriptor: int, number: signal.Signals, seconds: float) -> bool:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)
    return readable(descriptor, seconds)


def readable(descriptor: int, seconds: float) -> bool:
    """Wait until a descriptor can be read or has ended, at most so long; returns whether it came to that."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def own_processes(supervisor_pid: int) -> list[int]:
    """Return the supervisor and all below it that run a program of this package."""
    found: list[int] = []
    pending = [supervisor_pid]
    while pending:
        pid = pending.pop()
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            children = [task.joinpath("children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
        except OSError:
            continue
        if _PACKAGE_NAME in command:
            found.append(pid)
            pending.extend(int(child) for of_task in children for child in of_task.split())
    return found


def listens(pid: int, address: str, port: int) -> bool:
    """Return whether a process holds the TCP listener of an IPv4 address and port of this machine.

    Source: proc(5), net/tcp, whose addresses are in the machine's own order of bytes.
    """
    local = f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}:{port:04X}"
    try:
        rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
        wanted = {f"socket:[{row[9]}]" for row in rows if row[1] == local and row[3] == _LISTENING}
        return any(str(link.readlink()) in wanted for link in Path(f"/proc/{pid}/fd").iterdir()) if wanted else False
    except OSError:
        return False


def proportional_set_bytes(pid: int) -> int:
    """Return the memory of a process, pages that it shares counted in parts; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
