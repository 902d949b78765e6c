"""A program that is started before it may begin: it waits, with everything imported, until it is let.

Starting Chaos Toolkit and Locust takes seconds; a run starts them while the scenario before is watched. Whoever starts
one sets `START_VARIABLE` and writes a line to its standard input each time when it may go on; the end of that input
says that it may not. Chaos Toolkit is let twice: first its recorder begins, then, under load, the experiment.
"""

import sys
from collections.abc import Mapping

from flametest.load.errors import LoadError

__all__ = ["GO_ON", "START_STDIN", "START_VARIABLE", "await_leave"]

START_VARIABLE, START_STDIN = "FLAMETEST_START", "stdin"

GO_ON = b"go on\n"
"""What is written to its standard input each time."""


def await_leave(environment: Mapping[str, str]) -> None:
    """Return when this program may go on: at once, unless whoever started it holds it back.

    Raises:
        LoadError: it may not go on at all.
    """
    if environment.get(START_VARIABLE) == START_STDIN and not sys.stdin.readline():
        raise LoadError("the run ended before this program was let go on")
