"""The file of kept lines: JSON arrays, one a line; the id alone when it was begun to look for lines of a request."""

import json
from collections.abc import Iterable

from flametest.model.paths import KeptLogs, LogLine

__all__ = ["KEPT_LINES_FILE", "kept_row", "looked_for_row", "read_kept"]

KEPT_LINES_FILE = "paths.jsonl"


def looked_for_row(trace_id: str) -> str:
    """Return the row that says that lines of a request are looked for, without the line's end."""
    return json.dumps([trace_id])


def kept_row(line: LogLine) -> str:
    """Return the row of a line, without the line's end."""
    return json.dumps(line)


def read_kept(lines: Iterable[str]) -> KeptLogs:
    """Return what a file of kept lines holds; a last line that a crash cut off is left out.

    Raises:
        ValueError: another line is none of such a file.
    """
    examined: set[str] = set()
    found: list[LogLine] = []
    for line in lines:
        if not line.endswith("\n"):
            break
        row = json.loads(line)
        if isinstance(row, list) and len(row) == 1:
            examined.add(str(row[0]))
        elif isinstance(row, list) and len(row) == len(LogLine._fields):
            found.append(LogLine(str(row[0]), str(row[1]), str(row[2]), int(row[3]), str(row[4])))
        else:
            raise ValueError(f"no line of {KEPT_LINES_FILE}: {line[:80]!r}")
    return KeptLogs(frozenset(examined), tuple(found))
