"""How often a set of faults was seen to break its promise, and when that is enough to say so. Pure.

Trials of one set are draws with an unknown share p of breaks. A set is said to break where it does so in at least nine
of ten trials, and to hold where it does in at most one of ten. Which of both is decided by Wald's sequential
probability ratio test (1945): each break multiplies the odds by 9, each hold divides them by 9, so only the lead of one
outcome over the other counts. Both being equally likely beforehand, a lead of n leaves an error of 1 in 9^n + 1: 10 %
at one, 1.2 % at two, 0.14 % at three. A lead of two is the first that is known to 95 %.

A set that is claimed has to break reliably: a share of nine of ten is told from one of six of ten, which a lead of
three would pass three times of four. So for the claim the test is that of a share of 0.95 against one of 0.6, at 5 %
each: seven breaks without a hold, and each hold outweighs 4.5 breaks.

What is claimed takes more where trials are seen to err. A set that held more often than it broke has shown by its
breaks how often something else breaks the promise: a share q. Of N sets that are sound, N qⁿ are expected to break n
times in a row, so a claim takes as many breaks as make that at most one in a hundred searches, and three at least.

A trial that proves nothing is no outcome. Whatever is not decided within a number of trials is undecided.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["SCREENED", "STRAINED", "SURE", "THRICE", "Counts", "Evidence", "Outcome", "Rule", "Saw", "Standing"]


STRAINED = 0.7
"""From which share of a promise on a trial that held says little of the next one, and nothing of smaller sets."""

CLEAR = 1.2
"""From which share of a promise on a trial breaks it clearly, so that the next one will as well.

Faults last until a share is missed even with ten seconds of good requests to come, of which a few come; so a trial that
they have broken for good is clear.
"""


class Outcome(StrEnum):
    """What one trial has shown; REFUSED by the gate, so that nothing was injected."""

    HOLDS = "holds"
    BREAKS = "breaks"
    INCONCLUSIVE = "inconclusive"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Saw:
    """A trial's outcome; ``strain`` is which share of the promise was used up, more than 1 where it was broken."""

    outcome: Outcome
    strain: float = 0.0


class Standing(StrEnum):
    """What is known of a set: it breaks, it holds, more trials are needed, they did not help, or none is allowed."""

    BREAKS = "breaks"
    HOLDS = "holds"
    OPEN = "open"
    UNDECIDED = "undecided"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Counts:
    """The outcomes of the trials of one set; ``clear`` of its breaks were so by `CLEAR`, ``strain`` is 1 at most."""

    breaks: int = 0
    holds: int = 0
    inconclusive: int = 0
    refused: int = 0
    strain: float = 0.0
    clear: int = 0

    @property
    def told(self) -> int:
        """Return how many trials had an outcome that counts."""
        return self.breaks + self.holds

    @property
    def is_strained(self) -> bool:
        """Return whether a trial used up most of the promise."""
        return self.strain >= STRAINED

    @property
    def breaks_clearly(self) -> bool:
        """Return whether every trial that told something broke the promise clearly."""
        return 0 < self.told == self.clear

    def plus(self, saw: Saw) -> "Counts":
        """Return the counts with one trial more."""
        return Counts(
            self.breaks + (saw.outcome is Outcome.BREAKS),
            self.holds + (saw.outcome is Outcome.HOLDS),
            self.inconclusive + (saw.outcome is Outcome.INCONCLUSIVE),
            self.refused + (saw.outcome is Outcome.REFUSED),
            max(self.strain, min(saw.strain, 1.0) if saw.outcome in (Outcome.BREAKS, Outcome.HOLDS) else 0.0),
            self.clear + (saw.outcome is Outcome.BREAKS and saw.strain >= CLEAR),
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """When enough is known.

    Attributes:
        breaks_lead: by so many more breaks than holds a set breaks.
        hold_weight: how many breaks one hold outweighs in that; where it is more than one, a lead of holds as large
            leaves the set undecided.
        holds_lead: by so many more holds than breaks it holds; by two at least where one broke, or where a hold used up
            so much of the promise (`STRAINED`) that the next trial may break it.
        told_max: after so many outcomes without a decision it is undecided.
        inconclusive_max: so many more trials that proved nothing than others leave it undecided as well.
    """

    breaks_lead: int
    holds_lead: int
    told_max: int = 9
    inconclusive_max: int = 5
    hold_weight: float = 1.0

    def standing(self, counts: Counts) -> Standing:
        """Return what is known by these counts."""
        if counts.refused:
            return Standing.REFUSED
        lead = counts.breaks - self.hold_weight * counts.holds
        holds_lead = max(self.holds_lead, 2) if counts.breaks or counts.is_strained else self.holds_lead
        if lead >= self.breaks_lead:
            return Standing.BREAKS
        if counts.holds - counts.breaks >= holds_lead:
            return Standing.HOLDS
        if self.hold_weight > 1 and lead <= -self.breaks_lead:
            return Standing.UNDECIDED
        if counts.told >= self.told_max or counts.inconclusive - counts.told >= self.inconclusive_max:
            return Standing.UNDECIDED
        return Standing.OPEN


SCREENED = Rule(breaks_lead=2, holds_lead=1)
"""For sets that are looked through: one that held once is passed over, one that broke is tried until it is known."""

SURE = Rule(breaks_lead=2, holds_lead=2)
"""For steps of shrinking: known to 95 %, both ways."""

THRICE = Rule(breaks_lead=3, holds_lead=3)
"""For what has to hold where a set is claimed: it held in three more trials than it broke."""

_WRONG_CLAIMS = 0.01
_ERROR_MAX = 0.5
_RELIABLE, _AT_TIMES, _UNSURE = 0.95, 0.6, 0.05
_OF_A_BREAK = math.log(_RELIABLE / _AT_TIMES)
_OF_A_HOLD = math.log((1 - _AT_TIMES) / (1 - _RELIABLE))
_RELIABLE_LEAD = math.ceil(-math.log(_UNSURE) / _OF_A_BREAK)


@dataclass(slots=True)
class Evidence:
    """All outcomes so far, by the trial's key."""

    counts: dict[str, Counts] = field(default_factory=dict)

    @classmethod
    def of(cls, seen: Iterable[tuple[str, Saw]]) -> "Evidence":
        """Return the evidence of trials, each by its key."""
        found = cls()
        for key, saw in seen:
            found.add(key, saw)
        return found

    def add(self, key: str, saw: Saw) -> None:
        """Take one more outcome."""
        self.counts[key] = self.get(key).plus(saw)

    def get(self, key: str) -> Counts:
        """Return the outcomes of one trial's repetitions."""
        return self.counts.get(key, Counts())

    @property
    def error(self) -> float:
        """Return which share of the trials of sets that hold broke; never none, since few trials show little."""
        holding = [one for one in self.counts.values() if one.holds > one.breaks]
        return (sum(one.breaks for one in holding) + 0.5) / (sum(one.told for one in holding) + 1.0)

    @property
    def claim(self) -> Rule:
        """Return when a set may be claimed to break."""
        lead = max(_RELIABLE_LEAD, self.smaller.breaks_lead)
        return Rule(lead, THRICE.holds_lead, told_max=3 * lead, hold_weight=_OF_A_HOLD / _OF_A_BREAK)

    @property
    def smaller(self) -> Rule:
        """Return when each proper subset of a set that is claimed is known to hold, or breaks itself."""
        expected = _WRONG_CLAIMS / max(1, len(self.counts))
        lead = math.ceil(math.log(expected) / math.log(min(self.error, _ERROR_MAX)))
        lead = max(THRICE.breaks_lead, lead)
        return Rule(lead, THRICE.holds_lead, told_max=3 * lead)

    @property
    def trials(self) -> int:
        """Return how many trials there were."""
        return sum(one.told + one.inconclusive + one.refused for one in self.counts.values())
