"""Trials: one scenario repeated with random phase, and what all repeats together say of each criterion."""

from dataclasses import dataclass

from flametest.model.measures import Bracket
from flametest.model.verdict import Criterion, Limit, Verdict

__all__ = ["Trial", "TrialFigure", "TrialSummary", "Trials"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One repeat.

    Attributes:
        number: 1 for the first.
        verdict: its own.
        sentence: its outcome in plain words.
        extra_baseline_seconds: how much longer than the experiment says the baseline was; the random phase.
        criteria: its judged figures.
        doubts: what its checks had to say against it; empty when all of them passed.
        folder: its records, relative to the run's folder.
    """

    number: int
    verdict: Verdict
    sentence: str
    extra_baseline_seconds: float
    criteria: tuple[Criterion, ...]
    doubts: tuple[str, ...]
    folder: str


@dataclass(frozen=True, slots=True)
class TrialFigure:
    """One trial's figure of one criterion.

    Attributes:
        number: the trial.
        value: the figure; None when it could not be measured. For a censored one, what it is known to exceed.
        censored: whether the true figure is greater than ``value``.
        verdict: the judgement.
    """

    number: int
    value: float | None
    censored: bool
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class TrialSummary:
    """One criterion over all trials.

    Attributes:
        name: the criterion's name.
        title: the criterion's title.
        unit: the criterion's unit.
        figures: one entry a trial, in their order.
        median: middle of the figures; None when too many of them are censored or missing to know it.
        worst: the worst figure by the limit's bound; a lower bound when ``worst_censored``.
        worst_censored: whether the worst figure is a censored one.
        mean: None as soon as one figure is censored or missing.
        interval: 95 % confidence interval of the mean; None when there is no mean, or a single trial.
        method: how the interval was made: ``t`` or ``bootstrap``; empty without one.
        limit: the limit that gates it; None for a figure that informs only.
        verdict: the worst of the trials.
        note: what has to be said about it, such as that there are too few trials; may be empty.
    """

    name: str
    title: str
    unit: str
    figures: tuple[TrialFigure, ...]
    median: float | None
    worst: float | None
    worst_censored: bool
    mean: float | None
    interval: Bracket | None
    method: str
    limit: Limit | None
    verdict: Verdict
    note: str


@dataclass(frozen=True, slots=True)
class Trials:
    """All repeats of one scenario.

    Attributes:
        seed: from which the random phases were drawn.
        shown: number of the trial that the scenario's own charts show: the worst one.
        trials: each repeat, in their order.
        summaries: one entry a criterion.
        sentence: how many passed, failed and could not be judged, in plain words.
    """

    seed: int
    shown: int
    trials: tuple[Trial, ...]
    summaries: tuple[TrialSummary, ...]
    sentence: str
