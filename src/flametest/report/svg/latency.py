"""Chart b: latency from the intended start as p50, p95 and p99 on a logarithmic scale, with the limit."""

from dataclasses import dataclass

from flametest.model.result import Series
from flametest.report.format import exact
from flametest.report.svg.canvas import add, serialise
from flametest.report.svg.frame import HALO, Entry, Frame, Panel, Stroke, open_panel
from flametest.report.svg.scales import Logarithmic, logarithmic_ticks
from flametest.report.svg.thinning import runs, thin

__all__ = ["draw_latency", "draw_limit"]

_TITLE = "Latency, ms"


@dataclass(frozen=True, slots=True)
class _Pen:
    role: str
    stroke: Stroke
    width: float


_PENS = (_Pen("p50", "solid", 1.5), _Pen("p95", "solid", 2.2), _Pen("p99", "dotted", 1.6))


def draw_latency(series: Series, frame: Frame, limit_ms: float | None) -> str:
    """Return the chart as SVG; a line breaks where a bin has no sample."""
    panel = open_panel(frame, "latency", _TITLE, _describe(limit_ms), 170)
    lines = {"p50": series.p50_ms, "p95": series.p95_ms, "p99": series.p99_ms}
    scale = _scale([value for line in lines.values() for value in line if value], limit_ms, panel)
    panel.y_axis([(scale(tick), f"{tick:,.10g}") for tick in logarithmic_ticks(scale.low, scale.high)])
    if limit_ms is not None and limit_ms > 0:
        draw_limit(panel, scale(limit_ms), limit_ms)
    labels = []
    for pen in _PENS:
        end = _draw_line(panel, scale, series, lines[pen.role], pen)
        if end is not None:
            labels.append((end, pen.role, pen.role))
    panel.end_labels(labels)
    panel.key([Entry(pen.role, pen.role, pen.stroke) for pen in reversed(_PENS)])
    return serialise(panel.root)


def _scale(values: list[float], limit_ms: float | None, panel: Panel) -> Logarithmic:
    known = [value for value in (*values, limit_ms) if value is not None and value > 0] or [1.0]
    return Logarithmic(min(*known, 1e9) * 0.8, max(*known, 1e-3) * 1.25, panel.bottom, panel.top)


def _draw_line(
    panel: Panel, scale: Logarithmic, series: Series, values: tuple[float | None, ...], pen: _Pen
) -> float | None:
    """Draw one percentile; return the pixel at which it ends, None without a value."""
    middle = series.start_seconds + series.bin_seconds / 2
    found = runs([(middle + index * series.bin_seconds, value) for index, value in enumerate(values)])
    x = panel.frame.scale
    total = sum(len(run) for run in found)
    for run in found:
        placed = [(x(seconds), scale(value)) for seconds, value in run]
        kept = thin(placed, panel.frame.points_max * len(run) // total)
        panel.line(kept, pen.role, pen.stroke, pen.width)
    return scale(found[-1][-1][1]) if found else None


def draw_limit(panel: Panel, y: float, limit_ms: float) -> None:
    """Draw the limit of p95 across the plot, at the pixel ``y``."""
    left, right = panel.frame.left, panel.frame.right
    add(
        panel.root, "line", x1=left, x2=right, y1=y, y2=y, stroke="failed", stroke_width=1.4, stroke_dasharray="9 3 2 3"
    )
    text = f"p95 limit {exact(limit_ms, 'ms')}"
    add(panel.root, "text", text, x=left + 5, y=y - 5, fill="failed", font_weight="600", **HALO)


def _describe(limit_ms: float | None) -> str:
    limit = f" The limit of p95 is {exact(limit_ms, 'ms')}." if limit_ms is not None else ""
    return f"Latency from the intended start in milliseconds on a logarithmic scale, as p50, p95 and p99.{limit}"
