"""The rate that a load generator has reached, read from the samples that it writes while it runs.

A second tells it, or half of one that holds enough requests.
"""

import csv
from collections import deque
from pathlib import Path

from flametest.load.growing import GrowingFile
from flametest.model.samples import SAMPLE_COLUMNS

__all__ = ["ACHIEVED_MIN", "AchievedRate", "window_seconds"]

ACHIEVED_MIN = 0.95
"""The share of what is offered from which on it counts as offered."""

_WINDOW_SECONDS = 1.0
_SHORT_WINDOW_SECONDS = 0.5
_REQUESTS_ENOUGH = 50  # of them 95 % are told from fewer
_SENT_COLUMN = SAMPLE_COLUMNS.index("sent_ns")


def window_seconds(per_second: float) -> float:
    """Return through how much time a rate has to be reached to count as offered."""
    return _SHORT_WINDOW_SECONDS if per_second * _SHORT_WINDOW_SECONDS >= _REQUESTS_ENOUGH else _WINDOW_SECONDS


class AchievedRate:
    """Follows a growing file of samples and tells the rate of one of its last seconds, or of another time.

    Args:
        path: the file; it may not exist yet.
        lag_ns: how much later than the newest row a row of the same moment may be written, as where several processes
            write by way of one; the time that ends so long before the newest row is judged.
        seconds: how long that time is.
    """

    def __init__(self, path: Path, lag_ns: int = 0, seconds: float = _WINDOW_SECONDS) -> None:
        self._file = GrowingFile(path)
        self._has_header = False
        self._lag_ns = lag_ns
        self._seconds = seconds
        self._sent_ns: deque[int] = deque()

    def per_second(self) -> float:
        """Return how many requests a second were sent in that time; 0 before the file spans it."""
        self._sent_ns.extend(self._read())
        if not self._sent_ns:
            return 0.0
        end_ns = max(self._sent_ns) - self._lag_ns
        begin_ns = end_ns - round(self._seconds * 1e9)
        spans = begin_ns >= min(self._sent_ns)
        later = [one for one in self._sent_ns if one > begin_ns]
        if spans:
            # One older sample stays, as the evidence that the window is whole.
            self._sent_ns = deque([begin_ns, *later])
        return sum(one <= end_ns for one in later) / self._seconds if spans else 0.0

    def _read(self) -> list[int]:
        rows = list(csv.reader(self._file.lines()))
        header = bool(rows) and not self._has_header
        self._has_header = self._has_header or header
        return [int(row[_SENT_COLUMN]) for row in rows[header:]]
