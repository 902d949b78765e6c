"""From a set that breaks to the smallest, weakest and shortest one that does, and to the proof of that. Pure.

Each function is a generator: it yields the trials that it needs to know more of, is sent nothing, and looks at the
evidence when it goes on. What is known already is not asked again.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace

from flametest.search.evidence import SURE, THRICE, Evidence, Rule, Standing
from flametest.search.letters import Alphabet, Dose, Trial, subsets

__all__ = ["Asking", "Shrinker", "Shrunk"]

Asking = Generator[tuple[Trial, ...], None, Standing]


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What came of shrinking.

    Attributes:
        trial: the set, with its strengths and its time.
        is_confirmed: whether it broke three times more often than it held.
        is_minimal: whether each proper subset was shown to hold.
        doubts: why not, a reason each.
    """

    trial: Trial
    is_confirmed: bool
    is_minimal: bool
    doubts: tuple[str, ...] = ()


class Shrinker:
    """Shrinks sets of one alphabet by one body of evidence."""

    def __init__(self, alphabet: Alphabet, evidence: Evidence, holds: int, abreast: int = 1) -> None:
        self._alphabet = alphabet
        self._evidence = evidence
        self._holds = holds
        self._abreast = abreast

    def decide(self, trial: Trial, rule: Rule) -> Asking:
        """Ask for a trial until a rule says what is known of it; open where it was not tried any more."""
        while True:
            before = self._evidence.get(trial.key)
            standing = rule.standing(before)
            if standing is not Standing.OPEN:
                return standing
            yield (trial,)
            if self._evidence.get(trial.key) == before:  # nobody tries any more
                return Standing.OPEN

    def finish(self, trial: Trial) -> Generator[tuple[Trial, ...], None, Shrunk]:
        """Return the smallest, weakest and shortest form of a trial that is known to break, and what is shown of it."""
        while True:
            trial = yield from self.fewer(trial)
            trial = yield from self._weaker(trial)
            trial = yield from self._shorter(trial)
            smaller, shrunk = yield from self._proved(trial)
            if smaller is None:
                return shrunk
            trial = smaller

    def fewer(self, trial: Trial) -> Generator[tuple[Trial, ...], None, Trial]:
        """Leave out one letter after another as long as what is left breaks."""
        for name in sorted(trial.letters):
            if len(trial.doses) == 1:
                break
            smaller = trial.only(trial.letters - {name})
            if (yield from self.decide(smaller, SURE)) is Standing.BREAKS:
                trial = smaller
        return trial

    def _weaker(self, trial: Trial) -> Generator[tuple[Trial, ...], None, Trial]:
        """Weaken one letter after another, level by level, as long as the set breaks."""
        for dose in trial.doses:
            for level in range(dose.level + 1, len(self._alphabet.letters[dose.letter].levels)):
                weaker = _with(trial, Dose(dose.letter, level))
                if (yield from self.decide(weaker, SURE)) is not Standing.BREAKS:
                    break
                trial = weaker
        return trial

    def _shorter(self, trial: Trial) -> Generator[tuple[Trial, ...], None, Trial]:
        """Hold faults for the shortest time for which the set breaks; that is tried first, since it often is enough."""
        if not any(self._alphabet.letters[name].lasts for name in trial.letters):
            return trial
        for hold in range(self._holds - 1, trial.hold, -1):
            shorter = replace(trial, hold=hold)
            if (yield from self.decide(shorter, SURE)) is Standing.BREAKS:
                return shorter
        return trial

    def _proved(self, trial: Trial) -> Generator[tuple[Trial, ...], None, tuple[Trial | None, Shrunk]]:
        """Return a smaller trial that breaks after all, if there is one, and what is known of this one."""
        doubts: list[str] = []
        if self._abreast > 1:
            yield self._missing(trial)
        standing = yield from self.decide(trial, THRICE)
        if standing is not Standing.BREAKS:
            doubts.append(f"the set itself: {standing}")
        minimal = True
        for letters in subsets(trial.letters):
            smaller = trial.only(letters)
            found = yield from self.decide(smaller, THRICE)
            if found is Standing.BREAKS:
                return smaller, Shrunk(smaller, is_confirmed=True, is_minimal=False)
            if found is not Standing.HOLDS:
                minimal = False
                doubts.append(f"{' + '.join(sorted(letters))}: {found}")
        return None, Shrunk(trial, standing is Standing.BREAKS, minimal, tuple(doubts))

    def _missing(self, trial: Trial) -> tuple[Trial, ...]:
        """Return what has to be tried at least for the proof, which may be tried side by side."""
        wanted = [trial, *(trial.only(letters) for letters in subsets(trial.letters))]
        told = {one: abs(self._evidence.get(one.key).breaks - self._evidence.get(one.key).holds) for one in wanted}
        return tuple(one for one in wanted for _ in range(told[one], THRICE.breaks_lead))


def _with(trial: Trial, changed: Dose) -> Trial:
    doses = tuple(changed if one.letter == changed.letter else one for one in trial.doses)
    return replace(trial, doses=doses)
