"""What a traceback, as Chaos Toolkit keeps it of an activity that failed, says in the end."""

import re
from collections.abc import Iterable

__all__ = ["last_line"]

_EXCEPTION = re.compile(r"[\w.]+(?:Error|Exception|Failed|Execution|Invalid\w+|Exit|Interrupt): (?P<message>.+)")


def last_line(lines: Iterable[str]) -> str:
    """Return what a traceback says in its last line, without the names of exceptions' classes."""
    told = next(
        (line.strip() for line in reversed("".join(f"{one}\n" for one in lines).split("\n")) if line.strip()), ""
    )
    while found := _EXCEPTION.fullmatch(told):  # Chaos Toolkit puts its own class before that of an activity's error
        told = found["message"]
    return told
