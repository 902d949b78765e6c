"""All charts of one scenario in a single small drawing: how a run of many scenarios keeps its size.

The same seven charts on the same axis as the large ones, in whole pixels, with fewer points and labels. What is alike
in all scenarios, titles and keys, stands once on the page (`compact_definitions`) and is referred to.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flametest.model.result import Density, PodLife, ScenarioResult, Series, Step
from flametest.report.format import figure, moment, shortened
from flametest.report.svg.bands import draw_bands
from flametest.report.svg.canvas import Element, add, line_path, picture, serialise
from flametest.report.svg.cloud import dashes, joined
from flametest.report.svg.frame import DASHES, HALO, Frame, Stroke, frame_of
from flametest.report.svg.patterns import pattern
from flametest.report.svg.scales import Linear, Logarithmic, linear_ticks, spread, time_ticks
from flametest.report.svg.thinning import runs, thin

__all__ = ["compact_definitions", "draw_compact"]

Point = tuple[float, float]

_STRIP = 30
_GAP = 14
_POD_ROW = 14
_POD_HEADER = 14  # room for the title, as names stand in the gutter too
_PODS_MAX = 24
_CLOUD_ROWS = 12
_STRENGTHS = (0.35, 0.65, 1.0)
_HEIGHTS = {"rates": 58, "latency": 70, "cloud": 62, "steps": 40, "level": 40, "budget": 34}
_TITLES = {
    "rates": "Requests per second",
    "latency": "Latency, ms",
    "cloud": "Every request, ms",
    "steps": "Pods and endpoints",
    "pods": "Life of each pod",
    "level": "Service level, %",
    "budget": "Error budget, %",
}
_Entry = tuple[str, str, Stroke]
_KEYS: dict[str, tuple[_Entry, ...]] = {
    "rates": (("offered", "offered", "dashed"), ("good", "good", "solid"), ("bad", "bad", "solid")),
    "latency": (("p99", "p99", "dotted"), ("p95", "p95", "solid"), ("p50", "p50", "solid")),
    "cloud": (("darker: more", "good", "solid"),),
    "steps": (("ready", "ready", "solid"), ("endpoints", "endpoints", "dotted"), ("desired", "desired", "dashed")),
    "pods": (),
    "level": (("good of offered", "good", "solid"),),
    "budget": (("used of 30 days", "p99", "solid"),),
}
_POD_STATES = ("pending", "running", "ready", "terminating")


def compact_definitions() -> str:
    """Return what the drawings refer to, without an extent: titles with keys, and the cross of a failed request."""
    root = Element("svg", {"width": "0", "height": "0", "aria-hidden": "true", "class": "defs"})
    mark = add(root, "marker", id="cross", markerUnits="userSpaceOnUse", markerWidth=6, markerHeight=6, refX=3, refY=3)
    add(mark, "path", d="M.6.6l4.8 4.8m0-4.8l-4.8 4.8", stroke="bad", fill="none", stroke_width=1.4)
    for name, title in _TITLES.items():
        group = add(root, "g", id=f"key-{name}", font_size=10)
        add(group, "text", title, x=2, y=9, fill="ink", font_size=12, font_weight="650")
        for index, (label, role, stroke) in enumerate(_KEYS[name]):
            y = 20 + index * 12
            _line(group, [(2, y), (20, y)], role, stroke, 2)
            add(group, "text", label, x=25, y=y + 4, fill="muted")
        if name == "pods":
            _pods_key(group)
    return serialise(root)


def draw_compact(scenario: ScenarioResult, series: Series, key: str, *, points_max: int, columns_max: int) -> str:
    """Return all charts of a scenario as one SVG.

    Args:
        scenario: what is drawn.
        series: its series.
        key: prefix of the identifiers in it, unique on the page.
        points_max: points of a line.
        columns_max: columns of the request cloud.
    """
    frame = frame_of(scenario, series, key, is_narrow=False, points_max=points_max)
    names = [name for name in _TITLES if _has(name, scenario, series)]
    heights = _HEIGHTS | {"pods": _POD_HEADER + min(len(series.pods), _PODS_MAX) * _POD_ROW}
    bottom = _STRIP + sum(heights[name] + _GAP for name in names)
    root = picture(key, frame.width, bottom + 28, "All charts", _describe(scenario, series, frame))
    root.set("data-left", f"{frame.left:g}")
    root.set("data-right", f"{frame.right:g}")
    _draw_ground(root, frame, bottom)
    ticks = add(root, "g", text_anchor="end")
    lines = add(root, "g", fill="none", stroke_width=1.5)
    top = float(_STRIP)
    for name in names:
        add(root, "use", href=f"#key-{name}", y=top)
        _DRAWERS[name](_Plot(root, lines, ticks, frame, top, top + heights[name], columns_max), scenario, series)
        top += heights[name] + _GAP
    return serialise(root)


@dataclass(frozen=True, slots=True)
class _Plot:
    """One chart's place in the drawing."""

    root: Element
    lines: Element
    ticks: Element
    frame: Frame
    top: float
    bottom: float
    columns_max: int

    def tick(self, y: float, label: str) -> None:
        """Name a value of the axis."""
        add(self.ticks, "text", label, x=self.frame.left - 6, y=round(y) + 4)

    def place(self, values: Iterable[tuple[float, float]], scale: Linear | Logarithmic) -> Sequence[Point]:
        """Return (seconds, value) as whole pixels, thinned."""
        x = self.frame.scale
        return thin([(round(x(at)), round(scale(value))) for at, value in values], self.frame.points_max)


def _has(name: str, scenario: ScenarioResult, series: Series) -> bool:
    needs = {"cloud": scenario.density, "pods": series.pods, "level": series.level, "budget": series.budget_used}
    return bool(needs.get(name, True))


def _line(parent: Element, points: Sequence[Point], role: str, stroke: Stroke = "solid", width: float = 0) -> None:
    """Draw a line in a group that fills nothing; as wide as the group says, or as ``width``."""
    more: dict[str, str | float] = {"stroke_dasharray": DASHES[stroke]} if DASHES[stroke] else {}
    if width:
        more["stroke_width"] = width
    add(parent, "path", d=line_path(points), stroke=role, **more)


def _middles(series: Series, values: Sequence[float]) -> list[tuple[float, float]]:
    middle = series.start_seconds + series.bin_seconds / 2
    return [(middle + index * series.bin_seconds, value) for index, value in enumerate(values)]


def _draw_ground(root: Element, frame: Frame, bottom: float) -> None:
    """Draw band, grid, marks and the axis, behind all charts."""
    draw_bands(root, frame.bands, lambda seconds: round(frame.x(seconds)), _STRIP - 6, bottom - _STRIP)
    moments = time_ticks(frame.start_seconds, frame.end_seconds, 6)
    height = round(bottom - _STRIP)
    grid = "".join(f"M{round(frame.x(at))} {_STRIP - 6}v{height}" for at in moments)
    add(root, "path", d=grid, stroke="grid")
    axis = add(root, "g", text_anchor="middle")
    for at in moments:
        add(axis, "text", moment(at), x=round(frame.x(at)), y=bottom + 8)
    add(root, "text", "seconds from injection", x=frame.right, y=bottom + 23, text_anchor="end")
    true = [frame.x(mark.seconds) for mark in frame.marks]
    if not true:
        return
    lines = "".join(f"M{round(x)} {_STRIP - 6}v{height}" for x in true)
    add(root, "path", d=lines, stroke="muted", stroke_dasharray="1 2", stroke_width=0.8)
    badges = add(root, "g", fill="ink", text_anchor="middle", font_weight="700")
    for mark, place in zip(frame.marks, spread(true, 18, frame.left - 20, frame.right + 20), strict=True):
        add(badges, "circle", cx=round(place), cy=11, r=8)
        add(badges, "text", str(mark.number), x=round(place), y=15, fill="surface")


def _draw_rates(plot: _Plot, _: ScenarioResult, series: Series) -> None:
    high = linear_ticks(max((*series.offered, *series.good, *series.bad), default=0.0))[-1]
    scale = Linear(0, high, plot.bottom, plot.top)
    plot.tick(plot.bottom, "0")
    plot.tick(plot.top, f"{high:,.10g}")
    _line(plot.lines, plot.place(_middles(series, series.offered), scale), "offered", "dashed")
    _line(plot.lines, plot.place(_middles(series, series.good), scale), "good")
    bad = plot.place(_middles(series, series.bad), scale)
    if any(series.bad):
        outline = line_path([(bad[0][0], plot.bottom), *bad, (bad[-1][0], plot.bottom)])
        add(plot.lines, "path", d=outline, stroke="bad", fill=pattern("bad"))


def _draw_latency(plot: _Plot, scenario: ScenarioResult, series: Series) -> None:
    limit = scenario.latency_limit_ms
    lines: tuple[tuple[str, Stroke, tuple[float | None, ...]], ...] = (
        ("p50", "solid", series.p50_ms),
        ("p95", "solid", series.p95_ms),
        ("p99", "dotted", series.p99_ms),
    )
    known = [value for _, _, line in lines for value in line if value] + ([limit] if limit else [])
    scale = Logarithmic(min(known, default=1.0) * 0.8, max(known, default=1.0) * 1.25, plot.bottom, plot.top)
    _decades(plot, scale)
    _limit(plot, scale, limit)
    ends: list[tuple[str, float]] = []
    for role, stroke, values in lines:
        found = runs(_middles(series, values))  # type: ignore[arg-type]
        total = sum(len(run) for run in found)
        for run in found:
            x = plot.frame.scale
            placed = [(round(x(at)), round(scale(value))) for at, value in run]
            _line(plot.lines, thin(placed, plot.frame.points_max * len(run) // total), role, stroke)
        if found:
            ends.append((role, scale(found[-1][-1][1])))
    for (role, _), y in zip(ends, spread([y for _, y in ends], 11, plot.top, plot.bottom), strict=True):
        add(plot.root, "text", role, x=plot.frame.right + 6, y=round(y) + 4, fill=role)


def _decades(plot: _Plot, scale: Logarithmic) -> None:
    for power in range(math.ceil(math.log10(scale.low)), math.floor(math.log10(scale.high)) + 1):
        plot.tick(scale(10.0**power), f"{10.0**power:,.10g}")


def _limit(plot: _Plot, scale: Logarithmic, limit_ms: float | None) -> None:
    if limit_ms is None or not scale.low < limit_ms < scale.high:
        return
    y = round(scale(limit_ms))
    line = f"M{plot.frame.left:g} {y}H{plot.frame.right:g}"
    add(plot.root, "path", d=line, stroke="failed", stroke_dasharray="9 3 2 3")
    add(plot.root, "text", f"limit {limit_ms:g}", x=plot.frame.right + 6, y=y - 5, fill="failed")


def _draw_cloud(plot: _Plot, scenario: ScenarioResult, _: Series) -> None:
    density = scenario.density
    if density is None:
        return
    scale = Logarithmic(density.latency_low_ms, density.latency_high_ms, plot.bottom, plot.top)
    _decades(plot, scale)
    grid = joined(density, plot.columns_max, _CLOUD_ROWS)
    left, right = (
        plot.frame.x(density.start_seconds + density.bin_seconds * column) for column in (0, density.columns)
    )
    down = (plot.bottom - plot.top) / grid.rows
    place = f"translate({left:.0f} {plot.top + down / 2:.1f}) scale({(right - left) / grid.columns:.3f} {down:.2f})"
    holder = add(plot.root, "g", transform=place, stroke="good")
    most = math.log(max(grid.good.values(), default=1) + 1)
    cells: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for cell, requests in grid.good.items():
        cells[min(len(_STRENGTHS) - 1, int(len(_STRENGTHS) * math.log(requests) / most))].append(cell)
    for strength, some in sorted(cells.items()):
        add(holder, "path", d=dashes(some), stroke_opacity=f"{_STRENGTHS[strength]:g}")
    if density.bad:
        marks = {f"marker_{corner}": "url(#cross)" for corner in ("start", "mid", "end")}
        add(plot.lines, "path", d=line_path(_failures(plot, density, scale)), **marks)


def _failures(plot: _Plot, density: Density, scale: Logarithmic) -> list[Point]:
    """Return where failures stand; those that a cross would cover are told by that cross."""
    step = math.log(density.latency_high_ms / density.latency_low_ms) / density.rows
    found = dict.fromkeys(
        (
            round(plot.frame.x(density.start_seconds + (column + 0.5) * density.bin_seconds) / 12) * 12,
            round(scale(density.latency_low_ms * math.exp((row + 0.5) * step)) / 8) * 8,
        )
        for column, row, _ in density.bad
    )
    return [(float(x), float(y)) for x, y in found]


def _draw_steps(plot: _Plot, _: ScenarioResult, series: Series) -> None:
    lines: tuple[tuple[str, Stroke, tuple[Step, ...], float], ...] = (
        ("ready", "solid", series.ready_pods, 3),
        ("endpoints", "dotted", series.ready_endpoints, 1.8),
        ("desired", "dashed", series.desired_pods, 1.4),
    )
    high = max((step.value for _, _, steps, _ in lines for step in steps), default=1) or 1
    scale = Linear(0, high * 1.1, plot.bottom, plot.top)
    plot.tick(plot.bottom, "0")
    plot.tick(scale(high), str(high))
    for role, stroke, steps, width in lines:
        corners: list[Point] = []
        for step in steps:
            x, y = round(plot.frame.x(step.seconds)), round(scale(step.value))
            corners += [(x, corners[-1][1])] if corners else []
            corners.append((x, y))
        if corners:
            _line(plot.lines, [*corners, (plot.frame.right, corners[-1][1])], role, stroke, width)


def _draw_pods(plot: _Plot, _: ScenarioResult, series: Series) -> None:
    """Draw each pod as a row of dashes, those of one state as one path."""
    paths: defaultdict[str, list[str]] = defaultdict(list)
    names = add(plot.root, "g", font_size=9, text_anchor="end")
    for index, pod in enumerate(series.pods[:_PODS_MAX]):
        y = round(plot.top + _POD_HEADER + index * _POD_ROW + 8)
        add(names, "text", shortened(pod.name, 16), x=plot.frame.left - 6, y=y + 3)
        _add_spans(paths, plot, pod, y)
    for state, parts in sorted(paths.items()):
        add(plot.root, "path", d="".join(parts), stroke=_pod_paint(state), stroke_width=9)


def _add_spans(paths: defaultdict[str, list[str]], plot: _Plot, pod: PodLife, y: int) -> None:
    for span in pod.spans:
        start, end = round(plot.frame.x(span.start_seconds)), round(plot.frame.x(span.end_seconds))
        state = span.state if span.state in _POD_STATES else "pending"
        paths[state].append(f"M{start} {y}h{max(1, end - start)}")


def _pod_paint(state: str) -> str:
    return state if state == "ready" else pattern(state)


def _pods_key(group: Element) -> None:
    x = 190
    for state in _POD_STATES:
        add(group, "path", d=f"M{x} 5h14", stroke=_pod_paint(state), stroke_width=7)
        label = state if state != "running" else "running, not ready"
        add(group, "text", label, x=x + 18, y=8, fill="muted")
        x += 34 + len(label) * 6


def _draw_level(plot: _Plot, scenario: ScenarioResult, series: Series) -> None:
    scale = Linear(0, 1, plot.bottom, plot.top)
    plot.tick(plot.bottom, "0")
    plot.tick(plot.top, "100")
    points = plot.place(_middles(series, series.level), scale)
    if min(series.level) < 1:
        outline = line_path([(points[0][0], plot.top), *points, (points[-1][0], plot.top)])
        add(plot.lines, "path", d=outline, fill=pattern("bad"), stroke="good")
    else:
        _line(plot.lines, points, "good")
    if scenario.availability is not None:
        lost = scenario.availability.lost_area_seconds
        text = f"{figure(lost, 's')} of full service lost" if lost > 0 else "nothing lost"
        y = round((plot.top + plot.bottom) / 2) + 4
        add(plot.root, "text", text, x=plot.frame.right - 6, y=y, text_anchor="end", **HALO)


def _draw_budget(plot: _Plot, _: ScenarioResult, series: Series) -> None:
    used = series.budget_used[-1]
    high = linear_ticks(max(used, 1e-4), 2)[-1]
    scale = Linear(0, high, plot.bottom, plot.top)
    plot.tick(plot.bottom, "0")
    plot.tick(plot.top, f"{high * 100:.10g}")
    points = plot.place(_middles(series, series.budget_used), scale)
    _line(plot.lines, points, "p99")
    end = figure(used, "share").removesuffix("%").rstrip() if used else "none"
    add(plot.root, "text", end, x=plot.frame.right + 6, y=round(points[-1][1]) + 4, fill="p99")


def _describe(scenario: ScenarioResult, series: Series, frame: Frame) -> str:
    worst = max(range(len(series.bad)), key=lambda index: series.bad[index])
    failed = (
        f"Most requests were bad at {moment(round(series.start_seconds + worst * series.bin_seconds, 2))} s."
        if any(series.bad)
        else "No request was bad."
    )
    return f"Requests, latency, pods and service level of {scenario.name}. {failed} {frame.describe(has_marks=False)}"


_DRAWERS = {
    "rates": _draw_rates,
    "latency": _draw_latency,
    "cloud": _draw_cloud,
    "steps": _draw_steps,
    "pods": _draw_pods,
    "level": _draw_level,
    "budget": _draw_budget,
}
