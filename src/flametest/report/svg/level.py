"""Chart f: the service level, with the area that was lost shaded and its seconds printed."""

from flametest.model.result import Series
from flametest.report.format import figure, percent, signed_seconds
from flametest.report.svg.canvas import add, line_path, serialise
from flametest.report.svg.frame import HALO, Entry, Frame, Panel, open_panel
from flametest.report.svg.patterns import pattern
from flametest.report.svg.scales import Linear
from flametest.report.svg.thinning import thin

__all__ = ["draw_level"]

_TITLE = "Service level, %"


def draw_level(series: Series, frame: Frame, lost_seconds: float | None, *, is_last: bool = False) -> str:
    """Return the chart as SVG.

    Args:
        series: its ``level`` is drawn.
        frame: the frame of the scenario's charts.
        lost_seconds: the lost area as it was measured; None without a request.
        is_last: whether it carries the axis.
    """
    panel = open_panel(frame, "level", _TITLE, _describe(series, lost_seconds), 84, is_last=is_last)
    scale = Linear(0, 1, panel.bottom, panel.top)
    panel.y_axis([(scale(share), f"{share:.0%}".removesuffix("%")) for share in (0, 0.5, 1)])
    points = _corners(series, frame, scale)
    if min(series.level) < 1:
        add(panel.root, "path", d=f"{line_path([(points[0][0], scale(1)), *points])}z", fill=pattern("bad"))
    panel.line(points, "good", width=1.8)
    if lost_seconds is not None:
        _print_lost(panel, lost_seconds)
    panel.key([Entry("good of offered", "good"), Entry("lost", "bad", pattern=pattern("bad"))])
    return serialise(panel.root)


def _corners(series: Series, frame: Frame, scale: Linear) -> list[tuple[float, float]]:
    """Return the level as steps, so that the shaded area is the one that was summed up."""
    corners: list[tuple[float, float]] = []
    for index, share in enumerate(series.level):
        start = series.start_seconds + index * series.bin_seconds
        corners += [(frame.x(start), scale(share)), (frame.x(start + series.bin_seconds), scale(share))]
    return [*thin(corners, frame.points_max), (frame.right, scale(1))]


def _print_lost(panel: Panel, lost_seconds: float) -> None:
    text = f"{figure(lost_seconds, 's')} of full service lost" if lost_seconds > 0 else "nothing lost"
    add(
        panel.root,
        "text",
        text,
        x=panel.frame.right - 6,
        y=(panel.top + panel.bottom) / 2 + 4,
        fill="bad" if lost_seconds > 0 else "ink",
        text_anchor="end",
        font_size=13,
        font_weight="650",
        **HALO,
    )


def _describe(series: Series, lost_seconds: float | None) -> str:
    what = "Share of the offered requests that were answered well; the area above it is lost service."
    worst = min(range(len(series.level)), key=lambda index: series.level[index])
    if series.level[worst] == 1:
        return f"{what} None was lost."
    at = signed_seconds(series.start_seconds + worst * series.bin_seconds)
    lost = f" In all {figure(lost_seconds, 's')} of full service were lost." if lost_seconds is not None else ""
    return f"{what} Lowest at {at}: {percent(series.level[worst])}.{lost}"
