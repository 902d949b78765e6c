"""Writes: what a ledger asked of the system under test, and what was found when it was read back.

The ledger's process writes `ATTEMPT_COLUMNS` as CSV while it runs, a row before each request is sent and another when
its outcome is known; the last row of an attempt counts. So a ledger that is killed leaves its open requests behind as
``unknown``, which they are.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

__all__ = ["ATTEMPT_COLUMNS", "Attempt", "Audit", "Book", "StoredOrder", "WriteOutcome"]


class WriteOutcome(StrEnum):
    """What a client knows of its write."""

    ACKNOWLEDGED = "acknowledged"  # the system said that it is kept
    REFUSED = "refused"  # certainly not done, for a reason that the system stated, such as "sold out"
    FAILED = "failed"  # certainly not done: it was never sent, or was turned away without such a reason
    UNKNOWN = "unknown"  # sent, and nothing certain came back


class Attempt(NamedTuple):
    """One request that orders. All stamps are `time.monotonic_ns`.

    Attributes:
        key: the order's Idempotency-Key; an order that is sent again keeps it.
        number: 1 for the first request of that key, 2 for its repeat.
        event_id: what is ordered.
        quantity: how many.
        intended_ns: when the schedule wanted it sent.
        sent_ns: when it was sent in fact.
        done_ns: when its outcome was known; 0 while it is open.
        outcome: what is known of it.
        status: HTTP status; 0 when there was no answer.
        order_id: the number under which the system says that it keeps the order; 0 when it named none.
        error: a short class such as ``refused`` (a connection), ``timeout`` or ``status``; the stated reason, such as
            ``sold_out``, where the outcome is refused; empty when acknowledged.
    """

    key: str
    number: int
    event_id: int
    quantity: int
    intended_ns: int
    sent_ns: int
    done_ns: int
    outcome: WriteOutcome
    status: int
    order_id: int
    error: str


ATTEMPT_COLUMNS: tuple[str, ...] = Attempt._fields


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order as it was read back."""

    order_id: int
    key: str
    event_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Book:
    """One event's tickets.

    Attributes:
        event_id: the event.
        name: its name.
        initial: tickets at the beginning.
        left: tickets left, as the stock says.
        sold: tickets sold, as the system's own sum says.
        counted: tickets sold, as the orders that were read back add up.
    """

    event_id: int
    name: str
    initial: int
    left: int
    sold: int
    counted: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What was read back of the system when it was quiet and whole again.

    Attributes:
        orders: the ledger's own orders, and others only where they came to share a key.
        orders_total: how many orders there are, of whomever.
        books: every event's book, all of one moment.
        books_before: the books when the ledger began, with nothing counted; empty where they could not be read.
        gone: orders of others, as ``key (order id)``, that were there when the ledger began and are no more.
        problem: why nothing could be read; empty when the rest is there.
    """

    orders: tuple[StoredOrder, ...]
    orders_total: int
    books: tuple[Book, ...]
    books_before: tuple[Book, ...]
    gone: tuple[str, ...]
    problem: str
