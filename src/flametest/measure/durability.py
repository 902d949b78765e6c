"""Durability: whether what was acknowledged was kept, once, and nothing else (after Jepsen's set and counter checks).

Every write has a key of its own and one of four outcomes: acknowledged (A), refused for a stated reason, failed,
unknown (U). What is read back (R) when the system is quiet and whole again has to hold all of A, may hold any of U, and
nothing else of the ledger's own: lost = A∖R, phantom = R∖(A∪U). A key with two orders is a duplicate; an event of which
more was sold than there was is oversold; books balance when initial = left + sold, and when sold is what the orders add
up to. What was wrong already when the ledger began is not counted again: each scenario answers for itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from flametest.measure.figures import Figure
from flametest.model.events import LedgerEnded, LedgerOmitted, LedgerStarted
from flametest.model.history import History
from flametest.model.measures import Durability, Offences
from flametest.model.samples import OWN_ERROR
from flametest.model.verdict import Bound, Limit
from flametest.model.writes import Attempt, Audit, Book, StoredOrder, WriteOutcome

__all__ = [
    "OFFENCES_SHOWN_MAX",
    "WRITES_CRITERION",
    "WRITES_LIMIT",
    "WriteRecord",
    "combined",
    "durability",
    "judge_writes",
    "omitted_reason",
    "write_figure",
    "write_words",
]

OFFENCES_SHOWN_MAX = 50

WRITES_CRITERION = ("write_anomalies", "Writes lost or duplicated", "count")
"""Name, title and unit; phantom and oversold writes and unbalanced books count as well."""

WRITES_LIMIT = Limit("write_anomalies", Bound.AT_MOST, 0.0, "the promise that an acknowledged order is kept, once")
"""Gates every scenario that wrote, unless another limit is set."""

_NONE = Offences(0, ())
_NOT_DONE = (WriteOutcome.REFUSED, WriteOutcome.FAILED)


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """What was recorded of a scenario's writes; ``audit`` is None when nothing was read back."""

    attempts: tuple[Attempt, ...] = ()
    audit: Audit | None = None


def durability(history: History, record: WriteRecord) -> Durability | None:
    """Return what became of a scenario's writes; None when no ledger was kept and nobody asked for one."""
    started = history.of(LedgerStarted)
    if not started:
        asked = [event.reason for event in history.of(LedgerOmitted) if event.asked_for]
        return _unjudged((), f"no ledger was kept: {asked[-1]}") if asked else None
    judged = judge_writes(record.attempts, record.audit, started[-1].prefix)
    broken = [event.reason for event in history.of(LedgerEnded) if event.reason != "stopped"]
    if broken and not judged.problem:
        return replace(judged, problem=f"the ledger ended early: {broken[-1]}")
    own = Counter(attempt.error for attempt in record.attempts if attempt.error.startswith(OWN_ERROR))
    if own and not judged.problem:
        name = own.most_common(1)[0][0].removeprefix(OWN_ERROR).strip()
        told = f"{own.total():,} of its orders never left, since the machine that sends was at its own limits ({name})"
        return replace(judged, problem=told)
    return judged


def omitted_reason(history: History) -> str:
    """Return why no ledger was kept; empty when one was, or when nothing tells."""
    omitted = history.of(LedgerOmitted)
    return omitted[-1].reason if omitted and not history.of(LedgerStarted) else ""


def judge_writes(attempts: Iterable[Attempt], audit: Audit | None, prefix: str) -> Durability:
    """Judge the writes of one ledger by what was read back.

    Args:
        attempts: its requests.
        audit: what was read back; None when nothing was.
        prefix: what its keys begin with; orders of others are judged only where they share a key.
    """
    asked = tuple(attempts)
    if audit is None or audit.problem:
        return _unjudged(asked, audit.problem if audit is not None else "nothing was read back")
    by_key = _by_key(asked)
    kept: defaultdict[str, list[StoredOrder]] = defaultdict(list)
    for order in audit.orders:
        kept[order.key].append(order)
    lost = [text for key, tries in by_key.items() if (text := _loss(key, tries, kept.get(key, [])))]
    phantoms = [
        text
        for key, orders in kept.items()
        if key.startswith(prefix) and (text := _phantom(key, by_key.get(key, ()), orders))
    ]
    duplicates = [f"{key} ({_numbers(orders)})" for key, orders in kept.items() if len(orders) > 1]
    before = {book.event_id: book for book in audit.books_before}
    found = replace(
        _tally(asked, by_key),
        kept=sum(key in kept and _outcome(tries) not in _NOT_DONE for key, tries in by_key.items()),
        lost=_offences([*lost, *(f"{one}, there when the ledger began" for one in audit.gone)]),
        phantom=_offences(phantoms),
        duplicated=_offences(duplicates),
        oversold=_offences(text for book in audit.books if (text := _oversold(book, before.get(book.event_id)))),
        unbalanced=_offences(text for book in audit.books if (text := _unbalanced(book, before.get(book.event_id)))),
    )
    if found.acknowledged == 0 and found.anomalies == 0:
        return replace(found, problem="no order was acknowledged, so none could be lost")
    return found


def combined(judged: Sequence[Durability]) -> Durability | None:
    """Return the writes of several repeats together; None without one. A repeat that cannot be judged spoils all."""
    if not judged:
        return None
    problems = [f"repeat {number}: {one.problem}" for number, one in enumerate(judged, start=1) if one.problem]
    return Durability(
        attempts=sum(one.attempts for one in judged),
        repeated=sum(one.repeated for one in judged),
        acknowledged=sum(one.acknowledged for one in judged),
        failed=sum(one.failed for one in judged),
        unknown=sum(one.unknown for one in judged),
        kept=sum(one.kept for one in judged),
        lost=_together(one.lost for one in judged),
        phantom=_together(one.phantom for one in judged),
        duplicated=_together(one.duplicated for one in judged),
        oversold=_together(one.oversold for one in judged),
        unbalanced=_together(one.unbalanced for one in judged),
        problem=problems[0] if problems else "",
        refused=sum(one.refused for one in judged),
        refused_for=next((one.refused_for for one in judged if one.refused_for), ""),
    )


def write_figure(durability: Durability) -> Figure:
    """Return the number of anomalies; none where the writes cannot be judged and nothing wrong was seen."""
    if durability.problem and durability.anomalies == 0:
        return Figure(None, note=durability.problem)
    return Figure(float(durability.anomalies), note=write_words(durability))


def write_words(durability: Durability) -> str:
    """Return the outcome in plain words, such as "0 of 612 acknowledged orders were lost"."""
    one = durability
    rest = [
        f"{offences.count:,} {word}"
        for offences, word in (
            (one.duplicated, "kept twice"),
            (one.phantom, "never asked for"),
            (one.oversold, "events oversold" if one.oversold.count != 1 else "event oversold"),
            (
                one.unbalanced,
                "books that do not balance" if one.unbalanced.count != 1 else "book that does not balance",
            ),
        )
        if offences.count
    ]
    verb = "was" if one.lost.count == 1 else "were"
    return ", ".join([f"{one.lost.count:,} of {one.acknowledged:,} acknowledged orders {verb} lost", *rest])


def _by_key(attempts: Iterable[Attempt]) -> Mapping[str, tuple[Attempt, ...]]:
    found: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        found[attempt.key].append(attempt)
    return {key: tuple(tries) for key, tries in found.items()}


def _outcome(tries: Iterable[Attempt]) -> WriteOutcome:
    """Return what is known of a write after all its attempts: one acknowledgement is enough, one doubt remains.

    One that was refused once was answered, also where another attempt never got there.
    """
    outcomes = {attempt.outcome for attempt in tries}
    for outcome in (WriteOutcome.ACKNOWLEDGED, WriteOutcome.UNKNOWN, WriteOutcome.REFUSED):
        if outcome in outcomes:
            return outcome
    return WriteOutcome.FAILED


def _loss(key: str, tries: tuple[Attempt, ...], orders: list[StoredOrder]) -> str:
    """Return what was lost of a write; empty when nothing was. The number that was told has to be there too."""
    if _outcome(tries) is not WriteOutcome.ACKNOWLEDGED:
        return ""
    told = {attempt.order_id for attempt in tries if attempt.outcome is WriteOutcome.ACKNOWLEDGED} - {0}
    missing = told - {order.order_id for order in orders}
    if orders and not missing:
        return ""
    numbers = ", ".join(f"order {number}" for number in sorted(missing)) or "no order number was told"
    instead = f"; there is {_numbers(orders)} instead" if orders else ""
    return f"{key} ({numbers}{instead})"


def _phantom(key: str, tries: tuple[Attempt, ...], orders: list[StoredOrder]) -> str:
    """Return what is kept of a write that nobody made like that; empty when all is as it was asked for."""
    if not tries:
        return f"{key} ({_numbers(orders)}, never sent)"
    if _outcome(tries) in _NOT_DONE:
        return f"{key} ({_numbers(orders)}, {_refusal(tries)})"
    wanted = (tries[0].event_id, tries[0].quantity)
    changed = [order for order in orders if (order.event_id, order.quantity) != wanted]
    if not changed:
        return ""
    kept = f"{changed[0].quantity} of event {changed[0].event_id}"
    return f"{key} ({_numbers(changed)}, kept as {kept}, asked for as {wanted[1]} of event {wanted[0]})"


def _refusal(tries: tuple[Attempt, ...]) -> str:
    statuses = sorted({attempt.status for attempt in tries} - {0})
    return f"refused with {', '.join(map(str, statuses))}" if statuses else "never sent"


def _numbers(orders: Iterable[StoredOrder]) -> str:
    return ", ".join(f"order {order.order_id}" for order in orders)


def _oversold(book: Book, before: Book | None) -> str:
    """Return by how much an event is oversold; empty when it is not, or not more so than before."""
    if _excess(book) <= (_excess(before) if before is not None else 0):
        return ""
    sold = max(book.sold, book.counted)
    return f"event {book.event_id} ({book.name}): sold {sold} of {book.initial}, {book.left} left"


def _excess(book: Book) -> int:
    """Return how many tickets were sold that there were not, as either the orders or the stock show it."""
    return max(0, book.sold - book.initial, book.counted - book.initial, -book.left)


def _unbalanced(book: Book, before: Book | None) -> str:
    """Return how an event's book does not balance; empty when it does, or is off by as much as before."""
    astray = before.initial - before.left - before.sold if before is not None else 0
    if book.initial - book.left - book.sold == astray and book.sold == book.counted:
        return ""
    earlier = f", {astray} astray before" if astray else ""
    return (
        f"event {book.event_id} ({book.name}): {book.initial} at first, {book.left} left, {book.sold} sold, "
        f"{book.counted} in the orders{earlier}"
    )


def _offences(texts: Iterable[str]) -> Offences:
    found = list(texts)
    return Offences(len(found), tuple(found[:OFFENCES_SHOWN_MAX]))


def _together(offences: Iterable[Offences]) -> Offences:
    several = list(offences)
    first = [text for one in several for text in one.first]
    return Offences(sum(one.count for one in several), tuple(first[:OFFENCES_SHOWN_MAX]))


def _tally(attempts: tuple[Attempt, ...], by_key: Mapping[str, tuple[Attempt, ...]]) -> Durability:
    """Return the counts of what was asked, without a judgement."""
    outcomes = [_outcome(tries) for tries in by_key.values()]
    reasons = Counter(attempt.error for attempt in attempts if attempt.outcome is WriteOutcome.REFUSED)
    return Durability(
        attempts=len(attempts),
        repeated=sum(len(tries) > 1 for tries in by_key.values()),
        acknowledged=outcomes.count(WriteOutcome.ACKNOWLEDGED),
        failed=outcomes.count(WriteOutcome.FAILED),
        unknown=outcomes.count(WriteOutcome.UNKNOWN),
        kept=0,
        lost=_NONE,
        phantom=_NONE,
        duplicated=_NONE,
        oversold=_NONE,
        unbalanced=_NONE,
        problem="",
        refused=outcomes.count(WriteOutcome.REFUSED),
        refused_for=reasons.most_common(1)[0][0] if reasons else "",
    )


def _unjudged(attempts: tuple[Attempt, ...], problem: str) -> Durability:
    return replace(_tally(attempts, _by_key(attempts)), problem=problem)
