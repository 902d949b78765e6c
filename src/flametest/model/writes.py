"""Writes: what a ledger asked of the system under test, and what was found when it was read back.

The ledger's process writes `ATTEMPT_COLUMNS` as CSV while it runs, a row before each request is sent and another when
its outcome is known; the last row of an attempt counts. So a ledger that is killed leaves its open requests behind as
``unknown``, which they are. What it read back meanwhile stands in a second file, with `LOOK_COLUMNS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from flametest.model.laws import Law

__all__ = [
    "ATTEMPT_COLUMNS",
    "LOOK_COLUMNS",
    "Attempt",
    "Audit",
    "Count",
    "Look",
    "LookOutcome",
    "ReadScope",
    "StoredWrite",
    "WriteOutcome",
]


class WriteOutcome(StrEnum):
    """What a client knows of its write."""

    ACKNOWLEDGED = "acknowledged"  # the system said that it is kept
    REFUSED = "refused"  # certainly not done, for a reason that the system stated, such as "sold out"
    FAILED = "failed"  # certainly not done: it was never sent, or was turned away without such a reason
    UNKNOWN = "unknown"  # sent, and nothing certain came back


class Attempt(NamedTuple):
    """One request that writes. All stamps are `time.monotonic_ns`.

    Attributes:
        key: what the ledger names the write by; one that is sent again keeps it.
        number: 1 for the first request of that key, 2 for its repeat.
        contents: what is written, as far as the ledger knows it by name: a JSON object.
        intended_ns: when the schedule wanted it sent.
        sent_ns: when it was sent in fact.
        done_ns: when its outcome was known; 0 while it is open.
        outcome: what is known of it.
        status: HTTP status; 0 when there was no answer, and for SQL.
        id: what the system says that it keeps the write under; empty when it named nothing.
        error: a short class such as ``refused`` (a connection), ``timeout`` or ``status``; the stated reason, such as
            ``sold_out``, where the outcome is refused; empty when acknowledged.
        trace_id: the id that the request carried, see `flametest.model.requestids`; empty for none, and for SQL.
    """

    key: str
    number: int
    contents: str
    intended_ns: int
    sent_ns: int
    done_ns: int
    outcome: WriteOutcome
    status: int
    id: str
    error: str
    trace_id: str = ""


ATTEMPT_COLUMNS: tuple[str, ...] = Attempt._fields


class LookOutcome(StrEnum):
    """What a read of one write has shown."""

    FOUND = "found"
    MISSING = "missing"
    UNKNOWN = "unknown"  # no answer, or one that says neither


class Look(NamedTuple):
    """One read of one acknowledged write while the ledger runs; stamps as in `Attempt`.

    Attributes:
        key: of the write that was looked for.
        sent_ns: when it was sent; the write had been acknowledged by then.
        done_ns: when its outcome was known.
        outcome: what it has shown.
        status: HTTP status; 0 when there was no answer, and for SQL.
        error: a short class of what went wrong; empty otherwise.
        trace_id: as in `Attempt`.
    """

    key: str
    sent_ns: int
    done_ns: int
    outcome: LookOutcome
    status: int
    error: str
    trace_id: str = ""


LOOK_COLUMNS: tuple[str, ...] = Look._fields


@dataclass(frozen=True, slots=True)
class StoredWrite:
    """A write as it was read back.

    Attributes:
        id: what the system keeps it under; empty where that is not read.
        key: the ledger's key; empty where the system keeps none, and the write is known by its id.
        contents: those of its fields that are compared.
    """

    id: str
    key: str
    contents: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Count:
    """What a system counts of its writes, such as one event's tickets.

    Attributes:
        name: its name.
        values: its figures by name, those that the ledger adds from what it read back included.
        joined: the name of the field of a write by which writes belong to it, and its value; empty for all writes.
        sum: the field of a write that adds up; empty where each counts as one.
    """

    name: str
    values: Mapping[str, float]
    joined: Mapping[str, object] = field(default_factory=dict)
    sum: str = ""


class ReadScope(StrEnum):
    """Which writes were read back."""

    LIST = "list"  # all that the system keeps
    SINGLE = "single"  # those of the ledger, one by one: what nobody asked for is not seen
    NONE = "none"  # only what the system counts


@dataclass(frozen=True, slots=True)
class Audit:
    """What was read back of the system when it was quiet and whole again.

    Attributes:
        writes: the ledger's own writes, and others only where they came to share a key.
        writes_total: how many writes there are, of whomever.
        scope: which writes were read.
        counts: what the system counts, all of one moment.
        counts_before: the same when the ledger began; empty where they could not be read.
        laws: what has to hold for each count.
        gone: writes of others, in words, that were there when the ledger began and are no more.
        problem: why nothing could be read; empty when the rest is there.
    """

    writes: tuple[StoredWrite, ...]
    writes_total: int
    scope: ReadScope
    counts: tuple[Count, ...]
    counts_before: tuple[Count, ...]
    laws: tuple[Law, ...]
    gone: tuple[str, ...]
    problem: str
