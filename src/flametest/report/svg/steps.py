"""Chart d: desired pods, ready pods and ready endpoints of the faulted workload as steps."""

from flametest.model.result import Series, Step
from flametest.report.format import signed_seconds
from flametest.report.svg.canvas import serialise
from flametest.report.svg.frame import Entry, Frame, Stroke, open_panel
from flametest.report.svg.scales import Linear, linear_ticks

__all__ = ["draw_steps"]

_TITLE = "Pods and endpoints"
_STROKES: tuple[tuple[str, str, Stroke, float], ...] = (
    ("ready", "ready pods", "solid", 3.2),
    ("endpoints", "endpoints", "dotted", 1.8),
    ("desired", "desired", "dashed", 1.4),
)


def draw_steps(series: Series, frame: Frame, workload: str, *, is_last: bool = False) -> str:
    """Return the chart as SVG."""
    panel = open_panel(frame, "steps", _TITLE, _describe(series, workload), 84, is_last=is_last)
    lines = {"ready": series.ready_pods, "endpoints": series.ready_endpoints, "desired": series.desired_pods}
    high = max((step.value for steps in lines.values() for step in steps), default=1)
    ticks = [tick for tick in linear_ticks(high, min(4, max(1, high))) if tick == int(tick)]
    scale = Linear(0, max(ticks[-1], 1) * 1.12, panel.bottom, panel.top)
    panel.y_axis([(scale(tick), f"{tick:,.0f}") for tick in ticks])
    labels = []
    for role, label, stroke, width in _STROKES:
        steps = lines[role]
        if steps:
            panel.line(_corners(steps, frame, scale), role, stroke, width)
            labels.append((scale(steps[-1].value), label.removesuffix(" pods"), role))
    panel.end_labels(labels)
    panel.key([Entry(label, role, stroke) for role, label, stroke, _ in _STROKES])
    return serialise(panel.root)


def _corners(steps: tuple[Step, ...], frame: Frame, scale: Linear) -> list[tuple[float, float]]:
    corners: list[tuple[float, float]] = []
    for step in steps:
        x = frame.x(step.seconds)
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, scale(step.value)))
    return [*corners, (frame.right, corners[-1][1])]


def _describe(series: Series, workload: str) -> str:
    what = f"Desired pods, ready pods and ready endpoints of {workload or 'the workload'} as steps."
    if not series.ready_pods:
        return what
    lowest = min(series.ready_pods, key=lambda step: step.value)
    return f"{what} Fewest ready pods: {lowest.value}, from {signed_seconds(lowest.seconds)}."
