"""Which monotonic clock a process reads: two with the same name read the same one, on whatever machine they run.

The clock is the kernel's, told by its boot, as a time namespace shifts it, told by its number. Standard library only.
"""

import os
from pathlib import Path

__all__ = ["clock_name"]

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = "/proc/self/ns/time"


def clock_name() -> str:
    """Return the name of this process' monotonic clock; empty where it cannot be told."""
    try:
        return f"{_BOOT.read_text().strip()} {os.readlink(_NAMESPACE)}"
    except OSError:
        return ""
