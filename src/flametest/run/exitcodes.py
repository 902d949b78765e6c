"""The exit codes of ``flametest``, as docs and CI rely on them."""

from enum import IntEnum

from flametest.model.verdict import Verdict

__all__ = ["ExitCode", "exit_code"]


class ExitCode(IntEnum):
    """What the process' exit status says."""

    PASSED = 0
    LIMIT_MISSED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    NOT_HEALED = 4
    INTERRUPTED = 130


def exit_code(verdict: Verdict) -> ExitCode:
    """Return the exit code of a run that ended with ``verdict``."""
    return {
        Verdict.PASSED: ExitCode.PASSED,
        Verdict.FAILED: ExitCode.LIMIT_MISSED,
        Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }[verdict]
