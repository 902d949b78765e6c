"""Trials: one dot a trial, with median, interval and limit; what had not ended when the watch did is an arrow.

Every criterion is a row with an axis of its own, since they have nothing in common but their trials.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flametest.model.trials import TrialFigure, TrialSummary
from flametest.model.verdict import Verdict
from flametest.report.figures import share_unit
from flametest.report.format import exact, figure, limit_text
from flametest.report.svg.canvas import Element, add, number, picture, serialise
from flametest.report.svg.frame import HALO
from flametest.report.svg.scales import Linear

__all__ = ["draw_trials"]

_TITLE = "Trials"
_ROW_PIXELS = 72
_NARROW_ROW_PIXELS = 106
_DOT_PIXELS = 9.0
_OFFSETS = (0, -9, 9, -17, 17)  # where dots that would cover one another stand instead
_ROLES = {Verdict.PASSED: "good", Verdict.FAILED: "bad", Verdict.INCONCLUSIVE: "inconclusive"}


@dataclass(frozen=True, slots=True)
class _Row:
    root: Element
    summary: TrialSummary
    unit: str
    scale: Linear
    middle: float


def draw_trials(summaries: Sequence[TrialSummary], key: str, *, is_narrow: bool) -> str:
    """Return the trials of each criterion as SVG; a criterion without a figure has an empty row."""
    width, left, right = (400, 14, 386) if is_narrow else (960, 262, 900)
    row = _NARROW_ROW_PIXELS if is_narrow else _ROW_PIXELS
    described = "; ".join(_described(summary) for summary in summaries)
    root = picture(f"{key}-trials-{'n' if is_narrow else 'w'}", width, row * len(summaries), _TITLE, f"{described}.")
    for index, summary in enumerate(summaries):
        top = index * row
        unit = share_unit(summary.name, summary.unit)
        low, high = _ends(summary)
        drawn = _Row(root, summary, unit, Linear(low, high, left, right), top + row - 38)
        _draw_words(drawn, top, is_narrow)
        _draw_axis(drawn)
        _draw_summary(drawn)
        _draw_dots(drawn)
    return serialise(root)


def _ends(summary: TrialSummary) -> tuple[float, float]:
    """Return the ends of a row's axis: all figures, the interval and the limit lie within; durations begin at 0."""
    values = [one.value for one in summary.figures if one.value is not None]
    values += [summary.limit.value] if summary.limit else []
    values += [summary.interval.low, summary.interval.high] if summary.interval else []
    low, high = min(values, default=0.0), max(values, default=1.0)
    if summary.unit in ("s", "ms", "count"):
        low = min(0.0, low)
    room = (high - low or abs(high) or 1.0) * 0.06
    is_share = share_unit(summary.name, summary.unit) == "share"
    return (low if low == 0 else low - room), (1.0 if is_share else high + room)


def _draw_words(row: _Row, top: float, is_narrow: bool) -> None:
    x, y = (4.0, top + 14) if is_narrow else (2.0, top + 26)
    add(row.root, "text", row.summary.title, x=x, y=y, fill="ink", font_size=12, font_weight="600")
    words = _middle_words(row.summary, row.unit)
    add(row.root, "text", words, x=x, y=y + 17)


def _draw_axis(row: _Row) -> None:
    left, right, bottom = row.scale.start, row.scale.end, row.middle + 22
    add(row.root, "path", d=f"M{number(left)} {number(bottom)}H{number(right)}", stroke="line")
    for value, anchor, x in ((row.scale.low, "start", left), (row.scale.high, "end", right)):
        add(row.root, "text", _short(value, row.unit), x=x, y=bottom + 13, text_anchor=anchor)


def _draw_summary(row: _Row) -> None:
    """Draw limit, interval and median, under the dots."""
    summary, scale, middle = row.summary, row.scale, row.middle
    if summary.limit is not None:
        x = scale(summary.limit.value)
        line = f"M{number(x)} {number(middle - 24)}V{number(middle + 22)}"
        add(row.root, "path", d=line, stroke="failed", stroke_width=1.4, stroke_dasharray="9 3 2 3")
        text = f"limit {limit_text(summary.limit, row.unit)}"
        middle_x = (scale.start + scale.end) / 2
        aside: dict[str, str | float] = {"x": x - 4, "text_anchor": "end"} if x > middle_x else {"x": x + 4}
        add(row.root, "text", text, y=middle - 17, fill="failed", font_weight="600", **aside, **HALO)
    if summary.interval is not None:
        low, high = scale(summary.interval.low), scale(summary.interval.high)
        bracket = f"M{number(low)} {number(middle + 10)}v10m0-5H{number(high)}m0-5v10"
        add(row.root, "path", d=bracket, stroke="ink", fill="none", stroke_width=1.4)
    if summary.median is not None:
        x = scale(summary.median)
        add(row.root, "path", d=f"M{number(x)} {number(middle - 15)}v30", stroke="ink", stroke_width=2.4)


def _draw_dots(row: _Row) -> None:
    taken: list[tuple[float, float]] = []
    for one in sorted((each for each in row.summary.figures if each.value is not None), key=_value):
        x = row.scale(_value(one))
        clear = (y for y in _OFFSETS if all(abs(x - a) >= _DOT_PIXELS or abs(y - b) >= 8 for a, b in taken))
        y = next(clear, 0)
        taken.append((x, y))
        dot = add(row.root, "g")
        above = "more than " if one.censored else ""
        add(dot, "title", f"trial {one.number}: {above}{figure(_value(one), row.unit)}, {one.verdict}")
        _draw_dot(dot, one, x, row.middle + y)


def _draw_dot(group: Element, one: TrialFigure, x: float, y: float) -> None:
    """Draw a shape that tells the verdict without its colour: disc, cross or triangle; an arrow when censored."""
    role = _ROLES[one.verdict]
    if one.censored:
        arrow = f"M{number(x)} {number(y - 4)}v8m0-4h17m-5-4l5 4-5 4"
        add(group, "path", d=arrow, stroke=role, fill="none", stroke_width=2)
    elif one.verdict is Verdict.PASSED:
        add(group, "circle", cx=x, cy=y, r=3.8, fill=role, stroke="surface")
    elif one.verdict is Verdict.FAILED:
        cross = f"M{number(x - 3.5)} {number(y - 3.5)}l7 7m0-7l-7 7"
        add(group, "path", d=cross, stroke=role, fill="none", stroke_width=2.2)
    else:
        add(group, "path", d=f"M{number(x)} {number(y - 4.5)}l4.5 8h-9z", stroke=role, fill="surface", stroke_width=1.6)


def _value(one: TrialFigure) -> float:
    return one.value if one.value is not None else 0.0


def _short(value: float, unit: str) -> str:
    return exact(value, unit, 2 if abs(value) < 10 or unit == "share" else 0)


def _middle_words(summary: TrialSummary, unit: str) -> str:
    missing = sum(one.value is None for one in summary.figures)
    ending = f", {missing} of {len(summary.figures)} not measured" if missing else ""
    if summary.median is None:
        return f"no median{ending}"
    return f"median {figure(summary.median, unit, limit=summary.limit)}{ending}"


def _described(summary: TrialSummary) -> str:
    unit = share_unit(summary.name, summary.unit)
    figures = ", ".join(
        f"{'more than ' if one.censored else ''}{figure(one.value, unit)}"
        for one in summary.figures
        if one.value is not None
    )
    return f"{summary.title}: {_middle_words(summary, unit)}; trials: {figures or 'none was measured'}"
