"""Chart c: every request as a density of time and log latency, with the failed ones as crosses on top.

What percentiles hide shows here: two bands, a tail, a wall at a time limit. Cells are drawn as dashes of five
strengths in the grid's own units, so that a copy for phones is the same drawing in another scale.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flametest.model.result import Density
from flametest.report.format import count, exact, figure
from flametest.report.svg.canvas import Element, add, line_path, number, serialise
from flametest.report.svg.frame import Frame, Panel, open_panel
from flametest.report.svg.latency import draw_limit
from flametest.report.svg.scales import Logarithmic, logarithmic_ticks

__all__ = ["dashes", "draw_cloud", "joined"]

_TITLE = "Every request, ms"
_HEIGHT = 150
_STRENGTHS = (0.3, 0.46, 0.62, 0.8, 1.0)
_CROSS_PIXELS = 5.0
_COLUMNS_FINE = 120  # with fewer columns the rows are joined too, so that cells keep their shape

Cell = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Grid:
    """The cloud's cells as they are drawn; row 0 is the slowest."""

    columns: int
    rows: int
    good: Mapping[Cell, int]


def draw_cloud(
    density: Density, frame: Frame, limit_ms: float | None, *, columns_max: int, shared_with: Frame | None = None
) -> str:
    """Return the chart as SVG.

    Args:
        density: the counts.
        frame: the frame of the scenario's charts.
        limit_ms: the limit of p95, drawn when it lies within the cloud.
        columns_max: cells along time are joined until there are no more than this.
        shared_with: another frame whose drawing holds the same cells already; None to draw them here.
    """
    panel = open_panel(frame, "cloud", _TITLE, _describe(density), _HEIGHT)
    scale = Logarithmic(density.latency_low_ms, density.latency_high_ms, panel.bottom, panel.top)
    panel.y_axis([(scale(tick), f"{tick:,.10g}") for tick in logarithmic_ticks(scale.low, scale.high)])
    grid = _grid(density, columns_max)
    holder = _holder(panel, density, grid)
    if shared_with is not None:
        add(holder, "use", href=f"#{_cells_key(shared_with)}")
    else:
        _draw_cells(add(holder, "g", id=_cells_key(frame)), grid)
    if limit_ms is not None and scale.low < limit_ms < scale.high:
        draw_limit(panel, scale(limit_ms), limit_ms)
    if density.bad:
        _draw_failures(panel, _places(density, panel, scale))
    _draw_key(panel, max((number for _, _, number in density.good), default=0), has_failures=bool(density.bad))
    return serialise(panel.root)


def _cells_key(frame: Frame) -> str:
    """Return the identifier of the cells that a drawing in this frame holds."""
    return f"{frame.key}-cells"


def _grid(density: Density, columns_max: int) -> Grid:
    """Return the counts of good requests, with neighbouring cells joined when there are more than may be drawn."""
    return joined(density, columns_max, density.rows if columns_max >= _COLUMNS_FINE else math.ceil(density.rows / 2))


def joined(density: Density, columns_max: int, rows_max: int) -> Grid:
    """Return the counts of good requests, with neighbouring cells joined until the grid is as small as asked for."""
    along, across = math.ceil(density.columns / columns_max), math.ceil(density.rows / rows_max)
    rows = math.ceil(density.rows / across)
    good: defaultdict[Cell, int] = defaultdict(int)
    for column, row, requests in density.good:
        good[column // along, rows - 1 - row // across] += requests
    return Grid(math.ceil(density.columns / along), rows, good)


def _holder(panel: Panel, density: Density, grid: Grid) -> Element:
    """Return a group in the grid's units: one a column, one a row, from the upper left."""
    frame = panel.frame
    left, right = frame.x(density.start_seconds), frame.x(density.start_seconds + density.bin_seconds * density.columns)
    across, down = (right - left) / grid.columns, (panel.bottom - panel.top) / grid.rows
    place = f"translate({number(left)} {panel.top + down / 2:.2f}) scale({across:.4f} {down:.4f})"
    return add(panel.root, "g", transform=place, stroke="good", fill="none", stroke_width=1)


def _draw_cells(parent: Element, grid: Grid) -> None:
    most = math.log(max(grid.good.values(), default=1) + 1)
    by_strength: defaultdict[int, list[Cell]] = defaultdict(list)
    for cell, requests in grid.good.items():
        by_strength[min(len(_STRENGTHS) - 1, int(len(_STRENGTHS) * math.log(requests) / most))].append(cell)
    for strength, cells in sorted(by_strength.items()):
        add(parent, "path", d=dashes(cells), stroke_opacity=f"{_STRENGTHS[strength]:g}")


def dashes(cells: Iterable[Cell]) -> str:
    """Return cells as dashes along their rows, neighbours joined; relative, as that is half as long."""
    parts: list[str] = []
    x, y = 0, 0
    for start, end, row in _row_runs(sorted(cells, key=lambda cell: (cell[1], cell[0]))):
        down = row - y
        parts.append(f"m{start - x}{'' if down < 0 else ' '}{down}h{end - start}")
        x, y = end, row
    return "M0 0" + "".join(parts)


def _row_runs(cells: Sequence[Cell]) -> Iterable[tuple[int, int, int]]:
    """Yield (first column, column after the last, row) of cells that stand side by side."""
    start = end = row = -1
    for column, own in cells:
        if own != row or column != end:
            if end > start:
                yield start, end, row
            start, row = column, own
        end = column + 1
    if end > start:
        yield start, end, row


def _places(density: Density, panel: Panel, scale: Logarithmic) -> list[tuple[float, float]]:
    """Return where failures stand, in pixels; those that a cross would cover are told by that cross."""
    step = math.log(density.latency_high_ms / density.latency_low_ms) / density.rows
    found: dict[Cell, tuple[float, float]] = {}
    for column, row, _ in density.bad:
        x = panel.frame.x(density.start_seconds + (column + 0.5) * density.bin_seconds)
        y = scale(density.latency_low_ms * math.exp((row + 0.5) * step))
        found.setdefault((round(x / _CROSS_PIXELS), round(y / _CROSS_PIXELS)), (x, y))
    return list(found.values())


def _draw_failures(panel: Panel, places: list[tuple[float, float]]) -> None:
    """Draw a cross at each place: one path whose corners carry the same mark."""
    key = f"{panel.frame.key}-cross"
    mark = add(
        panel.root, "marker", id=key, markerUnits="userSpaceOnUse", markerWidth=6, markerHeight=6, refX=3, refY=3
    )
    add(mark, "path", d="M.6.6l4.8 4.8m0-4.8l-4.8 4.8", stroke="bad", fill="none", stroke_width=1.4)
    marks = {f"marker_{corner}": f"url(#{key})" for corner in ("start", "mid", "end")}
    add(panel.root, "path", d=line_path(places), fill="none", stroke="none", **marks)


def _draw_key(panel: Panel, most: int, *, has_failures: bool) -> None:
    x, y = (0.0, 31.0) if panel.frame.is_narrow else (2.0, panel.top + 26)
    shades = add(panel.root, "g", fill="good")
    for index, strength in enumerate(_STRENGTHS):
        add(shades, "rect", x=x + index * 9, y=y - 5, width=9, height=10, fill_opacity=f"{strength:g}")
    label = f"1 to {count(most)} good" if most > 1 else "1 good"
    add(panel.root, "text", label, x=x + 51, y=y + 4)
    if not has_failures:
        return
    x, y = (x + 66 + len(label) * 6, y) if panel.frame.is_narrow else (x, y + 17)
    cross = f"M{number(x + 6)} {number(y - 3)}l6 6m0-6l-6 6"
    add(panel.root, "path", d=cross, stroke="bad", fill="none", stroke_width=1.6)
    add(panel.root, "text", "failed", x=x + (18 if panel.frame.is_narrow else 51), y=y + 4)


def _describe(density: Density) -> str:
    good, bad = (sum(number for _, _, number in cells) for cells in (density.good, density.bad))
    low, high = figure(density.latency_low_ms, "ms"), exact(round(density.latency_high_ms), "ms")
    return (
        f"{count(good + bad)} requests by intended start and latency, from {low} to {high} on a logarithmic scale: "
        f"the darker, the more. {count(bad) if bad else 'None'} of them failed{', each a cross' if bad else ''}."
    )
