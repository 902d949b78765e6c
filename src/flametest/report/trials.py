"""The trials of a scenario as their readers see them: what all repeats say of each criterion, and each repeat."""

from dataclasses import dataclass

from flametest.model.result import ScenarioResult
from flametest.model.trials import TrialSummary
from flametest.model.verdict import Verdict
from flametest.report.figures import share_unit
from flametest.report.format import NOT_MEASURED, figure, limit_text, sentence
from flametest.report.tables import Table

__all__ = ["SummaryRow", "TrialRow", "TrialsView", "trials_view"]


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One criterion over all trials; ``verdict`` is None for a figure that informs only."""

    title: str
    median: str
    interval: str
    worst: str
    limit: str
    verdict: Verdict | None
    note: str


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One repeat; ``is_shown`` marks the one whose charts the scenario shows."""

    number: int
    verdict: Verdict
    sentence: str
    phase: str
    doubts: tuple[str, ...]
    is_shown: bool


@dataclass(frozen=True, slots=True)
class TrialsView:
    """The part "Trials" of a scenario: a sentence, a row for each criterion, a row for each repeat, every figure."""

    sentence: str
    seed: int
    summaries: tuple[SummaryRow, ...]
    trials: tuple[TrialRow, ...]
    figures: Table


def trials_view(scenario: ScenarioResult) -> TrialsView | None:
    """Return the trials of a scenario; None when there was one only."""
    trials = scenario.trials
    if trials is None:
        return None
    rows = tuple(
        TrialRow(
            number=one.number,
            verdict=one.verdict,
            sentence=sentence(one.sentence),
            phase=figure(one.extra_baseline_seconds, "s"),
            doubts=one.doubts,
            is_shown=one.number == trials.shown,
        )
        for one in trials.trials
    )
    return TrialsView(trials.sentence, trials.seed, tuple(map(_summary, trials.summaries)), rows, _figures(scenario))


def _summary(one: TrialSummary) -> SummaryRow:
    unit = share_unit(one.name, one.unit)
    worst = NOT_MEASURED if one.worst is None else figure(one.worst, unit, limit=one.limit)
    return SummaryRow(
        title=one.title,
        median="not known" if one.median is None else figure(one.median, unit, limit=one.limit),
        interval=_interval(one, unit),
        worst=f">\N{NO-BREAK SPACE}{worst}" if one.worst_censored else worst,
        limit=limit_text(one.limit, unit) if one.limit else "none",
        verdict=one.verdict if one.limit else None,
        note=one.note,
    )


def _interval(one: TrialSummary, unit: str) -> str:
    if one.mean is None:
        return "none"
    mean = figure(one.mean, unit, limit=one.limit)
    if one.interval is None:
        return mean
    return f"{mean} ({figure(one.interval.low, unit)} to {figure(one.interval.high, unit)}, {one.method})"


def _figures(scenario: ScenarioResult) -> Table:
    """Return every trial's figures, a row a trial and a column a criterion."""
    trials = scenario.trials
    summaries = trials.summaries if trials is not None else ()
    found: dict[int, list[str]] = {one.number: [] for one in (trials.trials if trials is not None else ())}
    for summary in summaries:
        unit = share_unit(summary.name, summary.unit)
        texts = {
            one.number: "–"
            if one.value is None
            else f"{'>' if one.censored else ''}{figure(one.value, unit, limit=summary.limit)}"
            for one in summary.figures
        }
        for number, row in found.items():
            row.append(texts.get(number, "–"))
    rows = tuple((str(number), *row) for number, row in found.items())
    return Table("trials", "Figures of each trial", ("trial", *(one.title for one in summaries)), rows)
