"""Durability: whether what was acknowledged was kept, once, and nothing else (after Jepsen's set and counter checks).

Every write has a key of its own and one of four outcomes: acknowledged (A), refused for a stated reason, failed,
unknown (U). What is read back (R) when the system is quiet and whole again has to hold all of A, may hold any of U, and
nothing else of the ledger's own: lost = A∖R, phantom = R∖(A∪U). A key with two writes is a duplicate; a read that was
sent after an acknowledgement and did not see the write is stale; and the system's own laws have to hold, such as that
no more was sold than there was. What was wrong already when the ledger began is not counted again: each scenario
answers for itself.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from flametest.measure.books import broken_laws
from flametest.measure.figures import Figure
from flametest.model.events import FaultInjected, LedgerEnded, LedgerOmitted, LedgerStarted
from flametest.model.history import History
from flametest.model.measures import BrokenLaw, Durability, Offences, RecoveryPoint
from flametest.model.samples import OWN_ERROR
from flametest.model.verdict import Bound, Limit
from flametest.model.writes import Attempt, Audit, Look, LookOutcome, ReadScope, StoredWrite, WriteOutcome

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
"""Name, title and unit; phantom writes, stale reads and broken laws count as well."""

WRITES_LIMIT = Limit("write_anomalies", Bound.AT_MOST, 0.0, "the promise that an acknowledged write is kept, once")
"""Gates every scenario that wrote, unless another limit is set."""

_NONE = Offences(0, ())
_NOT_DONE = (WriteOutcome.REFUSED, WriteOutcome.FAILED)


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """What was recorded of a scenario's writes; ``audit`` is None when nothing was read back."""

    attempts: tuple[Attempt, ...] = ()
    audit: Audit | None = None
    looks: tuple[Look, ...] = ()


def durability(history: History, record: WriteRecord) -> Durability | None:
    """Return what became of a scenario's writes; None when no ledger was kept and nobody asked for one."""
    started = history.of(LedgerStarted)
    if not started:
        asked = [event.reason for event in history.of(LedgerOmitted) if event.asked_for]
        return _unjudged(WriteRecord(), f"no ledger was kept: {asked[-1]}") if asked else None
    injected = [event.acknowledged_ns for event in history.of(FaultInjected)]
    judged = judge_writes(record, started[-1].prefix, min(injected, default=None))
    judged = replace(judged, name=started[-1].name)
    broken = [event.reason for event in history.of(LedgerEnded) if event.reason != "stopped"]
    if broken and not judged.problem:
        return replace(judged, problem=f"the ledger ended early: {broken[-1]}")
    own = Counter(attempt.error for attempt in record.attempts if attempt.error.startswith(OWN_ERROR))
    if own and not judged.problem:
        name = own.most_common(1)[0][0].removeprefix(OWN_ERROR).strip()
        told = f"{own.total():,} of its writes never left, since the machine that sends was at its own limits ({name})"
        return replace(judged, problem=told)
    return judged


def omitted_reason(history: History) -> str:
    """Return why no ledger was kept; empty when one was, or when nothing tells."""
    omitted = history.of(LedgerOmitted)
    return omitted[-1].reason if omitted and not history.of(LedgerStarted) else ""


def judge_writes(record: WriteRecord, prefix: str, fault_ns: int | None = None) -> Durability:
    """Judge the writes of one ledger by what was read back.

    Args:
        record: its requests, what was read back, and its single reads.
        prefix: what its keys begin with; writes of others are judged only where they share a key.
        fault_ns: when the first fault was injected; None without one. Times are given from there.
    """
    asked, audit = record.attempts, record.audit
    if audit is None or audit.problem:
        return _unjudged(record, audit.problem if audit is not None else "nothing was read back")
    by_key = _by_key(asked)
    zero_ns = fault_ns if fault_ns is not None else min((one.intended_ns for one in asked), default=0)
    clock = _Clock(zero_ns, "the fault" if fault_ns is not None else "the ledger's start")
    kept: defaultdict[str, list[StoredWrite]] = defaultdict(list)
    for write in audit.writes:
        kept[write.key].append(write)
    lost = {}
    if audit.scope is not ReadScope.NONE:
        lost = {key: text for key, tries in by_key.items() if (text := _loss(key, tries, kept.get(key, []), clock))}
    found = replace(
        _tally(record, by_key),
        kept=sum(key in kept and _outcome(tries) not in _NOT_DONE for key, tries in by_key.items()),
        lost=_offences([*lost.values(), *(f"{one}, there when the ledger began" for one in audit.gone)]),
        phantom=_offences(_phantoms(by_key, kept, prefix)),
        duplicated=_offences(f"{key} ({_ids(writes)})" for key, writes in kept.items() if len(writes) > 1),
        stale=_offences(_stale(record.looks, by_key, set(lost), clock)),
        laws=tuple(BrokenLaw(name, _offences(texts)) for name, texts in broken_laws(audit, _outcomes(by_key)).items()),
        recovery_point=_recovery_point([by_key[key] for key in lost], fault_ns),
        gone=len(audit.gone),
    )
    if found.acknowledged == 0 and found.anomalies == 0:
        return replace(found, problem="no write was acknowledged, so none could be lost")
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
        stale=_together(one.stale for one in judged),
        laws=_laws_together([one.laws for one in judged]),
        problem=problems[0] if problems else "",
        refused=sum(one.refused for one in judged),
        refused_for=next((one.refused_for for one in judged if one.refused_for), ""),
        name=judged[0].name,
        looks=sum(one.looks for one in judged),
        recovery_point=max(
            (one.recovery_point for one in judged if one.recovery_point is not None),
            key=lambda one: one.seconds,
            default=None,
        ),
        gone=sum(one.gone for one in judged),
    )


def write_figure(durability: Durability) -> Figure:
    """Return the number of anomalies; none where the writes cannot be judged and nothing wrong was seen."""
    if durability.problem and durability.anomalies == 0:
        return Figure(None, note=durability.problem)
    return Figure(float(durability.anomalies), note=write_words(durability))


def write_words(durability: Durability) -> str:
    """Return the outcome in plain words, such as "0 of 612 acknowledged orders were lost"."""
    one = durability
    words = {"duplicated": "kept twice", "phantom": "kept that were never sent", "stale": "missing from a later read"}
    rest = [
        f"{rule.offences.count:,} {words.get(rule.name, rule.name)}"
        for rule in (*one.rules()[1:],)
        if rule.offences.count
    ]
    own = one.lost.count - one.gone
    lost = f"{own:,} of {one.acknowledged:,} acknowledged {one.name} {'was' if own == 1 else 'were'} lost"
    if one.recovery_point is not None:
        lost += f" (recovery point {one.recovery_point.seconds:.2f} s before the fault)"
    gone = [f"{one.gone:,} that {'was' if one.gone == 1 else 'were'} there before the scenario"] if one.gone else []
    return ", ".join([lost, *gone, *rest])


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


@dataclass(frozen=True, slots=True)
class _Clock:
    """The moment that times are given from, and what happened then."""

    zero_ns: int
    event: str

    def words(self, at_ns: int) -> str:
        seconds = (at_ns - self.zero_ns) / 1e9
        return f"{abs(seconds):.2f} s {'before' if seconds < 0 else 'after'} {self.event}"


def _outcomes(by_key: Mapping[str, tuple[Attempt, ...]]) -> list[tuple[WriteOutcome, Mapping[str, object]]]:
    """Return the outcome and the contents of each write."""
    return [(_outcome(tries), _contents(tries)) for tries in by_key.values()]


def _contents(tries: Sequence[Attempt]) -> Mapping[str, object]:
    contents: Mapping[str, object] = json.loads(tries[0].contents or "{}")
    return contents


def _acknowledged_ns(tries: Iterable[Attempt]) -> int:
    return min(one.done_ns for one in tries if one.outcome is WriteOutcome.ACKNOWLEDGED)


def _loss(key: str, tries: tuple[Attempt, ...], writes: list[StoredWrite], clock: _Clock) -> str:
    """Return what was lost of a write; empty when nothing was. The id that was returned has to be there too."""
    if _outcome(tries) is not WriteOutcome.ACKNOWLEDGED:
        return ""
    told = {attempt.id for attempt in tries if attempt.outcome is WriteOutcome.ACKNOWLEDGED} - {""}
    ids = {write.id for write in writes} - {""}
    missing = told - ids if ids or not writes else set()
    if writes and not missing:
        return ""
    named = ", ".join(f"id {one}" for one in sorted(missing))
    instead = f"there is {_ids(writes)} instead" if writes else ""
    when = f"acknowledged {clock.words(_acknowledged_ns(tries))}"
    return f"{key} ({', '.join(part for part in (named, when, instead) if part)})"


def _phantoms(
    by_key: Mapping[str, tuple[Attempt, ...]], kept: Mapping[str, list[StoredWrite]], prefix: str
) -> Iterable[str]:
    for key, writes in kept.items():
        if key.startswith(prefix) and (text := _phantom(key, by_key.get(key, ()), writes)):
            yield text


def _phantom(key: str, tries: tuple[Attempt, ...], writes: list[StoredWrite]) -> str:
    """Return what is kept of a write that nobody made like that; empty when all is as it was written."""
    if not tries:
        return f"{key} ({_ids(writes)}, never sent)"
    if _outcome(tries) in _NOT_DONE:
        return f"{key} ({_ids(writes)}, {_refusal(tries)})"
    wanted = _contents(tries)
    for write in writes:
        changed = [name for name, value in write.contents.items() if value != wanted.get(name)]
        if changed:
            differences = ", ".join(f"{one} {write.contents[one]!r} instead of {wanted.get(one)!r}" for one in changed)
            return f"{key} ({_ids([write])}, kept with {differences})"
    return ""


def _refusal(tries: tuple[Attempt, ...]) -> str:
    statuses = sorted({attempt.status for attempt in tries} - {0})
    if statuses:
        return f"refused with {', '.join(map(str, statuses))}"
    refused = [one.error for one in tries if one.outcome is WriteOutcome.REFUSED]
    return f"refused: {refused[0]}" if refused else "never sent"


def _ids(writes: Iterable[StoredWrite]) -> str:
    return ", ".join(f"id {write.id}" if write.id else "kept" for write in writes)


def _stale(
    looks: Iterable[Look], by_key: Mapping[str, tuple[Attempt, ...]], lost: Set[str], clock: _Clock
) -> Iterable[str]:
    """Yield the acknowledged writes that a later read did not see; one that is lost is no stale read beside that."""
    seen: set[str] = set()
    for look in looks:
        tries = by_key.get(look.key, ())
        if look.outcome is not LookOutcome.MISSING or _outcome(tries) is not WriteOutcome.ACKNOWLEDGED:
            continue
        acknowledged_ns = _acknowledged_ns(tries)
        if look.sent_ns < acknowledged_ns or look.key in lost or look.key in seen:
            continue
        seen.add(look.key)
        waited_ms = (look.sent_ns - acknowledged_ns) / 1e6
        yield f"{look.key} (acknowledged {clock.words(acknowledged_ns)}, missing when read {waited_ms:.0f} ms later)"


def _recovery_point(lost: Sequence[tuple[Attempt, ...]], fault_ns: int | None) -> RecoveryPoint | None:
    """Return how far back the system fell, by the acknowledged writes that are lost; None without a fault or a loss."""
    moments = [_acknowledged_ns(tries) for tries in lost]
    if not moments or fault_ns is None:
        return None
    return RecoveryPoint(len(moments), max(0, fault_ns - min(moments)) / 1e9)


def _offences(texts: Iterable[str]) -> Offences:
    found = list(texts)
    return Offences(len(found), tuple(found[:OFFENCES_SHOWN_MAX]))


def _together(offences: Iterable[Offences]) -> Offences:
    several = list(offences)
    first = [text for one in several for text in one.first]
    return Offences(sum(one.count for one in several), tuple(first[:OFFENCES_SHOWN_MAX]))


def _laws_together(judged: Sequence[tuple[BrokenLaw, ...]]) -> tuple[BrokenLaw, ...]:
    names = dict.fromkeys(law.name for laws in judged for law in laws)
    return tuple(
        BrokenLaw(name, _together(law.offences for laws in judged for law in laws if law.name == name))
        for name in names
    )


def _tally(record: WriteRecord, by_key: Mapping[str, tuple[Attempt, ...]]) -> Durability:
    """Return the counts of what was asked, without a judgement."""
    attempts = record.attempts
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
        stale=_NONE,
        laws=(),
        problem="",
        refused=outcomes.count(WriteOutcome.REFUSED),
        refused_for=reasons.most_common(1)[0][0] if reasons else "",
        looks=sum(look.outcome is not LookOutcome.UNKNOWN for look in record.looks),
    )


def _unjudged(record: WriteRecord, problem: str) -> Durability:
    return replace(_tally(record, _by_key(record.attempts)), problem=problem)
