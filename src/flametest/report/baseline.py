"""The run against its baseline as readers see it: what moved, how surely, and whether it was allowed to."""

from dataclasses import dataclass

from flametest.model.comparison import Change, ComparedCriterion, Comparison
from flametest.model.result import Result
from flametest.model.verdict import Bound, Verdict
from flametest.report.figures import share_unit
from flametest.report.format import NOT_MEASURED, figure, percent
from flametest.report.svg.shift import draw_shift

__all__ = ["BaselineRow", "BaselineView", "baseline_view"]

# The icon of each change; a change that cannot be told is no success.
_VERDICTS = {
    Change.WORSE: Verdict.FAILED,
    Change.BETTER: Verdict.PASSED,
    Change.SAME: Verdict.PASSED,
    Change.UNTOLD: Verdict.INCONCLUSIVE,
}
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """One criterion of one scenario in both runs; ``scenario`` is its index, None when the run does not have it.

    ``drawing`` is the shift as escaped SVG that repeats the figures; empty without a shift.
    """

    scenario: int | None
    name: str
    title: str
    base: str
    new: str
    shift: str
    effect: str
    margin: str
    change: Change
    verdict: Verdict
    note: str
    drawing: str


@dataclass(frozen=True, slots=True)
class BaselineView:
    """The section "Against the baseline"; ``missing`` are sentences on scenarios that only one of the runs has."""

    comparison: Comparison
    rows: tuple[BaselineRow, ...]
    missing: tuple[str, ...]


def baseline_view(result: Result) -> BaselineView | None:
    """Return the section of a run that was compared; None of one that was not."""
    comparison = result.comparison
    if comparison is None:
        return None
    indices = {scenario.name: index for index, scenario in enumerate(result.scenarios)}
    bounds = {
        (scenario.name, one.name): one.limit.bound
        for scenario in result.scenarios
        for one in scenario.criteria
        if one.limit is not None
    }
    rows = tuple(
        _row(one, indices.get(one.scenario), bounds.get((one.scenario, one.name))) for one in comparison.criteria
    )
    missing = [f"Only the baseline has {name}." for name in comparison.only_base]
    missing += [f"The baseline does not have {name}." for name in comparison.only_new]
    return BaselineView(comparison, rows, tuple(missing))


def _row(one: ComparedCriterion, index: int | None, bound: Bound | None) -> BaselineRow:
    unit = share_unit(one.name, one.unit)
    is_floor = bound is Bound.AT_LEAST or (bound is None and one.name == "availability")
    return BaselineRow(
        scenario=index,
        name=one.scenario,
        title=one.title,
        base=_median(one.base_median, len(one.base), unit),
        new=_median(one.new_median, len(one.new), unit),
        shift=_shift(one, unit),
        effect=_effect(one),
        margin=f"{_moved(one.margin * (-1 if is_floor else 1), unit)} is allowed",
        change=one.change,
        verdict=_VERDICTS[one.change],
        note=one.note,
        drawing=draw_shift(one, margin_sign=-1 if is_floor else 1),
    )


def _median(median: float | None, trials: int, unit: str) -> str:
    if median is None:
        return NOT_MEASURED
    return f"{figure(median, unit)}, median of {trials}" if trials > 1 else f"{figure(median, unit)} of one trial"


def _shift(one: ComparedCriterion, unit: str) -> str:
    if one.shift is None:
        return NOT_MEASURED
    if one.interval is None:
        return f"{_moved(one.shift, unit)}, no interval"
    return f"{_moved(one.shift, unit)} ({_moved(one.interval.low, unit)} to {_moved(one.interval.high, unit)})"


def _effect(one: ComparedCriterion) -> str:
    parts = []
    if one.delta is not None:
        parts.append(f"{one.effect} (Cliff's δ {_signed(f'{one.delta:.2f}', one.delta)})")
    if one.p_value is not None:
        parts.append("p under 0.001" if one.p_value < 0.001 else f"p = {one.p_value:.3f}")
    return ", ".join(parts) or NOT_MEASURED


def _moved(change: float, unit: str) -> str:
    """Return a difference with its sign; one of shares is in percentage points."""
    text = percent(abs(change)).replace("%", "points") if unit == "share" else figure(abs(change), unit)
    return _signed(text, change)


def _signed(text: str, value: float) -> str:
    if value == 0 or text.startswith("under"):
        return text
    return f"{'+' if value > 0 else _MINUS}{text.removeprefix('-')}"
