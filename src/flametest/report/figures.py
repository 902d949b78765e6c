"""A criterion as a reader sees it: figure, error, limit and the change from the run before.

All renderers share this, so that the page, the pull request's summary and JUnit say the same in the same words.
"""

from dataclasses import dataclass

from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Bound, Criterion, Verdict
from flametest.report.format import NO_OUTAGE, NOT_MEASURED, exact, figure, limit_text

__all__ = ["WORDS", "Shown", "display_unit", "show"]

# The verdicts in the words of the headline.
WORDS: dict[Verdict, str] = {
    Verdict.PASSED: "PASSED",
    Verdict.FAILED: "FAILED",
    Verdict.INCONCLUSIVE: "INCONCLUSIVE",
}

# Ratios that are shares of a whole and read better in percent; other ratios may exceed 1.
_SHARES = frozenset({"availability"})


@dataclass(frozen=True, slots=True)
class Shown:
    """The texts of one criterion.

    Attributes:
        criterion: where they come from.
        value: figure with error and unit, ``> 60 s`` for a censored one, or words where there is no figure.
        limit: such as ``≤ 10 s``; empty without one.
        change: the change from the last run; empty without one.
        is_figure: whether ``value`` is a figure, not words.
    """

    criterion: Criterion
    value: str
    limit: str
    change: str
    is_figure: bool


def show(result: Result, scenario: ScenarioResult, criterion: Criterion) -> Shown:
    """Return the texts of a criterion of ``scenario``."""
    unit = display_unit(criterion)
    value, is_figure = _value(scenario, criterion, unit)
    return Shown(
        criterion=criterion,
        value=value,
        limit=limit_text(criterion.limit, unit) if criterion.limit else "",
        change=_change(result.previous.get(f"{scenario.name}/{criterion.name}"), criterion, unit),
        is_figure=is_figure,
    )


def display_unit(criterion: Criterion) -> str:
    """Return the unit as `flametest.report.format.figure` wants it: shares of a whole are told from other ratios."""
    return "share" if criterion.unit == "ratio" and criterion.name in _SHARES else criterion.unit


def _value(scenario: ScenarioResult, criterion: Criterion, unit: str) -> tuple[str, bool]:
    if criterion.name == "outage_seconds" and _felt_nothing(scenario, criterion):
        return NO_OUTAGE, False
    if criterion.value is not None:
        text = figure(criterion.value, unit, uncertainty=criterion.uncertainty, limit=criterion.limit)
        return text, text != NOT_MEASURED
    steady = scenario.steady
    if criterion.name == "steady_seconds" and steady is not None and steady.seconds is None:
        return f">\N{NO-BREAK SPACE}{exact(steady.horizon_seconds, 's')}", True
    return NOT_MEASURED, False


def _felt_nothing(scenario: ScenarioResult, criterion: Criterion) -> bool:
    if scenario.outage is not None:
        return scenario.outage.total is None
    return criterion.value == 0


def _change(before: float | None, criterion: Criterion, unit: str) -> str:
    if before is None or criterion.value is None:
        return ""
    change = criterion.value - before
    if figure(criterion.value, unit) == figure(before, unit):
        return "as in the last run"
    text = f"{figure(abs(change) * 100, 'ratio')} percentage points" if unit == "share" else figure(abs(change), unit)
    direction = "more" if change > 0 else "less"
    if criterion.limit is None:
        return f"{text} {direction} than in the last run"
    is_better = (change < 0) is (criterion.limit.bound is Bound.AT_MOST)
    return f"{text} {direction} than in the last run ({'better' if is_better else 'worse'})"
