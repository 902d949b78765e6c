"""The sets of faults that are worth a trial, the likeliest first, and how many are not, with the reason. Pure."""

import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from flametest.search.gate import refusal
from flametest.search.letters import Alphabet, Kind, Letter
from flametest.search.likelihood import likelihood
from flametest.search.structure import Structure

__all__ = ["Candidate", "Space", "breaks_already", "larger_than", "left_out_of", "worth_trying"]

_DOMINATED = "one fault takes away what another one only weakens"
_UNRELATED = "no path goes through all parts that are hit"
_LARGER_THAN_BROKEN = "they contain a set that breaks"
_SAME_AS_BROKEN = "they take away, by other means, what breaks the promise already"
_LARGER_THAN_UNDECIDED = "they contain a set that could not be decided"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set of letters, how likely it is to break, and why it is thought so."""

    letters: frozenset[str]
    weight: float
    reason: str


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched.

    Attributes:
        alphabet: the faults.
        structure: the system.
        size: so many faults at most in one set.
        nodes_max: so many nodes may be hit at one time.
        shuffled: the seed of a random order in place of the likeliest first; None for that. A random order knows no
            sizes, and no paths.
    """

    alphabet: Alphabet
    structure: Structure
    size: int
    nodes_max: int = 0
    shuffled: int | None = None

    def sets(self, size: int) -> Iterator[frozenset[str]]:
        """Yield every set of a size."""
        return map(frozenset, combinations(sorted(self.alphabet.letters), size))

    def reason_against(self, letters: frozenset[str]) -> str:
        """Return why a set is not worth a trial by itself; empty when it is."""
        chosen = self.alphabet.of(letters)
        if refused := refusal(chosen, self.structure.parts, self.nodes_max):
            return f"the gate: {refused.partition(', ')[2] or refused}"
        if len(chosen) > 1 and _is_dominated(chosen):
            return _DOMINATED
        parts = {one.part for one in chosen if one.part}
        if self.shuffled is None and parts and not self.structure.path_of(parts):
            return _UNRELATED
        return ""


def worth_trying(space: Space, size: int, felt: Mapping[str, float]) -> list[Candidate]:
    """Return the sets of a size, or in a random order of all sizes up to it, that are worth a trial, in their order.

    Args:
        space: what is searched.
        size: how many faults.
        felt: see `flametest.search.likelihood.likelihood`.
    """
    sizes = range(size, size + 1) if space.shuffled is None else range(1, size + 1)
    found = [
        _candidate(space, letters, felt)
        for one in sizes
        for letters in space.sets(one)
        if not space.reason_against(letters)
    ]
    if space.shuffled is not None:
        random.Random(space.shuffled).shuffle(found)  # noqa: S311 (an order, no secret)
        return found
    return sorted(found, key=lambda one: (-one.weight, sorted(one.letters)))


def left_out_of(
    space: Space,
    tried: Collection[frozenset[str]],
    broken: Collection[frozenset[str]],
    undecided: Collection[frozenset[str]],
) -> dict[str, int]:
    """Return how many sets were not tried, by the reason; those without one were not reached."""
    reasons: Counter[str] = Counter()
    for size in range(1, space.size + 1):
        for letters in space.sets(size):
            if letters in tried:
                continue
            reasons[_why_not(space, letters, broken, undecided)] += 1
    return dict(reasons.most_common())


def breaks_already(alphabet: Alphabet, letters: frozenset[str], broken: Collection[frozenset[str]]) -> bool:
    """Return whether a set contains one that breaks, or takes the same parts away by other means."""
    return any(_events(alphabet, one) <= _events(alphabet, letters) for one in broken)


def larger_than(letters: frozenset[str], smaller: Collection[frozenset[str]]) -> bool:
    """Return whether a set contains one of others."""
    return any(one <= letters for one in smaller)


def _why_not(
    space: Space, letters: frozenset[str], broken: Collection[frozenset[str]], undecided: Collection[frozenset[str]]
) -> str:
    if larger_than(letters, broken):
        return _LARGER_THAN_BROKEN
    if breaks_already(space.alphabet, letters, broken):
        return _SAME_AS_BROKEN
    if reason := space.reason_against(letters):
        return reason
    if larger_than(letters, undecided):
        return _LARGER_THAN_UNDECIDED
    return "they were not reached"


def _events(alphabet: Alphabet, letters: frozenset[str]) -> frozenset[tuple[str, ...]]:
    """Return what happens to the system: a part is gone, by whichever fault; or the fault itself."""
    chosen = alphabet.of(letters)
    return frozenset((one.kind, one.part) if one.kind is Kind.GONE else (one.name,) for one in chosen)


def _candidate(space: Space, letters: frozenset[str], felt: Mapping[str, float]) -> Candidate:
    told = likelihood(space.alphabet.of(letters), space.structure, felt)
    return Candidate(letters, told.weight, told.reason)


def _is_dominated(letters: tuple[Letter, ...]) -> bool:
    """Return whether all of a part is away, and another fault hits the same part; or one part is degraded twice."""
    for one, other in combinations(letters, 2):
        if not one.part or one.part != other.part:
            continue
        if Kind.GONE in (one.kind, other.kind) or one.kind is other.kind:
            return True
    return False
