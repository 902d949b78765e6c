"""Lines of late, until it is known whether anybody wants them: in bounded memory, the oldest let go first. Pure.

A line may come before its request has ended, or after. So each line with an id waits here for its request to be found
bad; once that is so, its lines are kept as they come.
"""

import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

__all__ = ["Keeper", "RawLine", "ids_in"]

_ID = re.compile(
    r"(?<![0-9a-f])(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-f])", re.IGNORECASE
)
_IDS_MAX = 4  # of one line; more are a list of something else
_OVERHEAD_BYTES = 300


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line as it was read: whose, when (wall clock of the node, in nanoseconds), and its text."""

    pod: str
    container: str
    wall_ns: int
    text: str


def ids_in(text: str) -> Iterator[str]:
    """Yield the ids in a line: 32 hexadecimal digits, and no more in a row, in small letters; as a UUID as well."""
    for found in islice(_ID.finditer(text), _IDS_MAX):
        yield found.group().replace("-", "").lower()


class Keeper:
    """Waiting lines, at most ``bytes_max`` of them, and the ids that are wanted."""

    def __init__(self, bytes_max: int, lines_max: int) -> None:
        """Keep at most ``lines_max`` lines of one request."""
        self._bytes_max = bytes_max
        self._lines_max = lines_max
        self._waiting: OrderedDict[str, list[RawLine]] = OrderedDict()
        self._bytes = 0
        self._kept: defaultdict[str, int] = defaultdict(int)
        self.seen = 0
        self.lost = 0

    @property
    def kept(self) -> int:
        """Return how many lines were given out."""
        return sum(self._kept.values())

    def take(self, line: RawLine, ids: Iterable[str]) -> Iterator[tuple[str, RawLine]]:
        """Take in a line with its ids, and yield it for each that is wanted; for the others it waits."""
        self.seen += 1
        for trace_id in dict.fromkeys(ids):
            if trace_id in self._kept:
                yield from self._given(trace_id, [line])
                continue
            lines = self._waiting.setdefault(trace_id, [])
            if len(lines) < self._lines_max:
                lines.append(line)
                self._bytes += len(line.text) + _OVERHEAD_BYTES
        self._let_go()

    def want(self, trace_id: str) -> Iterator[tuple[str, RawLine]]:
        """Keep the lines of an id from now on, and yield those that waited; a second call yields nothing."""
        if trace_id in self._kept:
            return
        self._kept[trace_id] = 0
        lines = self._waiting.pop(trace_id, [])
        self._bytes -= sum(len(line.text) + _OVERHEAD_BYTES for line in lines)
        yield from self._given(trace_id, lines)

    def _given(self, trace_id: str, lines: Iterable[RawLine]) -> Iterator[tuple[str, RawLine]]:
        for line in lines:
            if self._kept[trace_id] < self._lines_max:
                self._kept[trace_id] += 1
                yield trace_id, line

    def _let_go(self) -> None:
        while self._bytes > self._bytes_max:
            _, lines = self._waiting.popitem(last=False)
            self._bytes -= sum(len(line.text) + _OVERHEAD_BYTES for line in lines)
            self.lost += len(lines)
