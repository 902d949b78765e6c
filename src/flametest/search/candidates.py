"""The sets of faults that are worth a trial, the likeliest first, and how many are not, with the reason. Pure."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from flametest.search.gate import refusal
from flametest.search.letters import Alphabet, Dose, Kind, Letter, Trial
from flametest.search.likelihood import likelihood
from flametest.search.structure import Structure

__all__ = ["Candidate", "Known", "Space", "breaks_already", "larger_than", "left_out_of", "worth_trying"]

_DOMINATED = "one fault makes unavailable what another one only weakens"
_UNRELATED = "no path goes through all parts that are hit"
_LARGER_THAN_BROKEN = "they contain a set that breaks"
_SAME_AS_BROKEN = "they make unavailable, by other means, what already breaks the promise"
_LARGER_THAN_UNDECIDED = "they contain a set that could not be decided"
_WITHIN_HELD = "the promise held under a larger set"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set of faults, how likely it is to break, why it is thought so, and the path by which its trial asks."""

    trial: Trial
    weight: float
    reason: str
    path: str = ""

    @property
    def letters(self) -> frozenset[str]:
        """Return the names of its letters."""
        return self.trial.letters


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched.

    Attributes:
        alphabet: the faults.
        structure: the system.
        size: so many faults at most in one set.
        nodes_max: so many nodes may be hit at one time.
        shuffled: the seed of a random order in place of the likeliest first; None for that. A random order knows no
            sizes, no paths and no groups.
        together: so many faults may be tried at once, to look at several sets in one trial.
    """

    alphabet: Alphabet
    structure: Structure
    size: int
    nodes_max: int = 0
    shuffled: int | None = None
    together: int = 1

    def sets(self, size: int) -> Iterator[frozenset[str]]:
        """Yield every set of a size."""
        return map(frozenset, combinations(sorted(self.alphabet.letters), size))

    def path_of(self, trial: Trial) -> str:
        """Return the path by which a trial asks: the first that all parts which it hits are on; empty without one."""
        return self.structure.path_of(one.part for one in self.alphabet.of(trial.letters) if one.part)

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


def worth_trying(
    space: Space, size: int, felt: Mapping[str, float], doses: Mapping[str, Dose] | None = None
) -> list[Candidate]:
    """Return the sets of a size, or in a random order of all sizes up to it, that are worth a trial, in their order.

    Args:
        space: what is searched.
        size: how many faults.
        felt: see `flametest.search.likelihood.likelihood`.
        doses: how strong each letter is to be, those that are left out of it being left out; all at their strongest.
    """
    sizes = range(size, size + 1) if space.shuffled is None else range(1, size + 1)
    strengths = {name: Dose(name) for name in space.alphabet.letters} if doses is None else doses
    found = [
        _candidate(space, letters, felt, strengths)
        for one in sizes
        for letters in space.sets(one)
        if letters <= strengths.keys() and not space.reason_against(letters)
    ]
    if space.shuffled is not None:
        random.Random(space.shuffled).shuffle(found)  # noqa: S311 (an order, no secret)
        return found
    return sorted(found, key=lambda one: (-one.weight, sorted(one.letters)))


@dataclass(frozen=True, slots=True)
class Known:
    """What a search knows of sets, for the account of what it has not tried.

    Attributes:
        tried: the sets that were tried by themselves.
        broken: those that break.
        undecided: those that could not be decided.
        doses: how strong each letter was in larger sets.
        is_covered: whether a set held within a larger one.
    """

    tried: Collection[frozenset[str]]
    broken: Collection[Trial]
    undecided: Collection[Trial]
    doses: Mapping[str, Dose]
    is_covered: Callable[[Trial], bool]


def left_out_of(space: Space, known: Known) -> dict[str, int]:
    """Return how many sets were not tried, by the reason; those without one were not reached."""
    reasons: Counter[str] = Counter()
    for size in range(1, space.size + 1):
        for letters in space.sets(size):
            if letters in known.tried:
                continue
            reasons[_why_not(space, letters, known)] += 1
    return dict(reasons.most_common())


def breaks_already(alphabet: Alphabet, trial: Trial, broken: Collection[Trial]) -> bool:
    """Return whether a set contains one that breaks, as strong or stronger, or takes the same parts away otherwise."""
    return any(_contains(alphabet, trial, one) for one in broken)


def larger_than(trial: Trial, smaller: Collection[Trial]) -> bool:
    """Return whether a set contains one of others at the very same strength."""
    return any(set(one.doses) <= set(trial.doses) for one in smaller)


def _why_not(space: Space, letters: frozenset[str], known: Known) -> str:
    strongest = Trial.of(letters)
    trial = Trial(tuple(sorted(known.doses[one] for one in letters))) if letters <= known.doses.keys() else strongest
    if any(one.letters <= letters for one in known.broken) and breaks_already(space.alphabet, trial, known.broken):
        return _LARGER_THAN_BROKEN
    if breaks_already(space.alphabet, trial, known.broken):
        return _SAME_AS_BROKEN
    if reason := space.reason_against(letters):
        return reason
    if larger_than(trial, known.undecided):
        return _LARGER_THAN_UNDECIDED
    return _WITHIN_HELD if known.is_covered(trial) else "they were not reached"


def _contains(alphabet: Alphabet, trial: Trial, smaller: Trial) -> bool:
    return all(any(_includes(alphabet, mine, theirs) for mine in trial.doses) for theirs in smaller.doses)


def _includes(alphabet: Alphabet, mine: Dose, theirs: Dose) -> bool:
    """Return whether one fault does what another one does: it is that, no weaker, or takes the same part away."""
    if mine.letter == theirs.letter:
        return mine.level <= theirs.level
    one, other = alphabet.letters[mine.letter], alphabet.letters[theirs.letter]
    return one.kind is other.kind is Kind.GONE and one.part == other.part


def _candidate(
    space: Space, letters: frozenset[str], felt: Mapping[str, float], doses: Mapping[str, Dose]
) -> Candidate:
    told = likelihood(space.alphabet.of(letters), space.structure, felt)
    trial = Trial(tuple(sorted(doses[one] for one in letters)))
    return Candidate(trial, told.weight, told.reason, space.path_of(trial))


def _is_dominated(letters: tuple[Letter, ...]) -> bool:
    """Return whether all of a part is away, and another fault hits the same part; or one part is degraded twice."""
    for one, other in combinations(letters, 2):
        if not one.part or one.part != other.part:
            continue
        if Kind.GONE in (one.kind, other.kind) or one.kind is other.kind:
            return True
    return False
