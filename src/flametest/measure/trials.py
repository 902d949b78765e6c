"""Trials of one scenario together: median, worst, an interval where there is one, and the verdict of the worst.

Figures that had not ended when the watch did are censored: they are known to exceed a value, and are never dropped.
The median can be known in spite of them; a mean and its interval cannot.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace

from flametest.measure.durability import combined
from flametest.measure.statistics import bootstrap_interval, student_interval
from flametest.model.measures import Bracket
from flametest.model.plurals import counted
from flametest.model.result import ScenarioResult
from flametest.model.trials import Trial, TrialFigure, Trials, TrialSummary
from flametest.model.verdict import Bound, Criterion, Verdict, worst

__all__ = ["BOOTSTRAP_TRIALS_MIN", "FEW_TRIALS", "TrialInput", "combine_trials", "summarise_criterion", "trial_of"]

BOOTSTRAP_TRIALS_MIN = 20
"""From so many trials on the interval is a bootstrap's; under it Student's, which asks for less data."""

FEW_TRIALS = 5
"""Under so many trials an interval is so wide that it says little; that is then said."""

TrialInput = tuple[ScenarioResult, float, str]
"""A measured repeat, by how many seconds its baseline was longer, and its folder."""


def trial_of(number: int, measured: ScenarioResult, extra_baseline_seconds: float, folder: str) -> Trial:
    """Return one repeat in short."""
    return Trial(
        number=number,
        verdict=measured.verdict,
        sentence=measured.sentence,
        extra_baseline_seconds=extra_baseline_seconds,
        criteria=measured.criteria,
        doubts=tuple(one.detail for one in measured.checks if one.verdict is Verdict.INCONCLUSIVE),
        folder=folder,
    )


def combine_trials(repeats: Sequence[TrialInput], seed: int, planned: int) -> ScenarioResult:
    """Return one scenario for all its repeats: the worst one in detail, the writes of all, the verdict of the worst.

    ``planned`` repeats were asked for; a run that was cut short has fewer, and cannot have passed. A single planned
    repeat stays as it is.

    Raises:
        ValueError: there is no repeat.
    """
    if not repeats:
        raise ValueError("no trial was recorded, so there is nothing to combine")
    if planned == 1:
        return repeats[0][0]
    trials = tuple(trial_of(number, *one) for number, one in enumerate(repeats, start=1))
    shown = max(range(len(repeats)), key=lambda index: _badness(repeats[index][0]))
    missing = [Verdict.INCONCLUSIVE] * (planned > len(repeats))
    verdict = worst([*(one.verdict for one in trials), *missing])
    summaries = tuple(_summaries(trials, seed))
    sentence = _sentence(trials, planned)
    found = repeats[shown][0]
    return replace(
        found,
        verdict=verdict,
        sentence=f"{sentence}; the worst: {found.sentence}",
        durability=combined([one.durability for one, *_ in repeats if one.durability is not None]),
        trials=Trials(seed, shown + 1, trials, summaries, sentence),
    )


def summarise_criterion(figures: Sequence[tuple[int, Criterion]], seed: int) -> TrialSummary:
    """Return one criterion over its trials, given with their numbers.

    The interval is that of the mean: Student's t under 20 trials, the percentile bootstrap from 20 on.
    """
    first = figures[0][1]
    values = tuple(_figure(number, criterion) for number, criterion in figures)
    known = [one.value for one in values if one.value is not None and not one.censored]
    is_whole = len(known) == len(values)
    has_interval = is_whole and len(known) >= 2
    method = ("bootstrap" if len(known) >= BOOTSTRAP_TRIALS_MIN else "t") if has_interval else ""
    interval = None
    if method:
        interval = bootstrap_interval(known, seed) if method == "bootstrap" else student_interval(known)
    low_is_bad = _bound(first) is Bound.AT_LEAST
    greatest = _worst(values, low_is_bad=low_is_bad)
    return TrialSummary(
        name=first.name,
        title=first.title,
        unit=first.unit,
        figures=values,
        median=_median(values),
        worst=None if greatest is None else greatest.value,
        worst_censored=greatest is not None and greatest.censored,
        mean=statistics.fmean(known) if is_whole and known else None,
        # No criterion can be negative, and Student's interval does not know.
        interval=None if interval is None else Bracket(max(0.0, interval.low), interval.high),
        method=method,
        limit=first.limit,
        verdict=worst(criterion.verdict for _, criterion in figures),
        note=_note(values),
    )


def _summaries(trials: Sequence[Trial], seed: int) -> list[TrialSummary]:
    names = dict.fromkeys(criterion.name for trial in trials for criterion in trial.criteria)
    return [
        summarise_criterion(
            [(trial.number, criterion) for trial in trials for criterion in trial.criteria if criterion.name == name],
            seed,
        )
        for name in names
    ]


def _figure(number: int, criterion: Criterion) -> TrialFigure:
    if criterion.above is not None:
        return TrialFigure(number, criterion.above, True, criterion.verdict)
    return TrialFigure(number, criterion.value, False, criterion.verdict)


def _bound(criterion: Criterion) -> Bound:
    if criterion.limit is not None:
        return criterion.limit.bound
    return Bound.AT_LEAST if criterion.name == "availability" else Bound.AT_MOST


def _worst(figures: Sequence[TrialFigure], *, low_is_bad: bool) -> TrialFigure | None:
    found = [one for one in figures if one.value is not None]
    if not found:
        return None
    sign = -1.0 if low_is_bad else 1.0
    # Of two equal ones the censored one is worse: its true figure is greater.
    return max(found, key=lambda one: (sign * (one.value or 0.0), one.censored))


def _median(figures: Sequence[TrialFigure]) -> float | None:
    """Return the median; None when a figure is missing, or when the middle itself is a censored one."""
    if any(one.value is None for one in figures):
        return None
    ordered = sorted(figures, key=lambda one: (one.value or 0.0, one.censored))
    middle = ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1]
    # A censored figure can truly lie anywhere above: it must not hide below the middle either.
    if any(one.censored for one in ordered[: len(ordered) // 2 + 1]):
        return None
    return statistics.fmean(one.value or 0.0 for one in middle)


def _note(figures: Sequence[TrialFigure]) -> str:
    censored = sum(one.censored for one in figures)
    missing = sum(one.value is None for one in figures)
    notes = []
    if censored:
        notes.append(f"{censored} of {len(figures)} had not ended when the watch did, so there is no mean")
    if missing:
        notes.append(f"{missing} of {len(figures)} could not be measured")
    if len(figures) < FEW_TRIALS:
        are = "is" if len(figures) == 1 else "are"
        few = counted(len(figures), "trial")
        notes.append(f"{few} {are} too few for an interval that says much; {FEW_TRIALS} or more are")
    return "; ".join(notes)


def _badness(measured: ScenarioResult) -> tuple[int, float, float, float]:
    """Return how bad a trial was: its verdict, then what users felt, then how long recovery took."""
    rank = [Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED].index(measured.verdict)

    def figure(name: str) -> float:
        criterion = measured.criterion(name)
        value = None if criterion is None else criterion.above if criterion.above is not None else criterion.value
        return 0.0 if value is None else value

    return rank, figure("outage_seconds"), -figure("availability"), figure("recovery_seconds")


def _sentence(trials: Sequence[Trial], planned: int) -> str:
    counts = {verdict: sum(one.verdict is verdict for one in trials) for verdict in Verdict}
    parts = [f"{counts[Verdict.PASSED]} of {len(trials)} trials passed"]
    if counts[Verdict.FAILED]:
        parts.append(f"{counts[Verdict.FAILED]} missed a limit")
    if counts[Verdict.INCONCLUSIVE]:
        parts.append(f"{counts[Verdict.INCONCLUSIVE]} could not be judged")
    if planned > len(trials):
        parts.append(f"{planned - len(trials)} of {planned} were not run")
    return ", ".join(parts)
