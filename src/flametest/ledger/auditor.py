"""Reading back what a system kept: its counts and every write, through the same entry that took the writes.

The counts are read before and after the writes; only when both readings agree was the system quiet, and all figures are
of one moment. Bounded: a number of pages, and a time limit for all readings together.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from flametest.ledger.definition import CountDefinition, Definition, Read
from flametest.ledger.store import LedgerReader, StoreGoneError
from flametest.ledger.template import fill, placeholders
from flametest.load.errors import LoadError
from flametest.model.laws import BEFORE, LEDGER_FIGURES
from flametest.model.writes import Attempt, Audit, Count, LookOutcome, ReadScope, StoredWrite, WriteOutcome

__all__ = ["Auditor"]

_GONE_MAX = 1000
_PAUSE_SECONDS = 0.5
_LOOKS_AT_ONCE = 8

_Counted = tuple[tuple[Mapping[str, Any], ...], ...]  # the items of each count of the definition


@dataclass(frozen=True, slots=True)
class _Found:
    """What one reading has found; ``counted`` has the items of each count of the definition."""

    counted: _Counted
    writes: tuple[StoredWrite, ...]


class Auditor:
    """Reads one system, before and after each ledger: what was there before has to be there still."""

    def __init__(
        self,
        definition: Definition,
        reader: LedgerReader,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._definition = definition
        self._reader = reader
        self._clock = clock
        self._sleep = sleep
        read = definition.read
        self._scope = _scope(read)
        self._known: dict[str, StoredWrite] | None = None
        self._was_read = False
        self._before: tuple[Count, ...] = ()

    def begin(self) -> str:
        """Remember what is there now, and return it in words, such as "12 orders, 4 counts".

        Raises:
            NotThereError: the system has nothing of that kind.
            LoadError: it does not answer; the next audit then expects what the last one found.
        """
        self._before = ()
        with self._reader:
            counted = self._counted()
            if self._known is None:
                listed = self._reader.writes() if self._scope is ReadScope.LIST else ()
                self._known = {_name(one): one for one in listed}
        self._was_read = True
        self._before = self._counts(counted, tuple(self._known.values()))
        found = [f"{len(self._known)} {self._definition.name}"] if self._scope is ReadScope.LIST else []
        return ", ".join([*found, f"{len(self._before)} counts"])

    def audit(self, prefix: str, attempts: Iterable[Attempt], timeout_seconds: float) -> Audit:
        """Return what is kept of a ledger's writes, trying until the system answers and is quiet.

        What could not be read within ``timeout_seconds`` is the audit's ``problem``, as are counts to which no
        write belongs: they cannot judge any. Where the store was read before and says now that its table is gone,
        nothing is kept, and everything is lost.

        Args:
            prefix: what the keys of the ledger begin with.
            attempts: its requests.
            timeout_seconds: how long the system may take to become quiet.
        """
        deadline = self._clock() + timeout_seconds
        tries = _by_key(attempts)
        while True:
            try:
                found = self._quiet(tries)
                if found is not None:
                    problem = _count_without_writes(self._definition.count, found.counted, tries)
                    return self._unread(problem) if problem else self._audit(prefix, tries, found)
                problem = "they went on changing while they were read"
            except LoadError as error:
                problem = error.message
            if self._clock() >= deadline:
                if self._is_gone():
                    return self._audit(prefix, tries, _Found(tuple(() for _ in self._definition.count), ()))
                return self._unread(problem)
            self._sleep(_PAUSE_SECONDS)

    def _unread(self, problem: str) -> Audit:
        words = f"the {self._definition.name} could not be read back: {problem}"
        return Audit((), 0, self._scope, (), (), (), (), words)

    def _is_gone(self) -> bool:
        """Return whether the store says that what held the writes, and was read before, does not exist any more."""
        if self._scope is not ReadScope.LIST or not self._was_read:
            return False
        try:
            with self._reader:
                self._reader.writes()
        except StoreGoneError:
            return True
        except LoadError:
            return False
        return False

    def _quiet(self, tries: Mapping[str, Sequence[Attempt]]) -> _Found | None:
        """Return all that was kept, or None when it changed meanwhile."""
        pause = self._definition.quiet_seconds
        with self._reader:
            before = self._reading(tries)
            if pause:
                self._sleep(pause)
                return before if self._reading(tries) == before else None
            return before if self._counted() == before.counted else None

    def _reading(self, tries: Mapping[str, Sequence[Attempt]]) -> _Found:
        counted = self._counted()
        if self._scope is ReadScope.LIST:
            return _Found(counted, tuple(self._reader.writes()))
        if self._scope is ReadScope.NONE:
            return _Found(counted, ())
        with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
            found = pool.map(self._looked, tries.items())
            return _Found(counted, tuple(one for one in found if one is not None))

    def _looked(self, tried: tuple[str, Sequence[Attempt]]) -> StoredWrite | None:
        """Return one write of the ledger as it is kept; None when it is not there, or nothing names it.

        Raises:
            LoadError: the system does not say.
        """
        read = self._definition.read
        assert read is not None
        assert read.find is not None
        key, attempts = tried
        named = next((one.id for one in attempts if one.id), "")
        if not named and "id" in placeholders(read.find):
            return None
        outcome = self._reader.look({"key": key, "id": named})
        if outcome is LookOutcome.UNKNOWN:
            raise LoadError(f"no answer says whether {key} is kept", "check the pods that answer")
        return StoredWrite(named, key) if outcome is LookOutcome.FOUND else None

    def _audit(self, prefix: str, tries: Mapping[str, Sequence[Attempt]], found: _Found) -> Audit:
        known = self._known or {}
        named = {attempt.id: key for key, attempts in tries.items() for attempt in attempts if attempt.id}
        writes = [one if one.key else StoredWrite(one.id, named.get(one.id, ""), one.contents) for one in found.writes]
        now = {_name(one): one for one in writes}
        uses = Counter(one.key for one in writes if one.key)
        # A key that two writes shared before is not this ledger's finding.
        shared = {one.key for name, one in now.items() if uses[one.key] > 1 and name not in known}
        read = self._definition.read
        stay = self._scope is ReadScope.LIST and read is not None and read.others_stay
        gone = (
            [_words(one) for name, one in known.items() if name not in now or _differs(now[name], one)] if stay else []
        )
        if self._scope is ReadScope.LIST:
            self._known = now
        return Audit(
            writes=tuple(one for one in writes if one.key.startswith(prefix) or one.key in shared),
            writes_total=len(writes),
            scope=self._scope,
            counts=self._counts(found.counted, tuple(writes)),
            counts_before=self._before,
            laws=tuple(law for count in self._definition.count for law in count.named_laws()),
            gone=tuple(gone[:_GONE_MAX]),
            problem="",
        )

    def _counted(self) -> _Counted:
        return tuple(tuple(self._reader.counts(number)) for number in range(len(self._definition.count)))

    def _counts(self, counted: _Counted, writes: Sequence[StoredWrite]) -> tuple[Count, ...]:
        """Return what was counted, with what the writes that were read back add up to.

        Raises:
            LoadError: a law names a figure that is not there.
        """
        definitions = zip(self._definition.count, counted, strict=True)
        return tuple(_count(one, item, writes) for one, items in definitions for item in items)


def _scope(read: Read | None) -> ReadScope:
    if read is None:
        return ReadScope.NONE
    return ReadScope.SINGLE if read.request is None and read.sql is None else ReadScope.LIST


def _count(definition: CountDefinition, item: Mapping[str, Any], writes: Sequence[StoredWrite]) -> Count:
    values = {name: float(value) for name, value in item.items() if type(value) in (int, float)}
    joined = {}
    if definition.joined is not None:
        if definition.joined not in item:
            raise LoadError(f"a count lacks {definition.joined!r}", "correct [[count]] in ledger.toml")
        joined = {definition.joined: item[definition.joined]}
    own = [one for one in writes if all(one.contents.get(name) == value for name, value in joined.items())]
    values["written"] = float(sum(_amount(one, definition.sum) for one in own))
    _check_figures(definition, values)
    texts: defaultdict[str, object] = defaultdict(lambda: "?", item)
    return Count(str(fill(definition.name, texts)), values, joined, definition.sum or "")


def _count_without_writes(
    definitions: Sequence[CountDefinition], counted: _Counted, tries: Mapping[str, Sequence[Attempt]]
) -> str:
    """Return in words which count has no item that an acknowledged write belongs to; empty for none."""
    attempts = [one for tried in tries.values() for one in tried if one.outcome is WriteOutcome.ACKNOWLEDGED]
    contents = [json.loads(one.contents) for one in attempts]
    for definition, items in zip(definitions, counted, strict=True):
        name = definition.joined
        if name is None:
            continue
        there = [item[name] for item in items if name in item]
        written = [one[name] for one in contents if name in one]
        if there and written and not any(one in there for one in written):
            return f"no count is of a {name} that was written: counts have {there[0]!r}, writes have {written[0]!r}"
    return ""


def _check_figures(definition: CountDefinition, values: Mapping[str, float]) -> None:
    for law in definition.named_laws():
        for figure in law.figures():
            if figure.removesuffix(BEFORE) not in values and figure not in LEDGER_FIGURES:
                raise LoadError(
                    f"law {law.name!r} names {figure!r}, which the count has not",
                    f"its figures are {', '.join(sorted(values))}",
                )


def _amount(write: StoredWrite, field: str | None) -> float:
    value = write.contents.get(field) if field else 1
    return float(value) if isinstance(value, int | float) else 0.0


def _name(write: StoredWrite) -> str:
    return write.id or write.key


def _differs(now: StoredWrite, before: StoredWrite) -> bool:
    return bool(before.key) and now.key != before.key


def _words(write: StoredWrite) -> str:
    return f"{write.key} (id {write.id})" if write.key and write.id else write.key or f"id {write.id}"


def _by_key(attempts: Iterable[Attempt]) -> Mapping[str, Sequence[Attempt]]:
    """Return the attempts of each write that may be kept."""
    found: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        found[attempt.key].append(attempt)
    open_ones = (WriteOutcome.ACKNOWLEDGED, WriteOutcome.UNKNOWN)
    return {key: tries for key, tries in found.items() if any(one.outcome in open_ones for one in tries)}
