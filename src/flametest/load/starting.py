"""A program that is started before it may begin: it waits, with everything imported, until it is let.

Starting Chaos Toolkit and Locust takes seconds; a run starts them while the scenario before is watched. Whoever starts
one sets `START_VARIABLE` and writes a line to its standard input when it may begin; the end of that input says that it
may not.
"""

import sys
from collections.abc import Mapping

from flametest.load.errors import LoadError

__all__ = ["START_STDIN", "START_VARIABLE", "await_start"]

START_VARIABLE, START_STDIN = "FLAMETEST_START", "stdin"


def await_start(environment: Mapping[str, str]) -> None:
    """Return when this program may begin: at once, unless whoever started it holds it back.

    Raises:
        LoadError: it may not begin at all.
    """
    if environment.get(START_VARIABLE) == START_STDIN and not sys.stdin.readline():
        raise LoadError("the run ended before this program was let begin")
