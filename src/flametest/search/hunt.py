"""A search as a whole: which trials come next, until nothing is left to ask. Pure: it has no clock and no cluster.

    hunt = Hunt(space, evidence, holds=3)
    for trials in hunt.asking():
        ...  # run them, and add what was seen to the evidence

Asked again and told what an earlier search was told, it comes to where that was; see `flametest.search.journal`.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from flametest.search.candidates import (
    Candidate,
    Known,
    Space,
    breaks_already,
    larger_than,
    left_out_of,
    worth_trying,
)
from flametest.search.evidence import SCREENED, SURE, Evidence, Standing
from flametest.search.groups import covers, gathered
from flametest.search.letters import Dose, Trial
from flametest.search.shrinking import Shrinker, Shrunk

__all__ = ["Found", "Hunt"]

_Asking = Generator[tuple[Trial, ...], None, None]
_UNLIKELY_WEIGHT_MAX = 0.35  # of one fault: pods of which others are left, and what is replaced in an orderly way
_GROUP_ATTEMPTS_MAX = 2  # a group that proves nothing so often is given up: its sets are tried by themselves


@dataclass(frozen=True, slots=True)
class Found:
    """A set that breaks its promise: its smallest form, the set that it was found by, and why that was tried."""

    shrunk: Shrunk
    candidate: Candidate


@dataclass(slots=True)
class Hunt:
    """One search.

    Attributes:
        space: what is searched.
        evidence: what is known; whoever runs the trials adds to it.
        holds: for how many times lasting faults may be held.
        is_first_enough: whether it ends with the first set that is found.
        abreast: how many sets are looked at side by side.
        found: the sets that break.
        held: sets that held, groups of them included.
        undecided: sets of which nothing can be said.
        refused: sets that the gate does not let through on this cluster.
        loose: larger sets than are asked for of which nothing smaller explains that they broke, used up most of the
            promise, or proved nothing.
        reasons: why sets were tried.
        is_screening: whether sets are looked through now, and no set that breaks is looked at further.
        is_over: whether nothing is left to ask.
    """

    space: Space
    evidence: Evidence
    holds: int = 1
    is_first_enough: bool = False
    abreast: int = 1
    found: list[Found] = field(default_factory=list)
    held: list[Trial] = field(default_factory=list)
    undecided: list[Trial] = field(default_factory=list)
    refused: list[Trial] = field(default_factory=list)
    loose: list[Trial] = field(default_factory=list)
    reasons: dict[Trial, str] = field(default_factory=dict)
    is_screening: bool = False
    is_over: bool = False
    _broke: list[tuple[Candidate, Trial]] = field(default_factory=list)
    _groups: list[Trial] = field(default_factory=list)

    def asking(self) -> Iterator[tuple[Trial, ...]]:
        """Yield the trials to run next, which may run side by side; ends when all is decided, or one was not run."""
        sizes = range(1, self.space.size + 1) if self.space.shuffled is None else (self.space.size,)
        for size in sizes:
            done = yield from self._size(size)
            if not done:
                break
        else:
            self.is_over = True
        for number, one in enumerate(self.found):
            self.found[number] = Found((yield from self._shrinker.shorten(one.shrunk, number)), one.candidate)

    @property
    def broken(self) -> tuple[Trial, ...]:
        """Return the sets that break, in their smallest form."""
        return (*(one.shrunk.trial for one in self.found), *(trial for _, trial in self._broke))

    @property
    def beyond(self) -> tuple[Trial, ...]:
        """Return larger sets than are asked for that broke when they were tried, while no set within is known to."""
        return tuple(one for one in self.loose if self.evidence.get(one.key).breaks and not self._is_broken(one))

    def left_out(self) -> dict[str, int]:
        """Return how many sets were not tried, by the reason."""
        looked_at = (*self.held, *self.undecided, *self.refused, *self.broken)
        tried = {one.letters for one in looked_at if one not in self._groups}
        known = Known(tried, self.broken, self.undecided, self._doses(), self._is_covered)
        found = left_out_of(self.space, known)
        return found | ({"the gate refused them on this cluster": len(self.refused)} if self.refused else {})

    def _size(self, size: int) -> Generator[tuple[Trial, ...], None, bool]:
        """Look through the sets of a size, then at those that break; return whether that came to its end."""
        done = yield from self._look_through(size)
        self.is_screening = False
        while self._broke:
            candidate, trial = self._broke[0]
            shrunk = yield from self._shrinker.finish(trial, len(self.found))
            self._broke.pop(0)
            self.found.append(Found(shrunk, candidate))
        return done

    def _look_through(self, size: int) -> Generator[tuple[Trial, ...], None, bool]:
        doses = self._doses() if size > 1 and self.space.shuffled is None else None
        waiting = self._ordered(worth_trying(self.space, size, self._felt(), doses))
        while row := self._row(waiting, size):
            self.is_screening = True
            yield from self._screen([trial for _, trial in row])
            for candidate, trial in row:
                if self._is_settled(candidate.trial):
                    continue
                judged = self._judge(candidate) if trial == candidate.trial else self._judge_group(trial)
                if not (yield from judged):
                    return False
                waiting = [one for one in waiting if not covers(self.space, trial, one.trial) or trial in self.loose]
                if self.is_first_enough and self._broke:
                    return False
        return True

    def _ordered(self, candidates: list[Candidate]) -> list[Candidate]:
        """Return candidates in their order, those first that may explain why a larger set broke."""
        return sorted(candidates, key=lambda one: not any(set(one.trial.doses) <= set(it.doses) for it in self.beyond))

    @property
    def _shrinker(self) -> Shrinker:
        return Shrinker(self.space.alphabet, self.evidence, self.holds, self.abreast)

    def _row(self, waiting: list[Candidate], size: int) -> list[tuple[Candidate, Trial]]:
        """Return the next sets, as many as are looked at side by side, each with the group that it is tried in."""
        row: list[tuple[Candidate, Trial]] = []
        left = waiting
        while len(row) < self.abreast:
            while left and self._is_settled(left[0].trial):
                left = left[1:]
            if not left:
                break
            first, trial = left[0], self._group(left, size)
            self.reasons.setdefault(first.trial, first.reason)
            self.reasons.setdefault(trial, f"{first.reason}; with it others that may be hit at the same time")
            row.append((first, trial))
            left = [one for one in left[1:] if not covers(self.space, trial, one.trial)]
        return row

    def _group(self, waiting: list[Candidate], size: int) -> Trial:
        """Return the first of some sets with what is tried together with it; likely single faults are tried alone."""
        first = waiting[0]
        is_alone = size == 1 and first.weight > _UNLIKELY_WEIGHT_MAX
        if is_alone or self.space.together <= size or self.space.shuffled is not None or self._is_suspect(first.trial):
            return first.trial
        others = [one for one in waiting if size > 1 or one.weight <= _UNLIKELY_WEIGHT_MAX]
        barred = (*self.broken, *self.undecided, *self.loose)
        return gathered(self.space, first, others, self._felt(), barred)

    def _screen(self, row: list[Trial]) -> _Asking:
        """Have several sets tried side by side for a first time."""
        new = tuple(one for one in row if not self.evidence.get(one.key).told)
        if len(new) > 1:
            yield new

    def _judge(self, candidate: Candidate) -> Generator[tuple[Trial, ...], None, bool]:
        """Decide a set, and leave out of it what it breaks without; return whether it could be tried so long."""
        trial = candidate.trial
        standing = yield from self._shrinker.decide(trial, SCREENED)
        if standing is Standing.OPEN:
            return False
        if standing is Standing.BREAKS:
            smaller = yield from self._shrinker.fewer(trial)
            self._broke.append((candidate, smaller))
        else:
            kept = {Standing.HOLDS: self.held, Standing.REFUSED: self.refused}.get(standing, self.undecided)
            kept.append(trial)
        return True

    def _judge_group(self, group: Trial) -> Generator[tuple[Trial, ...], None, bool]:
        """Try a group until one trial tells something; return whether it could be tried so long."""
        while True:
            before = self.evidence.get(group.key)
            if before.told or before.refused or before.inconclusive >= _GROUP_ATTEMPTS_MAX:
                break
            yield (group,)
            if self.evidence.get(group.key) == before:
                return False
        if before.holds and not before.breaks and not before.is_strained:
            self.held.append(group)
            self._groups.append(group)
        else:
            self.loose.append(group)
        return True

    def _is_settled(self, trial: Trial) -> bool:
        return self._is_broken(trial) or larger_than(trial, self.undecided) or self._is_known(trial)

    def _is_known(self, trial: Trial) -> bool:
        return trial in self.held or trial in self.refused or self._is_covered(trial)

    def _is_broken(self, trial: Trial) -> bool:
        return breaks_already(self.space.alphabet, trial, self.broken)

    def _is_covered(self, trial: Trial) -> bool:
        return any(covers(self.space, group, trial) for group in self._groups)

    def _is_suspect(self, trial: Trial) -> bool:
        """Return whether a set is within a group that broke, or proved nothing, and nothing known explains that."""
        return any(set(trial.doses) <= set(one.doses) and not self._is_broken(one) for one in self.loose)

    def _doses(self) -> dict[str, Dose]:
        """Return the strongest dose of each letter that does not break by itself; without those that always do."""
        found: dict[str, Dose] = {}
        for name, letter in self.space.alphabet.letters.items():
            for level in range(len(letter.levels)):
                counts = self.evidence.get(Trial((Dose(name, level),)).key)
                if level and SURE.standing(counts) is not Standing.HOLDS:
                    continue
                if SCREENED.standing(counts) is not Standing.BREAKS:
                    found[name] = Dose(name, level)
                    break
        return found

    def _felt(self) -> dict[str, float]:
        """Return which share of the promise each letter alone has used up; in a group, no more than all of it."""
        names, doses = self.space.alphabet.letters, self._doses()
        found: dict[str, float] = {}
        for group in self._groups:
            strain = self.evidence.get(group.key).strain
            found |= {name: min(strain, found.get(name, 1.0)) for name in group.letters}
        counts = {name: self.evidence.get(Trial((doses.get(name, Dose(name)),)).key) for name in names}
        return found | {name: one.strain for name, one in counts.items() if one.told}
