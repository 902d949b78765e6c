"""A criterion as a reader sees it: figure, error, limit and the change from the run before.

All renderers share this, so that the page, the pull request's summary and JUnit say the same in the same words.
"""

import math
from dataclasses import dataclass

from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Bound, Criterion, Verdict
from flametest.report.format import NO_OUTAGE, NOT_MEASURED, exact, figure, limit_text

__all__ = ["WORDS", "Shown", "beyond", "share_unit", "show"]

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
    unit = share_unit(criterion.name, criterion.unit)
    value, is_figure = _value(scenario, criterion, unit)
    before = result.previous.get(f"{scenario.name}/{criterion.name}")
    return Shown(
        criterion=criterion,
        value=value,
        limit=limit_text(criterion.limit, unit) if criterion.limit else "",
        change="" if value.startswith(">") else _change(before, criterion, unit),
        is_figure=is_figure,
    )


def share_unit(name: str, unit: str) -> str:
    """Return a criterion's unit as `flametest.report.format.figure` wants it: shares are told from other ratios."""
    return "share" if unit == "ratio" and name in _SHARES else unit


def beyond(scenario: ScenarioResult, name: str) -> str:
    """Return what a figure without an end in sight is known to exceed, such as ``> 60 s``; empty where there is none.

    An outage that had not ended exceeds the low end of its bracket, a recovery that was not seen the end of the watch.
    """
    outage, steady, criterion = scenario.outage, scenario.steady, scenario.criterion(name)
    known: float | None = None
    if criterion is not None and criterion.above is not None:
        known = criterion.above
    elif name == "outage_seconds" and outage is not None and outage.total is not None and not outage.recovered:
        known = outage.total.low
    elif name == "steady_seconds" and steady is not None and steady.seconds is None:
        known = steady.after_seconds
    elif (
        name == "recovery_seconds"
        and (criterion is None or criterion.value is None)  # a ready count that never fell has a figure: 0 s
        and any(stage.name == "ready" and stage.seconds is None for stage in scenario.stages)
    ):
        known = max((end for _, _, end in scenario.phases), default=None)
    if known is None or known <= 0:
        return ""
    return f">\N{NO-BREAK SPACE}{exact(math.floor(known * 100) / 100, 's')}"


def _value(scenario: ScenarioResult, criterion: Criterion, unit: str) -> tuple[str, bool]:
    if criterion.name == "outage_seconds" and _felt_nothing(scenario, criterion):
        return NO_OUTAGE, False
    is_known = criterion.value is not None or criterion.above is not None or criterion.verdict is not Verdict.PASSED
    if (censored := beyond(scenario, criterion.name)) and is_known:
        return censored, True
    if criterion.value is None:
        return NOT_MEASURED, False
    text = figure(criterion.value, unit, uncertainty=criterion.uncertainty, limit=criterion.limit)
    return text, text != NOT_MEASURED


def _felt_nothing(scenario: ScenarioResult, criterion: Criterion) -> bool:
    # Where nothing was injected the prober saw no outage either, but the criterion has no value to show.
    is_clean = scenario.outage is None or scenario.outage.total is None
    return is_clean and criterion.value == 0


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
