"""What a search has come to, in the words of its account: sets that held, and those that break, with why. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from flametest.model.search import FoundTold, SetTold, TrialTold, Without
from flametest.search.bench import Terms, doses_told
from flametest.search.evidence import Evidence, Outcome
from flametest.search.hunt import Found
from flametest.search.letters import Trial
from flametest.search.shrinking import smaller_of

__all__ = ["FOUND", "Account"]

FOUND = "found"
"""The folder of the experiments of what breaks, in that of the search."""

_NAME_CHARACTERS_MAX = 80


@dataclass(frozen=True, slots=True)
class Account:
    """What the trials of a search have shown.

    Attributes:
        terms: what they have in common.
        evidence: how each set fared.
        trials: every trial, in order.
    """

    terms: Terms
    evidence: Evidence
    trials: Sequence[TrialTold]

    def set(self, trial: Trial, reason: str) -> SetTold:
        """Return what is known of a set that was tried for a reason; it tells strengths that are not the greatest."""
        counts = self.evidence.get(trial.key)
        words = doses_told(self.terms.alphabet, trial)
        told = (str(word) if dose.level else dose.letter for dose, word in zip(trial.doses, words, strict=True))
        return SetTold(tuple(told), reason, counts.breaks, counts.holds, counts.inconclusive)

    def found(self, found: Found, number: int) -> FoundTold:
        """Return what is known of a set that breaks; ``number`` names it where all its letters would be too long."""
        shrunk, terms = found.shrunk, self.terms
        trial = shrunk.trial
        counts, last = self.evidence.get(trial.key), self._last(trial, Outcome.BREAKS)
        name = _name(trial, number)
        return FoundTold(
            name=name,
            doses=doses_told(terms.alphabet, trial),
            hold_seconds=terms.holds[trial.hold],
            reason=found.candidate.reason,
            breaks=counts.breaks,
            holds=counts.holds,
            is_confirmed=shrunk.is_confirmed,
            is_minimal=shrunk.is_minimal,
            doubts=shrunk.doubts,
            sentence=last.sentence if last is not None else "",
            without=tuple(map(self._without, smaller_of(trial))),
            experiment=f"{FOUND}/{name}.json",
            record=last.folder if last is not None else "",
        )

    def _without(self, smaller: Trial) -> Without:
        counts, last = self.evidence.get(smaller.key), self._last(smaller, Outcome.HOLDS)
        sentence = last.sentence if last is not None else "not tried"
        return Without(tuple(sorted(smaller.letters)), counts.holds, counts.breaks, sentence)

    def _last(self, trial: Trial, outcome: Outcome) -> TrialTold | None:
        return next((one for one in reversed(self.trials) if one.key == trial.key and one.outcome == outcome), None)


def _name(trial: Trial, number: int) -> str:
    name = f"found-{'-and-'.join(sorted(trial.letters))}"
    return name if len(name) <= _NAME_CHARACTERS_MAX else f"found-{number}"
