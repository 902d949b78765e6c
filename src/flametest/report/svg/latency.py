"""Chart b: latency from the intended start as p50, p95 and p99 on a logarithmic scale, with the limit."""

from flametest.model.result import Series
from flametest.report.format import figure
from flametest.report.svg.canvas import add, serialise
from flametest.report.svg.frame import Entry, Frame, Panel, Stroke, open_panel
from flametest.report.svg.scales import Logarithmic, logarithmic_ticks
from flametest.report.svg.thinning import runs, thin

__all__ = ["draw_latency"]

_TITLE = "Latency, ms"
_STROKES: tuple[tuple[str, Stroke, float], ...] = (("p50", "solid", 1.5), ("p95", "solid", 2.2), ("p99", "dotted", 1.6))


def draw_latency(series: Series, frame: Frame, limit_ms: float | None, *, is_last: bool = False) -> str:
    """Return the chart as SVG; a line breaks where a bin has no sample."""
    panel = open_panel(frame, "latency", _TITLE, _describe(limit_ms), 170, is_last=is_last)
    lines = {"p50": series.p50_ms, "p95": series.p95_ms, "p99": series.p99_ms}
    scale = _scale([value for line in lines.values() for value in line if value], limit_ms, panel)
    panel.y_axis([(scale(tick), f"{tick:,.10g}") for tick in logarithmic_ticks(scale.low, scale.high)])
    if limit_ms is not None and limit_ms > 0:
        _draw_limit(panel, scale(limit_ms), limit_ms)
    labels = []
    for role, stroke, width in _STROKES:
        end = _draw_line(panel, scale, series, lines[role], role, stroke, width)
        if end is not None:
            labels.append((end, role, role))
    panel.end_labels(labels)
    panel.key([Entry(role, role, stroke) for role, stroke, _ in reversed(_STROKES)])
    return serialise(panel.root)


def _scale(values: list[float], limit_ms: float | None, panel: Panel) -> Logarithmic:
    known = [value for value in (*values, limit_ms) if value is not None and value > 0] or [1.0]
    return Logarithmic(min(*known, 1e9) * 0.8, max(*known, 1e-3) * 1.25, panel.bottom, panel.top)


def _draw_line(
    panel: Panel,
    scale: Logarithmic,
    series: Series,
    values: tuple[float | None, ...],
    role: str,
    stroke: Stroke,
    width: float,
) -> float | None:
    middle = series.start_seconds + series.bin_seconds / 2
    found = runs([(middle + index * series.bin_seconds, value) for index, value in enumerate(values)])
    total = sum(len(run) for run in found)
    for run in found:
        kept = thin(run, max(2, panel.frame.points_max * len(run) // total))
        panel.line([(panel.frame.x(seconds), scale(value)) for seconds, value in kept], role, stroke, width)
    return scale(found[-1][-1][1]) if found else None


def _draw_limit(panel: Panel, y: float, limit_ms: float) -> None:
    left, right = panel.frame.left, panel.frame.right
    add(
        panel.root, "line", x1=left, x2=right, y1=y, y2=y, stroke="failed", stroke_width=1.4, stroke_dasharray="9 3 2 3"
    )
    text = f"p95 limit {figure(limit_ms, 'ms')}"
    add(panel.root, "text", text, x=left + 5, y=y - 5, fill="failed", font_size=11, font_weight="600")


def _describe(limit_ms: float | None) -> str:
    limit = f" The limit of p95 is {figure(limit_ms, 'ms')}." if limit_ms is not None else ""
    return f"Latency from the intended start in milliseconds on a logarithmic scale, as p50, p95 and p99.{limit}"
