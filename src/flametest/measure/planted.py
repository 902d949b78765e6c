"""Write errors planted in made-up ledgers: the self-test's proof that the judgement of writes finds each kind.

The ledgers are drawn from a seed; nothing is sent. Each holds acknowledged, failed and unknown writes, some repeated
under their key, and books that balance. Then one thing is spoilt in secret, as a database that lies would.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from flametest.measure.durability import WriteRecord, judge_writes
from flametest.model.laws import Law
from flametest.model.measures import Durability
from flametest.model.writes import (
    Attempt,
    Audit,
    Count,
    Look,
    LookOutcome,
    ReadScope,
    StoredWrite,
    WriteOutcome,
)

__all__ = ["PLANTED", "planted_outcomes"]

_PREFIX = "self-test-"
_WRITES = 60
_EVENTS = 3
_INITIAL = 500

_OVERSOLD = Law("oversold", "sold <= initial and left >= 0")
_UNBALANCED = Law("off the books", "initial == left + sold and sold == written")

_Spoil = Callable[[random.Random, WriteRecord, Audit], WriteRecord]


def planted_outcomes(seed: int) -> Iterator[tuple[bool, str]]:
    """Yield for each planted error, and for an honest ledger, whether it was judged right, and what was found."""
    for number, (name, (spoil, of)) in enumerate(PLANTED.items()):
        chance = random.Random(f"{seed} {number}")  # noqa: S311 (chance that can be repeated)
        record, audit = _ledger(chance)
        clean = judge_writes(record, _PREFIX)
        found = judge_writes(spoil(chance, record, audit), _PREFIX)
        right = clean.anomalies == 0 and not clean.problem and of(found) > 0
        yield right, f"{name}: {of(found)} found of 1 planted, {clean.anomalies} of 0 before"


def _ledger(chance: random.Random) -> tuple[WriteRecord, Audit]:
    attempts: list[Attempt] = []
    kept: list[StoredWrite] = []
    for number in range(_WRITES):
        key = f"{_PREFIX}{number}"
        contents = {"event": chance.randrange(_EVENTS) + 1, "quantity": chance.randint(1, 4)}
        # The first is acknowledged for certain, so that there is something to lose.
        outcome = chance.choice(tuple(WriteOutcome)) if number else WriteOutcome.ACKNOWLEDGED
        if outcome is WriteOutcome.ACKNOWLEDGED or (outcome is WriteOutcome.UNKNOWN and chance.random() < 0.5):
            kept.append(StoredWrite(str(len(kept) + 1), key, contents))
        named = kept[-1].id if outcome is WriteOutcome.ACKNOWLEDGED else ""
        tries = 2 if outcome is WriteOutcome.UNKNOWN and chance.random() < 0.5 else 1
        wanted = StoredWrite(named, key, contents)
        attempts += [_attempt(wanted, one + 1, number, outcome) for one in range(tries)]
    audit = _audit(kept)
    return WriteRecord(tuple(attempts), audit, tuple(_looks(attempts))), audit


# No answer at all for a write of which nothing is known, and one of a server that turned it away for one that failed.
_STATUSES = {
    WriteOutcome.ACKNOWLEDGED: 201,
    WriteOutcome.REFUSED: 409,
    WriteOutcome.FAILED: 503,
    WriteOutcome.UNKNOWN: 0,
}


def _attempt(wanted: StoredWrite, number: int, second: int, outcome: WriteOutcome) -> Attempt:
    sent_ns = second * 1_000_000_000
    return Attempt(
        key=wanted.key,
        number=number,
        contents=json.dumps(wanted.contents),
        intended_ns=sent_ns,
        sent_ns=sent_ns,
        done_ns=sent_ns + 5_000_000,
        outcome=outcome,
        status=_STATUSES[outcome],
        id=wanted.id,
        error="timeout" if outcome is WriteOutcome.UNKNOWN else "",
    )


def _looks(attempts: list[Attempt]) -> Iterator[Look]:
    for one in attempts:
        if one.outcome is WriteOutcome.ACKNOWLEDGED:
            yield Look(one.key, one.done_ns, one.done_ns + 2_000_000, LookOutcome.FOUND, 200, "")


def _audit(kept: list[StoredWrite]) -> Audit:
    return Audit(
        writes=tuple(kept),
        writes_total=len(kept),
        scope=ReadScope.LIST,
        counts=tuple(_count(event + 1, kept) for event in range(_EVENTS)),
        counts_before=tuple(_count(event + 1, []) for event in range(_EVENTS)),
        laws=(_OVERSOLD, _UNBALANCED),
        gone=(),
        problem="",
    )


def _count(event: int, kept: list[StoredWrite]) -> Count:
    quantities = [one.contents["quantity"] for one in kept if one.contents["event"] == event]
    sold = float(sum(one for one in quantities if isinstance(one, int)))
    values = {"initial": float(_INITIAL), "left": _INITIAL - sold, "sold": sold, "written": sold}
    return Count(f"event {event}", values, {"event": event}, "quantity")


def _delete(chance: random.Random, record: WriteRecord, audit: Audit) -> WriteRecord:
    acknowledged = {one.key for one in record.attempts if one.outcome is WriteOutcome.ACKNOWLEDGED}
    gone = chance.choice([write for write in audit.writes if write.key in acknowledged])
    return replace(record, audit=replace(audit, writes=tuple(one for one in audit.writes if one is not gone)))


def _duplicate(chance: random.Random, record: WriteRecord, audit: Audit) -> WriteRecord:
    twice = chance.choice(audit.writes)
    return replace(record, audit=replace(audit, writes=(*audit.writes, replace(twice, id=str(len(audit.writes) + 1)))))


def _resurrect(chance: random.Random, record: WriteRecord, audit: Audit) -> WriteRecord:
    failed = [one for one in record.attempts if one.outcome is WriteOutcome.FAILED]
    key = chance.choice(failed).key if failed else f"{_PREFIX}never-sent"
    return replace(record, audit=replace(audit, writes=(*audit.writes, StoredWrite(str(len(audit.writes) + 1), key))))


def _overlook(chance: random.Random, record: WriteRecord, audit: Audit) -> WriteRecord:
    stale = chance.choice(record.looks)
    looks = tuple(
        one._replace(outcome=LookOutcome.MISSING, status=404) if one is stale else one for one in record.looks
    )
    return replace(record, looks=looks)


def _oversell(chance: random.Random, record: WriteRecord, audit: Audit) -> WriteRecord:
    one, *rest = audit.counts
    sold = float(_INITIAL + chance.randint(1, 5))
    values = {**one.values, "sold": sold, "left": _INITIAL - sold, "written": sold}
    return replace(record, audit=replace(audit, counts=(replace(one, values=values), *rest)))


def _miscount(chance: random.Random, record: WriteRecord, audit: Audit) -> WriteRecord:
    one, *rest = audit.counts
    values = {**one.values, "left": one.values["left"] - chance.randint(1, 5)}
    return replace(record, audit=replace(audit, counts=(replace(one, values=values), *rest)))


def _law(name: str) -> Callable[[Durability], int]:
    return lambda found: sum(law.offences.count for law in found.laws if law.name == name)


PLANTED: dict[str, tuple[_Spoil, Callable[[Durability], int]]] = {
    "an acknowledged write deleted": (_delete, lambda found: found.lost.count),
    "a write kept twice": (_duplicate, lambda found: found.duplicated.count),
    "a write kept that had failed": (_resurrect, lambda found: found.phantom.count),
    "an acknowledged write missing from a read": (_overlook, lambda found: found.stale.count),
    "more sold than there was": (_oversell, _law(_OVERSOLD.name)),
    "a stock that does not add up": (_miscount, _law(_UNBALANCED.name)),
}
"""What is planted: how it is done, and where it has to be found."""
