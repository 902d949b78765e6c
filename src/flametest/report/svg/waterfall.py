"""The recovery as a waterfall: each stage begins where the one before it ended, with whiskers for its error."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from flametest.model.measures import Stage
from flametest.model.result import ScenarioResult
from flametest.report.figures import beyond
from flametest.report.format import figure, moment
from flametest.report.svg.canvas import Element, add, number, picture, serialise
from flametest.report.svg.scales import Linear, time_ticks

__all__ = ["compact_stage_titles", "draw_compact_waterfall", "draw_waterfall", "stage_value", "stages_key"]

# Stages that a criterion times: not seen, they lie beyond the end of the watch.
_CRITERIA = {"ready": "recovery_seconds", "steady": "steady_seconds"}

_TITLE = "Recovery, stage by stage"
_STAGE_ROW = 20
_NOT_SEEN = "not seen"


@dataclass(frozen=True, slots=True)
class _Layers:
    bars: Element
    whiskers: Element
    dots: Element


def draw_waterfall(scenario: ScenarioResult, key: str, *, is_narrow: bool) -> str:
    """Return the waterfall as SVG, on an axis of its own that begins at the injection."""
    width, left, right, row = (400, 4, 390, 44) if is_narrow else (960, 262, 820, 30)
    bottom = len(scenario.stages) * row + 4
    ends = [stage.seconds + stage.uncertainty_seconds for stage in scenario.stages if stage.seconds is not None]
    described = "; ".join(f"{stage.title}: {stage_value(scenario, stage)}" for stage in scenario.stages)
    root = picture(f"{key}-waterfall-{'n' if is_narrow else 'w'}", width, bottom + 40, _TITLE, described + ".")
    scale = Linear(0, max(*ends, 0.0, 0.1) * 1.02 if ends else 1.0, left, right)
    _draw_axis(root, scale, bottom, 5 if is_narrow else 9)
    texts = add(root, "g", fill="ink", font_size=12)
    bars = add(root, "g", fill="good", fill_opacity="0.3")
    whiskers = add(root, "g", stroke="ink", fill="none", stroke_width=1.2)
    dots = add(root, "g", fill="good", stroke="surface")
    before = 0.0
    for index, stage in enumerate(scenario.stages):
        top = index * row
        _draw_texts(texts, stage.title, stage_value(scenario, stage), top, is_narrow)
        middle = top + (30 if is_narrow else 17)
        if stage.seconds is not None:
            _draw_stage(_Layers(bars, whiskers, dots), scale, before, stage, middle)
            before = max(before, stage.seconds)
        elif stage_value(scenario, stage) != _NOT_SEEN:
            _draw_arrow(root, scale(before), right, middle)
    return serialise(root)


def draw_compact_waterfall(scenario: ScenarioResult, key: str) -> str:
    """Return the recovery as a waterfall in one small drawing: bars from stage to stage, whiskers for their error."""
    left, right = 262, 820
    bottom = len(scenario.stages) * _STAGE_ROW
    told = "Bars from stage to stage; their values are in the last table below."
    root = picture(key, 960, bottom + 4, _TITLE, told)
    ends = [stage.seconds + stage.uncertainty_seconds for stage in scenario.stages if stage.seconds is not None]
    scale = Linear(0, max(*ends, 0.0, 0.1) * 1.02 if ends else 1.0, left, right)
    add(root, "use", href=f"#{stages_key(scenario)}")
    values = add(root, "g", fill="ink", text_anchor="end", font_weight="600")
    bars, whiskers, before = "", "", 0.0
    for index, stage in enumerate(scenario.stages):
        y = index * _STAGE_ROW + 10
        add(values, "text", stage_value(scenario, stage), x=956, y=y + 4)
        if stage.seconds is None:
            continue
        start, end = round(scale(min(before, stage.seconds))), round(scale(stage.seconds))
        low, high = (round(scale(stage.seconds + sign * stage.uncertainty_seconds)) for sign in (-1, 1))
        bars += f"M{start} {y}h{max(1, end - start)}"
        whiskers += f"M{low} {y - 4}v8m0-4H{max(high, low + 1)}m0-4v8"
        before = max(before, stage.seconds)
    add(root, "path", d=f"M{left} 0V{bottom}", stroke="muted")
    if bars:
        add(root, "path", d=bars, stroke="good", stroke_width=9, stroke_opacity=0.4)
        add(root, "path", d=whiskers, stroke="ink", fill="none")
    return serialise(root)


def stages_key(scenario: ScenarioResult) -> str:
    """Return the identifier of the titles of a scenario's stages, the same for the same titles."""
    titles = "\n".join(stage.title for stage in scenario.stages)
    return f"stages-{hashlib.sha256(titles.encode(errors='replace')).hexdigest()[:6]}"


def compact_stage_titles(scenarios: Iterable[ScenarioResult]) -> str:
    """Return the titles that the compact waterfalls refer to, each list of them once, without an extent."""
    root = Element("svg", {"width": "0", "height": "0", "aria-hidden": "true", "class": "defs"})
    for key, scenario in {stages_key(one): one for one in scenarios if one.stages}.items():
        group = add(root, "g", id=key, fill="ink", font_size=11)
        for index, stage in enumerate(scenario.stages):
            add(group, "text", stage.title, x=2, y=index * _STAGE_ROW + 14)
    return serialise(root)


def stage_value(scenario: ScenarioResult, stage: Stage) -> str:
    """Return when a stage was reached, or that it was not."""
    if stage.seconds is not None:
        return figure(stage.seconds, "s", uncertainty=stage.uncertainty_seconds or None)
    return (beyond(scenario, _CRITERIA[stage.name]) if stage.name in _CRITERIA else "") or _NOT_SEEN


def _draw_axis(root: Element, scale: Linear, bottom: float, wanted: int) -> None:
    ticks = time_ticks(0, scale.high, wanted)
    grid = "".join(f"M{number(scale(seconds))} 2V{number(bottom)}" for seconds in ticks)
    add(root, "path", d=grid, stroke="grid", stroke_width=0.8)
    add(root, "path", d=f"M{number(scale.start)} {number(bottom)}H{number(scale.end)}", stroke="muted")
    group = add(root, "g", text_anchor="middle")
    for seconds in ticks:
        add(group, "text", moment(seconds), x=scale(seconds), y=bottom + 15)
    label = "seconds from injection"
    add(root, "text", label, x=scale.end, y=bottom + 32, text_anchor="end")


def _draw_texts(texts: Element, title: str, value: str, top: float, is_narrow: bool) -> None:
    x, y, end = (4, top + 16, 390) if is_narrow else (2, top + 21, 956)
    add(texts, "text", title, x=x, y=y)
    add(texts, "text", value, x=end, y=y, font_weight="600", text_anchor="end")


def _draw_stage(layers: _Layers, scale: Linear, before: float, stage: Stage, middle: float) -> None:
    seconds = stage.seconds or 0.0
    start, end = scale(min(before, seconds)), scale(seconds)
    add(layers.bars, "rect", x=start, y=middle - 5, width=max(1.0, end - start), height=10)
    low, high = scale(seconds - stage.uncertainty_seconds), scale(seconds + stage.uncertainty_seconds)
    path = f"M{number(low)} {number(middle - 5)}v10m0-5H{number(high)}m0-5v10"
    add(layers.whiskers, "path", d=path)
    add(layers.dots, "circle", cx=end, cy=middle, r=3.6)


def _draw_arrow(root: Element, start: float, end: float, middle: float) -> None:
    shaft = f"M{number(start)} {number(middle)}H{number(end)}"
    add(root, "path", d=shaft, stroke="inconclusive", fill="none", stroke_width=2, stroke_dasharray="5 3")
    head = f"M{number(end - 7)} {number(middle - 5)}l7 5l-7 5"
    add(root, "path", d=head, stroke="inconclusive", fill="none", stroke_width=2)
