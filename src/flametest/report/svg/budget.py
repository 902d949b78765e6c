"""Chart g: how much of the error budget of 30 days this one fault has used up."""

from flametest.model.result import Series
from flametest.report.format import exact, figure
from flametest.report.svg.canvas import add, line_path, serialise
from flametest.report.svg.frame import Entry, Frame, open_panel
from flametest.report.svg.scales import Linear, linear_ticks
from flametest.report.svg.thinning import thin

__all__ = ["draw_budget"]

_TITLE = "Error budget, %"
_HIGH_MIN = 1e-4  # an axis that ends below a hundredth of a percent would make one failure look like a catastrophe


def draw_budget(series: Series, frame: Frame, objective: float | None) -> str:
    """Return the chart as SVG; as the lowest of its scenario it carries the axis.

    Args:
        series: its ``budget_used`` is drawn.
        frame: the frame of the scenario's charts.
        objective: the SLO that the budget comes from.
    """
    used = series.budget_used[-1]
    panel = open_panel(frame, "budget", _TITLE, _describe(used, objective), 62, is_last=True)
    ticks = linear_ticks(max(used, _HIGH_MIN), 2)
    scale = Linear(0, ticks[-1], panel.bottom, panel.top)
    panel.y_axis([(scale(tick), f"{tick * 100:.10g}") for tick in ticks])
    starts = [series.start_seconds + (index + 1) * series.bin_seconds for index in range(len(series.budget_used))]
    placed = [(frame.x(seconds), scale(share)) for seconds, share in zip(starts, series.budget_used, strict=True)]
    points = [(frame.left, scale(0)), *thin(placed, frame.points_max)]
    if used > 0:
        outline = line_path([*points, (points[-1][0], scale(0))])
        add(panel.root, "path", d=f"{outline}z", fill="p99", fill_opacity="0.16")
    panel.line(points, "p99", width=1.8)
    panel.end_labels([(points[-1][1], figure(used, "share") if used else "none", "p99")])
    panel.key([Entry("used of 30 days", "p99")])
    return serialise(panel.root)


def _describe(used: float, objective: float | None) -> str:
    assumed = f", at the offered rate and an objective of {exact(objective, 'share')}" if objective is not None else ""
    return f"Share of the error budget of 30 days{assumed}, used up to each moment; {figure(used, 'share')} in the end."
