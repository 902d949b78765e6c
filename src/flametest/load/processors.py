"""How long all processors of this machine were busy, whoever used them. Standard library only.

A prober that runs first is punctual on a machine that has no processor left for the system under test; what it measures
is then the machine's doing. Source of the figures: proc(5), /proc/stat, in clock ticks since the machine's start.
"""

from collections.abc import Callable
from pathlib import Path

__all__ = ["ProcessorMeter"]

BUSY_SHARE = 0.95
LOOK_MS = 1000
_MS_PER_TICK = 10  # USER_HZ is 100 on all of Linux's architectures that Python runs on
_IDLE = slice(3, 5)  # idle, and idle while something is read or written
_COUNTED = slice(0, 8)  # up to steal; time of guests is in the first two already


def _stat() -> str:
    return Path("/proc/stat").read_text(encoding="ascii")


class ProcessorMeter:
    """Adds up the time in which at least 95 % of all processors' time was used, a second at a time.

    Args:
        read: returns what /proc/stat holds; an OSError is a machine that has none, of which nothing is told.
    """

    def __init__(self, read: Callable[[], str] = _stat) -> None:
        self._read = read
        self._before: tuple[int, int] | None = None
        self.looked_ms = 0
        self.busy_ms = 0

    def look(self) -> None:
        """Look, if the last look was a second ago; costs some 20 µs."""
        try:
            lines = self._read().splitlines()
        except OSError:
            return
        ticks = [int(one) for one in lines[0].split()[1:][_COUNTED]]
        processors = sum(line.startswith("cpu") for line in lines) - 1
        total, idle = sum(ticks), sum(ticks[_IDLE])
        if self._before is not None:
            passed_ms = (total - self._before[0]) * _MS_PER_TICK // max(1, processors)
            if passed_ms < LOOK_MS:
                return
            self.looked_ms += passed_ms
            if idle - self._before[1] <= (1 - BUSY_SHARE) * (total - self._before[0]):
                self.busy_ms += passed_ms
        self._before = (total, idle)
