"""Verdicts, limits and criteria: how a measured figure becomes a judgement."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Bound", "Criterion", "Limit", "Verdict", "judge", "worst"]


class Verdict(StrEnum):
    """The judgement of a criterion, a scenario or a run."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Bound(StrEnum):
    """Which side of a limit is the good one."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound that a measured figure has to keep.

    Attributes:
        criterion: the criterion it judges, such as ``outage_seconds``.
        bound: whether the figure may be at most or has to be at least ``value``.
        value: the limit, in the criterion's unit.
        source: where the limit was set, such as the experiment file or an option.
    """

    criterion: str
    bound: Bound
    value: float
    source: str = ""

    def holds(self, figure: float) -> bool:
        """Return whether ``figure`` keeps this limit; the limit itself is kept."""
        return figure <= self.value if self.bound is Bound.AT_MOST else figure >= self.value


@dataclass(frozen=True, slots=True)
class Criterion:
    """One judged figure of a scenario.

    Attributes:
        name: stable identifier in snake case with its unit last, such as ``outage_seconds``.
        title: what a reader sees, such as "User-visible outage".
        unit: ``s``, ``ms``, ``%``, ``ratio``, ``1/s`` or ``count``.
        value: the figure; None when it could not be measured.
        uncertainty: half the width of its bracket, in the same unit; None when unknown.
        limit: the limit that gates it; None for a figure that informs only.
        verdict: the judgement.
        reason: one sentence, such as "4.1 s is over the limit of 3 s".
        above: for a figure that had not ended when the watch did (censored), what it is known to exceed; else None.
    """

    name: str
    title: str
    unit: str
    value: float | None
    uncertainty: float | None
    limit: Limit | None
    verdict: Verdict
    reason: str
    above: float | None = None


def judge(value: float | None, limit: Limit | None) -> Verdict:
    """Return the verdict of a figure; a figure that is missing under a limit is inconclusive."""
    if limit is None:
        return Verdict.PASSED
    if value is None:
        return Verdict.INCONCLUSIVE
    return Verdict.PASSED if limit.holds(value) else Verdict.FAILED


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst verdict; failed is worse than inconclusive, and no verdict at all is inconclusive.

    A missed limit that was seen stays a weakness that was found, whatever else could not be measured.
    """
    seen = set(verdicts)
    if Verdict.FAILED in seen:
        return Verdict.FAILED
    if not seen or Verdict.INCONCLUSIVE in seen:
        return Verdict.INCONCLUSIVE
    return Verdict.PASSED
