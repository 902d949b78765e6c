"""Who has injected a fault, and whether that process still lives.

A process id alone is used again sooner or later, so a process is named by its id, its start time and the boot that it
belongs to. An experiment that ``flametest run`` started has a runner as well: without it nobody waits for its end.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["RUNNER_VARIABLE", "Owner", "ProcessName", "own_name", "own_owner"]

RUNNER_VARIABLE = "FLAMETEST_RUNNER"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_START_FIELD = 19  # of /proc/PID/stat after the name in parentheses: field 22, see proc(5)


@dataclass(frozen=True, slots=True)
class ProcessName:
    """A process that is never taken for another one: its id, its start in clock ticks, and the boot."""

    pid: int
    start_ticks: int
    boot: str

    def lives(self) -> bool:
        """Return whether this very process still runs, or cannot be asked after: then it must not be taken for dead."""
        try:
            return self.boot == _boot() and _start_ticks(self.pid) == self.start_ticks
        except OSError:  # such as too many open files
            return True

    def __str__(self) -> str:
        return f"{self.pid}:{self.start_ticks}:{self.boot}"

    @classmethod
    def parse(cls, text: str) -> "ProcessName | None":
        """Return what `str` wrote, or None for any other text."""
        pid, _, rest = text.partition(":")
        ticks, _, boot = rest.partition(":")
        return cls(int(pid), int(ticks), boot) if pid.isdecimal() and ticks.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Owner:
    """The process of an experiment, and the run that waits for it, if one does."""

    process: ProcessName
    runner: ProcessName | None

    def lives(self) -> bool:
        """Return whether the experiment goes on, and somebody still waits for it."""
        return self.process.lives() and not self.abandoned()

    def abandoned(self) -> bool:
        """Return whether the run that started the experiment has died."""
        return self.runner is not None and not self.runner.lives()


def own_name() -> ProcessName:
    """Return the name of this process."""
    return ProcessName(os.getpid(), _start_ticks(os.getpid()) or 0, _boot())


def own_owner(environment: Mapping[str, str]) -> Owner:
    """Return this process as an owner; ``environment`` names the runner, if there is one."""
    return Owner(own_name(), ProcessName.parse(environment.get(RUNNER_VARIABLE, "")))


def _start_ticks(pid: int) -> int | None:
    """Return when a process started; None when it has ended, also when only its exit status is left."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[_START_FIELD])


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except FileNotFoundError:
        return ""
