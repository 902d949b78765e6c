"""What a traceback, as Chaos Toolkit keeps it of an activity that failed, says in the end."""

import re
from collections.abc import Iterable

__all__ = ["last_line"]

_EXCEPTION = re.compile(r"[\w.]+(?:Error|Exception|Failed|Execution|Invalid\w+|Exit|Interrupt): (?P<message>.+)")


def last_line(lines: Iterable[str]) -> str:
    """Return what a traceback says in its last line, without the name of the exception's class."""
    told = next(
        (line.strip() for line in reversed("".join(f"{one}\n" for one in lines).split("\n")) if line.strip()), ""
    )
    found = _EXCEPTION.fullmatch(told)
    return found["message"] if found else told
