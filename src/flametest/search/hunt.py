"""A search as a whole: which trials come next, until nothing is left to ask. Pure: it has no clock and no cluster.

    hunt = Hunt(space, evidence, holds=3)
    for trials in hunt.asking():
        ...  # run them, and add what was seen to the evidence

Begun again with the evidence of an earlier search, it asks for nothing that was decided.
"""

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from flametest.search.candidates import Candidate, Space, breaks_already, larger_than, left_out_of, worth_trying
from flametest.search.evidence import SCREENED, Evidence, Standing
from flametest.search.letters import Trial
from flametest.search.shrinking import Shrinker, Shrunk

__all__ = ["Found", "Hunt"]

_Asking = Generator[tuple[Trial, ...], None, None]


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
        held: sets that held.
        undecided: sets of which nothing can be said.
        refused: sets that the gate does not let through on this cluster.
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
    held: list[frozenset[str]] = field(default_factory=list)
    undecided: list[frozenset[str]] = field(default_factory=list)
    refused: list[frozenset[str]] = field(default_factory=list)
    reasons: dict[frozenset[str], str] = field(default_factory=dict)
    is_screening: bool = False
    is_over: bool = False
    _broke: list[tuple[Candidate, Trial]] = field(default_factory=list)

    def asking(self) -> Iterator[tuple[Trial, ...]]:
        """Yield the trials to run next, which may run side by side; ends when all is decided, or one was not run."""
        yield from self._sizes()

    @property
    def broken(self) -> tuple[frozenset[str], ...]:
        """Return the sets that break, in their smallest form."""
        waiting = tuple(trial.letters for _, trial in self._broke)
        return tuple(one.shrunk.trial.letters for one in self.found) + waiting

    def left_out(self) -> dict[str, int]:
        """Return how many sets were not tried, by the reason."""
        tried = {*self.held, *self.undecided, *self.refused, *self.broken}
        found = left_out_of(self.space, tried, self.broken, self.undecided)
        return found | ({"the gate refused them on this cluster": len(self.refused)} if self.refused else {})

    def _sizes(self) -> _Asking:
        sizes = range(1, self.space.size + 1) if self.space.shuffled is None else (self.space.size,)
        for size in sizes:
            done = yield from self._size(size)
            if not done:
                return
        self.is_over = True

    def _size(self, size: int) -> Generator[tuple[Trial, ...], None, bool]:
        """Look through the sets of a size, then at those that break; return whether that came to its end."""
        done = yield from self._look_through(size)
        self.is_screening = False
        while self._broke:
            candidate, trial = self._broke[0]
            shrunk = yield from self._shrinker.finish(trial)
            self._broke.pop(0)
            self.found.append(Found(shrunk, candidate))
        return done

    def _look_through(self, size: int) -> Generator[tuple[Trial, ...], None, bool]:
        waiting = deque(worth_trying(self.space, size, self._felt()))
        while row := self._next_of(waiting):
            self.is_screening = True
            yield from self._screen(row)
            for candidate in row:
                if not self._is_settled(candidate.letters) and not (yield from self._judge(candidate)):
                    return False
                if self.is_first_enough and self._broke:
                    return False
        return True

    @property
    def _shrinker(self) -> Shrinker:
        return Shrinker(self.space.alphabet, self.evidence, self.holds, self.abreast)

    def _next_of(self, waiting: deque[Candidate]) -> list[Candidate]:
        """Take the next sets that are not settled yet, as many as are looked at side by side."""
        row: list[Candidate] = []
        while waiting and len(row) < self.abreast:
            candidate = waiting.popleft()
            if not self._is_settled(candidate.letters):
                row.append(candidate)
        return row

    def _screen(self, row: list[Candidate]) -> _Asking:
        """Have several sets tried side by side for a first time."""
        for one in row:
            self.reasons.setdefault(one.letters, one.reason)
        new = tuple(one for one in map(_trial, row) if not self.evidence.get(one.key).told)
        if len(new) > 1:
            yield new

    def _judge(self, candidate: Candidate) -> Generator[tuple[Trial, ...], None, bool]:
        """Decide a set, and leave out of it what it breaks without; return whether it could be tried so long."""
        standing = yield from self._shrinker.decide(_trial(candidate), SCREENED)
        if standing is Standing.OPEN:
            return False
        if standing is Standing.BREAKS:
            smaller = yield from self._shrinker.fewer(_trial(candidate))
            self._broke.append((candidate, smaller))
        else:
            kept = {Standing.HOLDS: self.held, Standing.REFUSED: self.refused}.get(standing, self.undecided)
            kept.append(candidate.letters)
        return True

    def _is_settled(self, letters: frozenset[str]) -> bool:
        return breaks_already(self.space.alphabet, letters, self.broken) or larger_than(letters, self.undecided)

    def _felt(self) -> dict[str, float]:
        names = self.space.alphabet.letters
        counts = {name: self.evidence.get(Trial.of((name,)).key) for name in names}
        return {name: one.strain for name, one in counts.items() if one.told}


def _trial(candidate: Candidate) -> Trial:
    return Trial.of(candidate.letters)
