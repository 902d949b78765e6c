"""Scheduling priority: a measuring process goes first, and one that is only being started stays behind.

What the first measures must not be how busy the machine is.

On a machine whose cores are all taken, an ordinary process waits for its turn for tens of milliseconds, and the
prober would note its own wait as the system's. Real-time scheduling (`sched(7)`, SCHED_RR) puts it first; it needs a
few per cent of one core, and the kernel keeps real-time processes from taking more than 95 % of it.

What stays behind until it is needed must not be felt by what is measured meanwhile. Linux groups the processes of a
session (`sched(7)`, "autogroup") and lets its owner lower and raise the group's niceness. Where it does not, only a
process with CAP_SYS_NICE, or a limit that allows it, can be raised again, so that only such a one is lowered.
"""

import os
import resource
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["go_first", "let_go", "stay_behind"]

_LOWEST_REALTIME_PRIORITY = 1
_NICENESS, _BEHIND = -10, 19
_CAP_SYS_NICE = 23  # https://man7.org/linux/man-pages/man7/capabilities.7.html
_TRIES_MAX, _AGAIN_SECONDS = 30, 0.1  # a group's niceness may be set once in a tenth of a second, machine-wide


def go_first() -> str:
    """Give this process the best scheduling that it may have, and return its name.

    Children do not inherit it. Without the right (CAP_SYS_NICE) it stays an ordinary process, which is no error:
    a prober that could not keep its schedule says so itself.
    """
    flags = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(0, flags, os.sched_param(_LOWEST_REALTIME_PRIORITY))
    except OSError:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
        except OSError:
            return "ordinary"
        return f"niceness {_NICENESS}"
    return "real time"


def stay_behind(process: int) -> None:
    """Let a process, which leads a session of its own, run only when others leave the processor, as far as that can be.

    Args:
        process: its id; it has one thread still.
    """
    with suppress(OSError):
        _autogroup(process).write_text(str(_BEHIND))
    if _can_raise():
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process, _BEHIND)


def let_go(process: int) -> None:
    """Give a process that was to `stay_behind`, and all its threads, this one's priority; one that is gone has none."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, int(thread), own)
    for _ in range(_TRIES_MAX):
        try:
            _autogroup(process).write_text("0")
        except BlockingIOError:
            time.sleep(_AGAIN_SECONDS)
        except OSError:
            return
        else:
            return


def _autogroup(process: int) -> Path:
    return Path(f"/proc/{process}/autogroup")


def _can_raise() -> bool:
    """Return whether this process may raise the priority of another one to its own again."""
    needed = 20 - os.getpriority(os.PRIO_PROCESS, 0)  # https://man7.org/linux/man-pages/man2/setrlimit.2.html
    if resource.getrlimit(resource.RLIMIT_NICE)[0] >= needed:
        return True
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        effective = next(line.split()[1] for line in lines if line.startswith("CapEff:"))
        return bool(int(effective, 16) >> _CAP_SYS_NICE & 1)
    return False
