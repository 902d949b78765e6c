"""Reading a ledger of writes back from its CSV, whole or cut off by a crash."""

import csv
from collections.abc import Iterable

from flametest.model.errors import FlametestError
from flametest.model.writes import ATTEMPT_COLUMNS, Attempt, WriteOutcome

__all__ = ["LedgerError", "read_attempts"]

_SOLD_OUT = 409


class LedgerError(FlametestError):
    """A ledger that cannot be read; the message names the line."""


def read_attempts(lines: Iterable[str]) -> tuple[Attempt, ...]:
    """Return the attempts of a ledger in the order in which they were begun, each as its last row has it.

    A last line that a crash cut off is left out: the row before it says that the request is open.

    Raises:
        LedgerError: the header or another line cannot be read.
    """
    found: dict[tuple[str, int], Attempt] = {}
    reader = csv.reader(line for line in lines if line.endswith("\n"))
    header = next(reader, None)
    if header is None:
        return ()
    if tuple(header) != ATTEMPT_COLUMNS:
        raise LedgerError(
            f"ledger: expected the header {','.join(ATTEMPT_COLUMNS)}, found {','.join(header)[:120]!r}",
            "name a file that the ledger wrote",
        )
    for row in reader:
        try:
            attempt = _attempt(row)
        except ValueError as error:
            raise LedgerError(
                f"ledger, line {reader.line_num}: {error}", "delete that line, or record again"
            ) from error
        found[attempt.key, attempt.number] = attempt
    return tuple(found.values())


def _attempt(row: list[str]) -> Attempt:
    if len(row) != len(ATTEMPT_COLUMNS):
        raise ValueError(f"expected {len(ATTEMPT_COLUMNS)} fields, found {len(row)}")
    key, number, event, quantity, intended, sent, done, outcome, status, order_id, error = row
    if (outcome, status, error) == ("failed", str(_SOLD_OUT), "status"):
        # As ledgers had it before a refusal for a stated reason was an outcome of its own.
        outcome, error = WriteOutcome.REFUSED.value, f"status {status}"
    return Attempt(
        key=key,
        number=int(number),
        event_id=int(event),
        quantity=int(quantity),
        intended_ns=int(intended),
        sent_ns=int(sent),
        done_ns=int(done),
        outcome=WriteOutcome(outcome),
        status=int(status),
        order_id=int(order_id),
        error=error,
    )
