"""Chart e: the life line of each pod by its uid: pending, running, ready, terminating."""

from flametest.model.plurals import counted
from flametest.model.result import LifeSpan, PodLife, Series
from flametest.report.format import shortened
from flametest.report.svg.canvas import add, number, serialise
from flametest.report.svg.frame import HALO, Entry, Frame, Panel, open_panel
from flametest.report.svg.patterns import pattern

__all__ = ["PODS_MAX", "draw_pod_lives"]

PODS_MAX = 40

_TITLE = "Life of each pod"
# How each state is filled: what serves is solid, all else has a pattern.
_FILLS = {
    "pending": pattern("pending"),
    "running": pattern("running"),
    "ready": "ready",
    "terminating": pattern("terminating"),
}


def draw_pod_lives(series: Series, frame: Frame, *, is_last: bool) -> str:
    """Return the chart as SVG; only the first `PODS_MAX` pods are drawn."""
    pods = series.pods[:PODS_MAX]
    row = 32 if frame.is_narrow else 21
    described = (
        f"The life lines of {counted(len(pods), 'pod')} by uid: pending, running but not ready, ready, terminating."
    )
    panel = open_panel(
        frame, "pods", _TITLE, described, max(1, len(pods)) * row + 4, is_last=is_last, has_header=True
    )  # fmt: skip
    _draw_key(panel)
    for index, pod in enumerate(pods):
        _draw_pod(panel, pod, panel.top + index * row)
    return serialise(panel.root)


def _draw_key(panel: Panel) -> None:
    entries = [
        Entry(state if state != "running" else "running, not ready", state, pattern=_FILLS[state]) for state in _FILLS
    ]
    if panel.frame.is_narrow:
        panel.key([Entry(entry.role, entry.role, pattern=entry.pattern) for entry in entries])
        return
    x = panel.frame.left
    for entry in entries:
        add(
            panel.root, "rect", x=x, y=8, width=18, height=10, rx=2,
            fill=entry.pattern, stroke=entry.role,
        )  # fmt: skip
        add(panel.root, "text", entry.label, x=x + 24, y=17)
        x += 46 + len(entry.label) * 7


def _draw_pod(panel: Panel, pod: PodLife, top: float) -> None:
    frame, root = panel.frame, panel.root
    name = add(
        root,
        "text",
        shortened(pod.name, 36 if frame.is_narrow else 27),
        fill="ink",
        font_size=10.5,
        **(HALO if frame.is_narrow else {}),
    )
    name.set("font-family", "ui-monospace, monospace")
    if frame.is_narrow:
        place = {"x": 0, "y": top + 10}
        top += 13
    else:
        place = {"x": frame.left - 6, "y": top + 14}
        name.set("text-anchor", "end")
        top += 3
    for attribute, value in place.items():
        name.set(attribute, number(value))
    for span in pod.spans:
        _draw_span(panel, pod, span, top)
    add(root, "text", shortened(pod.node, 10), x=frame.right + 9, y=top + 11)


def _draw_span(panel: Panel, pod: PodLife, span: LifeSpan, top: float) -> None:
    frame = panel.frame
    start, end = frame.x(span.start_seconds), frame.x(span.end_seconds)
    role = span.state if span.state in _FILLS else "pending"
    group = add(panel.root, "g")
    add(group, "title", f"{pod.name}: {span.state} for {span.end_seconds - span.start_seconds:.2f} s")
    add(
        group, "rect", x=start, y=top, width=max(1.2, end - start), height=14, rx=2,
        fill=_FILLS[role], stroke=role,
    )  # fmt: skip
