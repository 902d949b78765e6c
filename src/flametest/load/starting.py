"""A program that is started before it may begin: it waits, with everything imported, until it is released.

Starting Chaos Toolkit and Locust takes seconds; a run starts them while the scenario before is watched. Whoever starts
one sets `START_VARIABLE` and writes a line to its standard input to release it; the end of that input says that it may
not begin. Chaos Toolkit is released twice: first its recorder begins, then, under load, the experiment.
"""

import sys
from collections.abc import Mapping

from flametest.load.errors import LoadError

__all__ = ["RELEASE", "START_STDIN", "START_VARIABLE", "await_release"]

START_VARIABLE, START_STDIN = "FLAMETEST_START", "stdin"

RELEASE = b"begin\n"
"""What is written to its standard input."""


def await_release(environment: Mapping[str, str]) -> None:
    """Return when this program is released: at once, unless whoever started it holds it back.

    Raises:
        LoadError: it may not begin.
    """
    if environment.get(START_VARIABLE) == START_STDIN and not sys.stdin.readline():
        raise LoadError("the run ended before this program was released")
