"""Reading a ledger of writes back from its CSV files, whole or cut off by a crash."""

import csv
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import TypeVar

from flametest.model.errors import FlametestError
from flametest.model.writes import ATTEMPT_COLUMNS, LOOK_COLUMNS, Attempt, Look, LookOutcome, WriteOutcome

__all__ = ["LedgerError", "read_attempts", "read_looks"]

Row = TypeVar("Row")


class LedgerError(FlametestError):
    """A ledger that cannot be read; the message names the line."""


def read_attempts(lines: Iterable[str]) -> tuple[Attempt, ...]:
    """Return the attempts of a ledger in the order in which they were begun, each as its last row has it.

    A last line that is not whole, since a crash cut it off or it is being written, is left out: the row before it says
    that the request is open.

    Raises:
        LedgerError: the header or another line cannot be read.
    """
    found = {(one.key, one.number): one for one in _rows(lines, ATTEMPT_COLUMNS, _attempt)}
    return tuple(found.values())


def read_looks(lines: Iterable[str]) -> tuple[Look, ...]:
    """Return the single reads of a ledger in the order in which they ended; raises as `read_attempts` does."""
    return tuple(_rows(lines, LOOK_COLUMNS, _look))


def _rows(lines: Iterable[str], columns: tuple[str, ...], convert: Callable[[list[str]], Row]) -> Iterator[Row]:
    # Nothing after a line that is not whole: of a file that grows, the rest of that line may come next.
    reader = csv.reader(takewhile(lambda line: line.endswith("\n"), lines))
    header = next(reader, None)
    if header is None:
        return
    # The id came last: ledgers without it are read all the same.
    lacks = columns[len(header) :]
    if (*header, *lacks) != columns or lacks not in ((), ("trace_id",)):
        raise LedgerError(
            f"ledger: expected the header {','.join(columns)}, found {','.join(header)[:120]!r}",
            "name a file that a ledger of this version wrote",
        )
    for row in reader:
        try:
            if len(row) != len(header):
                raise ValueError(f"expected {len(header)} fields, found {len(row)}")
            yield convert([*row, *("" for _ in lacks)])
        except ValueError as error:
            raise LedgerError(
                f"ledger, line {reader.line_num}: {error}", "delete that line, or record again"
            ) from error


def _attempt(row: list[str]) -> Attempt:
    key, number, contents, intended, sent, done, outcome, status, named, error, trace_id = row
    return Attempt(
        key=key,
        number=int(number),
        contents=contents,
        intended_ns=int(intended),
        sent_ns=int(sent),
        done_ns=int(done),
        outcome=WriteOutcome(outcome),
        status=int(status),
        id=named,
        error=error,
        trace_id=trace_id,
    )


def _look(row: list[str]) -> Look:
    key, sent, done, outcome, status, error, trace_id = row
    return Look(key, int(sent), int(done), LookOutcome(outcome), int(status), error, trace_id)
