"""The cluster's own user, process, network, mount and IPC namespaces, and the init process that holds them.

`spawn` is called once by the supervisor, which has a single thread. It leaves this tree behind::

    supervisor            host's network and mounts
      init                first process of a new process namespace; reaps orphans, does nothing else
        cluster process   the program that was asked for

The kernel kills init when the supervisor dies (`PR_SET_PDEATHSIG`), and everything in a process namespace when its
init dies; the network namespace with its interfaces and rules, and the mounts, go with the last process in them.
Init is apart from the cluster process so that reaping orphans cannot take an exit status from the children that
asyncio waits for there.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from flametest.sandbox import idmaps
from flametest.sandbox.errors import SandboxError

__all__ = [
    "MountFlag",
    "enter_user_namespace",
    "lift_loopback",
    "mount",
    "new_network_namespace",
    "privileged",
    "spawn",
    "try_user_namespace",
    "unmount",
]

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000

_MNT_DETACH = 2
_PR_SET_PDEATHSIG = 1
_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_STANDARD_ERROR = 2

# Nodes route between their pods. The forwarder's connections all have one destination: without reuse of those that
# have just ended, the ports of its address last for 470 new connections a second.
_NETWORK_SETTINGS = {"ipv4/ip_forward": "1", "ipv4/tcp_tw_reuse": "1"}

_REMEDY_NAMESPACES = (
    "run as root, or let ordinary users make user namespaces: "
    "sysctl -w user.max_user_namespaces=10000 kernel.apparmor_restrict_unprivileged_userns=0"
)

_libc = ctypes.CDLL(None, use_errno=True)


class MountFlag:
    """Flags of mount(2) that the sandbox uses."""

    NOSUID = 2
    NODEV = 4
    NOEXEC = 8
    BIND = 4096
    RECURSIVE = 16384
    PRIVATE = 1 << 18


def privileged() -> bool:
    """Return whether this process may make network and mount namespaces without a user namespace of its own."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            capabilities = int(line.split()[1], 16)
            return bool(capabilities >> _CAP_SYS_ADMIN & 1 and capabilities >> _CAP_NET_ADMIN & 1)
    return False


def _unshare(flags: int) -> None:
    """Leave the namespaces that ``flags`` (CLONE_NEW*) name for new ones; raises OSError."""
    if _libc.unshare(flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"unshare: {os.strerror(code)}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Call mount(2); raises OSError with the target's name."""
    parts = os.fsencode(source), os.fsencode(target), kind.encode() or None, flags, data.encode() or None
    if _libc.mount(*parts) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount {kind or 'flags'} on {target}: {os.strerror(code)}")


def unmount(target: str) -> None:
    """Call umount2(2) with MNT_DETACH: at once out of sight, gone when nobody uses it any more; raises OSError."""
    if _libc.umount2(os.fsencode(target), _MNT_DETACH) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"unmount {target}: {os.strerror(code)}")


@contextlib.contextmanager
def new_network_namespace() -> Iterator[None]:
    """Move the calling thread, and no other, into a new network namespace for as long as the context lasts."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _unshare(_CLONE_NEWNET)
        try:
            yield
        finally:
            if _libc.setns(home, _CLONE_NEWNET) != 0:
                code = ctypes.get_errno()
                raise OSError(code, f"setns: {os.strerror(code)}")
    finally:
        os.close(home)


def lift_loopback() -> None:
    """Bring the interface lo of the current network namespace up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(probe, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def spawn(command: list[str], descriptors: tuple[int, ...]) -> int:
    """Start ``command`` (an absolute program and its arguments) in new namespaces and return the pid of its init.

    Init ends when the command ends, with its exit status (128 + signal for a signal). The command inherits
    ``descriptors`` by their numbers, and standard input, output and error.

    Raises:
        SandboxError: the kernel refused a namespace or a mount.
    """
    try:
        if not privileged():
            enter_user_namespace()
        _unshare(_CLONE_NEWPID)
    except OSError as error:
        raise SandboxError(f"the kernel refused the sandbox its namespaces: {error}", _REMEDY_NAMESPACES) from error
    report_reader, report_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(report_reader)
        _run_init(command, descriptors, report_writer)
    os.close(report_writer)
    with os.fdopen(report_reader) as report:
        failure = report.read()
    if failure:
        os.waitpid(pid, 0)
        raise SandboxError(f"the sandbox's namespaces could not be set up: {json.loads(failure)}", _REMEDY_NAMESPACES)
    return pid


def enter_user_namespace() -> None:
    """Move the calling process, which has one thread only, into a new user namespace, as its root; raises OSError."""
    with idmaps.mapping() as map_ids:
        _unshare(_CLONE_NEWUSER)
        map_ids()


def try_user_namespace() -> tuple[int, str]:
    """Return how many user ids a sandbox of the calling user has, and what stood in the way of more, if that was said.

    All of the machine's, for a process that needs no user namespace of its own; 0 when none can be made.
    """
    if privileged():
        return idmaps.count(), ""
    code = f"from {__name__} import enter_user_namespace, idmaps; enter_user_namespace(); print(idmaps.count())"
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return int(done.stdout or 0), (done.stderr.strip().splitlines() or [""])[-1]


def _run_init(command: list[str], descriptors: tuple[int, ...], report: int) -> NoReturn:
    """Be the first process of the process namespace; never returns, whatever happens."""
    status = 1
    try:
        _tie_to_parent(report)
        _set_up_namespaces()
        cluster_pid = _start(command, descriptors, report)
        # Held open here, the supervisor's ends of sockets and pipes would hide its death from their other ends.
        for descriptor in [int(name) for name in os.listdir("/proc/self/fd")]:
            if descriptor > _STANDARD_ERROR:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        status = _reap_until(cluster_pid)
    except BaseException as error:  # Nothing may unwind into the supervisor's code, of which this is a copy.
        _tell(report, error)
    os._exit(status)


def _tie_to_parent(report: int) -> None:
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl: {os.strerror(code)}")
    # The supervisor may have died before the signal was set; then nobody reads the report.
    poll = select.poll()
    poll.register(report, 0)
    if poll.poll(0):
        raise OSError(errno.ESRCH, "the supervisor ended")


def _set_up_namespaces() -> None:
    _unshare(_CLONE_NEWNS | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS)
    mount("none", "/", flags=MountFlag.RECURSIVE | MountFlag.PRIVATE)
    mount("proc", "/proc", "proc", MountFlag.NOSUID | MountFlag.NODEV | MountFlag.NOEXEC)
    _make_run_private()
    lift_loopback()
    for name, value in _NETWORK_SETTINGS.items():
        Path("/proc/sys/net", name).write_text(value)


def _make_run_private() -> None:
    """Lay a folder of our own over /run, for the files that name network namespaces, and show the rest as it was.

    The interpreter, the project or the sandbox's own state may be there.
    """
    before = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
    try:
        names = [name for name in os.listdir(before) if name != "netns"]
        mount("tmpfs", "/run", "tmpfs", MountFlag.NOSUID | MountFlag.NODEV, "mode=0755,size=64m")
        for name in names:
            with contextlib.suppress(OSError):  # one that has just gone, or may not be looked at
                _show_again(f"/proc/self/fd/{before}/{name}", f"/run/{name}")
    finally:
        os.close(before)


def _show_again(source: str, target: str) -> None:
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
        return
    if os.path.isdir(source):
        os.mkdir(target)
    else:
        Path(target).touch()
    mount(source, target, flags=MountFlag.BIND | MountFlag.RECURSIVE)


def _start(command: list[str], descriptors: tuple[int, ...], report: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            for descriptor in descriptors:
                os.set_inheritable(descriptor, True)
            os.execv(command[0], command)  # noqa: S606 - there is no shell, and no return
        except BaseException as error:
            _tell(report, error)
        os._exit(127)
    return pid


def _reap_until(awaited_pid: int) -> int:
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == awaited_pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _tell(report: int, error: BaseException) -> None:
    try:
        os.write(report, json.dumps(str(error)).encode())
    except OSError:
        print(f"init: {error}", file=sys.stderr, flush=True)
