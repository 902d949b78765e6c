"""A run against a baseline: how far each criterion of each scenario moved, and whether that can be told at all."""

from dataclasses import dataclass
from enum import StrEnum

from flametest.model.measures import Bracket

__all__ = ["Change", "ComparedCriterion", "Comparison"]


class Change(StrEnum):
    """What became of a criterion."""

    WORSE = "worse"  # beyond the margin, and not by chance
    BETTER = "better"  # likewise
    SAME = "same"  # enough trials to tell, and no change beyond the margin was found
    UNTOLD = "too few trials to tell"


@dataclass(frozen=True, slots=True)
class ComparedCriterion:
    """One criterion of one scenario in both runs.

    Attributes:
        scenario: the scenario's name.
        name: the criterion's name.
        title: the criterion's title.
        unit: the criterion's unit.
        base: the baseline's figures, one a trial that was measured; a censored one counts as what it exceeds.
        new: the new run's figures.
        base_median: None without a figure.
        new_median: None without a figure.
        shift: Hodges-Lehmann estimate of new − base; None without figures.
        interval: its confidence interval; None when there are too few trials for one of 95 %.
        p_value: two-sided Mann-Whitney; None without figures.
        delta: Cliff's δ between −1 (all new ones are less) and 1 (all are greater); None without figures.
        effect: δ in words: negligible, small, medium or large; empty without figures.
        margin: how far it may move for the worse, in the unit.
        change: the judgement.
        note: one sentence on it.
    """

    scenario: str
    name: str
    title: str
    unit: str
    base: tuple[float, ...]
    new: tuple[float, ...]
    base_median: float | None
    new_median: float | None
    shift: float | None
    interval: Bracket | None
    p_value: float | None
    delta: float | None
    effect: str
    margin: float
    change: Change
    note: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, criterion by criterion.

    Attributes:
        base_run_id: the baseline.
        new_run_id: the run that is compared with it.
        margin_ratio: the margin that was asked for, as a share of the baseline's median.
        criteria: every criterion that both runs have.
        only_base: scenarios that the new run does not have.
        only_new: scenarios that the baseline does not have.
        sentence: the outcome in plain words.
    """

    base_run_id: str
    new_run_id: str
    margin_ratio: float
    criteria: tuple[ComparedCriterion, ...]
    only_base: tuple[str, ...]
    only_new: tuple[str, ...]
    sentence: str

    @property
    def regressions(self) -> tuple[ComparedCriterion, ...]:
        """Return the criteria that became worse."""
        return tuple(one for one in self.criteria if one.change is Change.WORSE)
