"""From a set that breaks to the smallest, weakest and shortest one that does, and to the proof of that. Pure.

Each function is a generator: it yields the trials that it needs to know more of, is sent nothing, and looks at the
evidence when it goes on. What is known already is not asked again.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace

from flametest.search.evidence import SURE, Evidence, Rule, Standing
from flametest.search.letters import Alphabet, Dose, Trial, subsets

__all__ = ["Asking", "Shrinker", "Shrunk", "smaller_of"]

_SINGLES = "singles"  # what single faults are compared with

Asking = Generator[tuple[Trial, ...], None, Standing]


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What came of shrinking.

    Attributes:
        trial: the set, with its strengths and its time.
        is_confirmed: whether it broke so reliably that it may be claimed, while the promise held
            without any fault.
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

    def finish(self, trial: Trial, found_before: int = 0) -> Generator[tuple[Trial, ...], None, Shrunk]:
        """Return the smallest and weakest form of a trial that is known to break, and what is shown of it.

        Args:
            trial: the set.
            found_before: how many sets were found before; each has to have its own controls.
        """
        while True:
            trial = yield from self.fewer(trial)
            forms = yield from self._weaker(trial)
            while True:
                smaller, shrunk = yield from self._proved(forms.pop(), found_before)
                if smaller is not None or not forms or (shrunk.is_confirmed and self._is_clear(shrunk.trial)):
                    break
            if smaller is None:
                return shrunk
            trial = smaller

    def shorten(self, shrunk: Shrunk, found_before: int = 0) -> Generator[tuple[Trial, ...], None, Shrunk]:
        """Return a set that breaks, held for the shortest time for which all of that can be shown as well.

        The shortest is tried first, since it often is enough.
        """
        trial = shrunk.trial
        if not shrunk.is_confirmed or not any(self._alphabet.letters[name].lasts for name in trial.letters):
            return shrunk
        for hold in range(self._holds - 1, trial.hold, -1):
            shorter = replace(trial, hold=hold)
            if (yield from self.decide(shorter, SURE)) is not Standing.BREAKS or not self._is_clear(shorter):
                continue
            smaller, found = yield from self._proved(shorter, found_before)
            is_as_sure = found.is_confirmed and found.is_minimal >= shrunk.is_minimal
            if smaller is None and is_as_sure and self._is_clear(shorter):
                return found
        return shrunk

    def fewer(self, trial: Trial) -> Generator[tuple[Trial, ...], None, Trial]:
        """Leave out one letter after another as long as what is left breaks."""
        for name in sorted(trial.letters):
            if len(trial.doses) == 1:
                break
            smaller = trial.only(trial.letters - {name})
            if (yield from self.decide(smaller, SURE)) is Standing.BREAKS:
                trial = smaller
        return trial

    def _weaker(self, trial: Trial) -> Generator[tuple[Trial, ...], None, list[Trial]]:
        """Weaken one letter after another, level by level, as long as the set breaks clearly; return all such forms.

        The last one is the weakest. It may break at times only, and one before it reliably.
        """
        forms = [trial]
        for dose in trial.doses:
            for level in range(dose.level + 1, len(self._alphabet.letters[dose.letter].levels)):
                weaker = _with(forms[-1], Dose(dose.letter, level))
                if (yield from self.decide(weaker, SURE)) is not Standing.BREAKS or not self._is_clear(weaker):
                    break
                forms.append(weaker)
        return forms

    def _is_clear(self, trial: Trial) -> bool:
        """Return whether every trial of a weaker or shorter form broke clearly, as whoever repeats it will see."""
        return self._evidence.get(trial.key).breaks_clearly

    def _proved(
        self, trial: Trial, found_before: int
    ) -> Generator[tuple[Trial, ...], None, tuple[Trial | None, Shrunk]]:
        """Return a smaller trial that breaks after all, if there is one, and what is known of this one.

        The set and what has to hold are tried in turn, so that a machine that is busy for a while shows in both.
        """
        smaller = smaller_of(trial)
        while True:
            rule = self._evidence.smaller
            controls = replace(rule, holds_lead=rule.holds_lead + found_before, told_max=3 * rule.told_max)
            rules = {trial: self._evidence.claim, **{one: rule if one.doses else controls for one in smaller}}
            known = {one: rules[one].standing(self._evidence.get(one.key)) for one in rules}
            waiting = tuple(one for one in rules if known[one] is Standing.OPEN)
            broken = next((one for one in smaller if one.doses and known[one] is Standing.BREAKS), None)
            if broken is not None:
                return broken, Shrunk(broken, is_confirmed=False, is_minimal=False)
            if not waiting or known[trial] not in (Standing.OPEN, Standing.BREAKS):
                return None, _shown(trial, known)
            if not (yield from self._in_turn(waiting)):
                return None, _shown(trial, known)

    def _in_turn(self, waiting: tuple[Trial, ...]) -> Generator[tuple[Trial, ...], None, bool]:
        """Have each trial tried once, side by side where there are systems for it; return whether all were."""
        before = {one: self._evidence.get(one.key) for one in waiting}
        yield from [waiting] if self._abreast > 1 else [(one,) for one in waiting]
        return all(self._evidence.get(one.key) != before[one] for one in waiting)


def smaller_of(trial: Trial) -> tuple[Trial, ...]:
    """Return what has to hold where a set breaks: every proper subset, and for a single fault a trial without any."""
    subset = tuple(trial.only(letters) for letters in subsets(trial.letters))
    return subset or (Trial((), trial.hold, _SINGLES),)


def _shown(trial: Trial, known: Mapping[Trial, Standing]) -> Shrunk:
    doubts = [
        f"{' + '.join(sorted(one.letters)) or 'without any fault'}: {standing}"
        for one, standing in known.items()
        if one is not trial and standing is not Standing.HOLDS
    ]
    breaks = known[trial] is Standing.BREAKS
    is_sound = all(standing is Standing.HOLDS for one, standing in known.items() if not one.doses)
    told = doubts if breaks else [f"the set itself: {known[trial]}", *doubts]
    return Shrunk(trial, breaks and is_sound, breaks and not doubts, tuple(told))


def _with(trial: Trial, changed: Dose) -> Trial:
    doses = tuple(changed if one.letter == changed.letter else one for one in trial.doses)
    return replace(trial, doses=doses)
