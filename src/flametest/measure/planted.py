"""Write errors planted in made-up ledgers: the self-test's proof that the judgement of writes finds each kind.

The ledgers are drawn from a seed; nothing is sent. Each holds acknowledged, failed and unknown writes, some repeated
under their key, and books that balance. Then one thing is spoilt in secret, as a database that lies would.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from flametest.measure.durability import judge_writes
from flametest.model.measures import Durability
from flametest.model.writes import Attempt, Audit, Book, StoredOrder, WriteOutcome

__all__ = ["PLANTED", "planted_outcomes"]

_PREFIX = "self-test-"
_WRITES = 60
_EVENTS = 3
_INITIAL = 500

_Spoil = Callable[[random.Random, tuple[Attempt, ...], Audit], Audit]


def planted_outcomes(seed: int) -> Iterator[tuple[bool, str]]:
    """Yield for each planted error, and for an honest ledger, whether it was judged right, and what was found."""
    for number, (name, (spoil, of)) in enumerate(PLANTED.items()):
        chance = random.Random(f"{seed} {number}")  # noqa: S311 (chance that can be repeated)
        attempts, honest = _ledger(chance)
        clean = judge_writes(attempts, honest, _PREFIX)
        found = judge_writes(attempts, spoil(chance, attempts, honest), _PREFIX)
        right = clean.anomalies == 0 and not clean.problem and of(found) > 0
        yield right, f"{name}: {of(found)} found of 1 planted, {clean.anomalies} of 0 before"


def _ledger(chance: random.Random) -> tuple[tuple[Attempt, ...], Audit]:
    attempts: list[Attempt] = []
    orders: list[StoredOrder] = []
    for number in range(_WRITES):
        key, event, quantity = f"{_PREFIX}{number}", chance.randrange(_EVENTS) + 1, chance.randint(1, 4)
        # The first is acknowledged for certain, so that there is something to lose.
        outcome = chance.choice(tuple(WriteOutcome)) if number else WriteOutcome.ACKNOWLEDGED
        kept = outcome is WriteOutcome.ACKNOWLEDGED or (outcome is WriteOutcome.UNKNOWN and chance.random() < 0.5)
        if kept:
            orders.append(StoredOrder(len(orders) + 1, key, event, quantity))
        told = orders[-1].order_id if outcome is WriteOutcome.ACKNOWLEDGED else 0
        tries = 2 if outcome is WriteOutcome.UNKNOWN and chance.random() < 0.5 else 1
        wanted = StoredOrder(told, key, event, quantity)
        attempts += [_attempt(wanted, one + 1, number, outcome) for one in range(tries)]
    return tuple(attempts), _audit(orders)


# No answer at all for a write of which nothing is known, and one of a server that turned it away for one that failed.
_STATUSES = {
    WriteOutcome.ACKNOWLEDGED: 201,
    WriteOutcome.REFUSED: 409,
    WriteOutcome.FAILED: 503,
    WriteOutcome.UNKNOWN: 0,
}


def _attempt(wanted: StoredOrder, number: int, second: int, outcome: WriteOutcome) -> Attempt:
    sent_ns = second * 1_000_000_000
    return Attempt(
        key=wanted.key,
        number=number,
        event_id=wanted.event_id,
        quantity=wanted.quantity,
        intended_ns=sent_ns,
        sent_ns=sent_ns,
        done_ns=sent_ns + 5_000_000,
        outcome=outcome,
        status=_STATUSES[outcome],
        order_id=wanted.order_id,
        error="timeout" if outcome is WriteOutcome.UNKNOWN else "",
    )


def _audit(orders: list[StoredOrder]) -> Audit:
    return Audit(
        orders=tuple(orders),
        orders_total=len(orders),
        books=tuple(_book(event + 1, orders) for event in range(_EVENTS)),
        books_before=tuple(_book(event + 1, []) for event in range(_EVENTS)),
        gone=(),
        problem="",
    )


def _book(event: int, orders: list[StoredOrder]) -> Book:
    sold = sum(order.quantity for order in orders if order.event_id == event)
    return Book(event, f"event {event}", _INITIAL, _INITIAL - sold, sold, sold)


def _delete(chance: random.Random, attempts: tuple[Attempt, ...], audit: Audit) -> Audit:
    acknowledged = {one.key for one in attempts if one.outcome is WriteOutcome.ACKNOWLEDGED}
    gone = chance.choice([order for order in audit.orders if order.key in acknowledged])
    return replace(audit, orders=tuple(order for order in audit.orders if order is not gone))


def _duplicate(chance: random.Random, attempts: tuple[Attempt, ...], audit: Audit) -> Audit:
    twice = chance.choice(audit.orders)
    return replace(audit, orders=(*audit.orders, replace(twice, order_id=len(audit.orders) + 1)))


def _resurrect(chance: random.Random, attempts: tuple[Attempt, ...], audit: Audit) -> Audit:
    failed = [one for one in attempts if one.outcome is WriteOutcome.FAILED]
    key = chance.choice(failed).key if failed else f"{_PREFIX}never-sent"
    return replace(audit, orders=(*audit.orders, StoredOrder(len(audit.orders) + 1, key, 1, 1)))


def _oversell(chance: random.Random, attempts: tuple[Attempt, ...], audit: Audit) -> Audit:
    one, *rest = audit.books
    sold = one.initial + chance.randint(1, 5)
    return replace(audit, books=(replace(one, sold=sold, counted=sold, left=one.initial - sold), *rest))


def _miscount(chance: random.Random, attempts: tuple[Attempt, ...], audit: Audit) -> Audit:
    one, *rest = audit.books
    return replace(audit, books=(replace(one, left=one.left - chance.randint(1, 5)), *rest))


PLANTED: dict[str, tuple[_Spoil, Callable[[Durability], int]]] = {
    "an acknowledged order deleted": (_delete, lambda found: found.lost.count),
    "an order kept twice": (_duplicate, lambda found: found.duplicated.count),
    "an order kept that had failed": (_resurrect, lambda found: found.phantom.count),
    "more sold than there was": (_oversell, lambda found: found.oversold.count),
    "a stock that does not add up": (_miscount, lambda found: found.unbalanced.count),
}
"""What is planted: how it is done, and where it has to be found."""
