"""Which requests failed or were slow, from the files that prober, load and ledger write, while they grow.

Of requests that ended alike, a few in each second and some hundred in all are wanted: enough to tell several causes
apart, and bounded however many fail.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from flametest.load.growing import GrowingFile
from flametest.model.samples import SAMPLE_COLUMNS, Outcome, Sample
from flametest.model.writes import ATTEMPT_COLUMNS, Attempt, WriteOutcome

__all__ = ["WantedRequests"]

_PER_SECOND = 3
_ALIKE_MAX = 300
_ALL_MAX = 2000
_BAD_WRITES = (WriteOutcome.FAILED.value, WriteOutcome.UNKNOWN.value)
_LEDGER = "ledger.csv"
_Row = Sequence[str]


class WantedRequests:
    """Reads a scenario's record folder again and again."""

    def __init__(self, folder: Path, slow_ms: float) -> None:
        """Want requests that take longer than ``slow_ms`` as well, from their intended start."""
        self._folder = folder
        self._slow_ns = slow_ms * 1e6
        self._files: dict[Path, GrowingFile] = {}
        self._alike: Counter[tuple[str, ...]] = Counter()
        self._of_second: Counter[tuple[str, ...]] = Counter()
        self._all = 0

    def read(self) -> Iterator[str]:
        """Yield the ids of requests that are wanted, as far as they have ended since the last call.

        Raises:
            OSError: a file cannot be read.
        """
        for path in (*sorted(self._folder.glob("samples-*.csv")), self._folder / _LEDGER):
            columns, judge = (ATTEMPT_COLUMNS, _bad_write) if path.name == _LEDGER else (SAMPLE_COLUMNS, self._bad)
            for row in csv.reader(self._files.setdefault(path, GrowingFile(path)).lines()):
                if len(row) == len(columns) and row[0] != columns[0]:
                    yield from self._chosen(row, judge)

    def _chosen(self, row: _Row, judge: Callable[[_Row], tuple[str, str, tuple[str, ...]] | None]) -> Iterator[str]:
        found = judge(row)
        if found is None:
            return
        trace_id, second, kind = found
        is_enough = self._of_second[second, *kind] >= _PER_SECOND or self._alike[kind] >= _ALIKE_MAX
        if not trace_id or is_enough or self._all >= _ALL_MAX:
            return
        self._all += 1
        self._alike[kind] += 1
        self._of_second[second, *kind] += 1
        yield trace_id

    def _bad(self, row: _Row) -> tuple[str, str, tuple[str, ...]] | None:
        """Return a bad request's id, its second, and what it has in common with others; None for a good one."""
        one = Sample(*row)  # type: ignore[arg-type]  # texts, as they were read
        is_slow = one.outcome == Outcome.OK.value and int(one.done_ns) - int(one.intended_ns) > self._slow_ns
        if one.outcome == Outcome.OK.value and not is_slow:
            return None
        kind = (str(one.lane), one.name, str(one.outcome), str(one.status), one.error)
        return one.trace_id, str(one.sent_ns)[:-9], kind


def _bad_write(row: _Row) -> tuple[str, str, tuple[str, ...]] | None:
    one = Attempt(*row)  # type: ignore[arg-type]  # texts, as they were read
    if str(one.done_ns) == "0" or one.outcome not in _BAD_WRITES:
        return None
    return one.trace_id, str(one.sent_ns)[:-9], (_LEDGER, str(one.outcome), str(one.status), one.error)
