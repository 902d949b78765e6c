"""Scheduling priority of a measuring process: what it measures must not be how busy the machine is.

On a machine whose cores are all taken, an ordinary process waits for its turn for tens of milliseconds, and the
prober would note its own wait as the system's. Real-time scheduling (`sched(7)`, SCHED_RR) puts it first; it needs a
few per cent of one core, and the kernel keeps real-time processes from taking more than 95 % of it.
"""

import os

__all__ = ["go_first"]

_LOWEST_REALTIME_PRIORITY = 1
_NICENESS = -10


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
