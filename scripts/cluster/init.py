"""The first process of a machine: `python -m scripts.cluster.init NAME FOLDER`.

It is started in new network, mount, process and host name namespaces, makes the machine's mounts, and then reaps what
ends until it is to end itself. It makes ``FOLDER/ready`` when programs may be
started, and with its end the kernel ends all of them.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from scripts.cluster.plan import HIDDEN

READ_ONLY = ("/proc/sys/kernel", "/proc/sys/vm")  # these are the whole machine's
# What the kubelet insists on there. It finds these values in files laid over the kernel's own, and changes nothing.
EXPECTED = {
    "kernel/keys/root_maxbytes": "25000000",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
}
GRACE_SECONDS = 5.0


def main(name: str, folder: Path) -> None:
    """Prepare the namespaces of machine ``name`` and stay until SIGTERM."""
    signal.signal(signal.SIGTERM, _end)
    socket.sethostname(name)
    for place in HIDDEN:
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", place)
    for place in READ_ONLY:
        _run("mount", "--bind", place, place)
        _run("mount", "-o", "remount,bind,ro", place)
    for setting, value in EXPECTED.items():
        shown = folder / setting.replace("/", ".")
        shown.write_text(f"{value}\n")
        _run("mount", "--bind", str(shown), f"/proc/sys/{setting}")
    for below in ("lock", "netns"):
        Path("/run", below).mkdir()
    kubelet = Path("/var/lib/kubelet")
    kubelet.mkdir()
    (folder / "kubelet").mkdir(exist_ok=True)
    _run("mount", "--bind", str(folder / "kubelet"), str(kubelet))
    # Volumes that are mounted later have to be seen by containers that want to see them.
    _run("mount", "--make-rshared", "/")
    _run("ip", "link", "set", "lo", "up")
    (folder / "ready").touch()
    while True:
        _reap()


def _reap() -> None:
    """Wait for one child to end, or, where there is none, for a while."""
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.5)


def _end(_signal: int, _frame: FrameType | None) -> None:
    """Ask everything here to end, and end when nothing is left or the grace period is over."""
    os.kill(-1, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.05)
        except ChildProcessError:
            break
    os._exit(0)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
