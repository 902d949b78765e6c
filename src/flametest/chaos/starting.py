"""An experiment that is prepared before it may begin: it waits, with everything imported, until its load is there.

Starting Chaos Toolkit takes seconds, and so does bringing up a load; a run does both at the same time. Whoever starts
the experiment sets `START_VARIABLE` and writes a line to its standard input when it may begin; the end of that input
says that it may not.
"""

import sys
from collections.abc import Mapping

from flametest.chaos.errors import RecorderError

__all__ = ["START_STDIN", "START_VARIABLE", "await_start"]

START_VARIABLE, START_STDIN = "FLAMETEST_START", "stdin"


def await_start(environment: Mapping[str, str]) -> None:
    """Return when the experiment may begin: at once, unless whoever started it holds it back.

    Raises:
        RecorderError: it may not begin at all.
    """
    if environment.get(START_VARIABLE) == START_STDIN and not sys.stdin.readline():
        raise RecorderError("the run ended before the experiment began")
