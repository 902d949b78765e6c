"""How whoever runs Chaos Toolkit learns that everything is recorded: Chaos Toolkit itself takes some time to end.

It gives the process one end of a pipe, by the number in `RECORDED_VARIABLE`; that end is closed then, or by the
process' own end. Programs that an experiment starts inherit neither.
"""

import os
from contextlib import suppress

__all__ = ["RECORDED_VARIABLE", "tell_recorded"]

RECORDED_VARIABLE = "FLAMETEST_RECORDED_DESCRIPTOR"

_descriptors = [int(number)] if (number := os.environ.pop(RECORDED_VARIABLE, "")).isdigit() else []


def tell_recorded() -> None:
    """Say that nothing more is recorded; a second call does nothing."""
    while _descriptors:
        with suppress(OSError):
            os.close(_descriptors.pop())
