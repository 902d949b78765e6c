"""The exit codes of ``flametest``, as docs and CI rely on them."""

from enum import IntEnum

from flametest.model.verdict import Verdict

__all__ = ["ExitCode", "exit_code"]


class ExitCode(IntEnum):
    """What the process' exit status says.

    Attributes:
        PASSED: all limits held.
        LIMIT_MISSED: a limit was missed, and nothing else.
        USAGE: the usage or the set-up is at fault.
        INCONCLUSIVE: nothing can be said of the limits.
        NOT_HEALED: something could not be healed.
        UNFORESEEN: an error of Flametest's own (``EX_SOFTWARE`` of sysexits.h); what was started has been ended.
        INTERRUPTED: by Ctrl-C, SIGTERM or SIGHUP (128 + SIGINT); what was started has been ended.
        OUTPUT_CLOSED: whoever read the output has gone (128 + SIGPIPE); what was started has been ended.
    """

    PASSED = 0
    LIMIT_MISSED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    NOT_HEALED = 4
    UNFORESEEN = 70
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141


def exit_code(verdict: Verdict) -> ExitCode:
    """Return the exit code of a run that ended with ``verdict``."""
    return {
        Verdict.PASSED: ExitCode.PASSED,
        Verdict.FAILED: ExitCode.LIMIT_MISSED,
        Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
    }[verdict]
