"""Chart a: offered, good and bad requests a second. Where good leaves offered, users were failed."""

from flametest.model.result import Series
from flametest.report.format import figure, signed_seconds
from flametest.report.svg.canvas import add, line_path, serialise
from flametest.report.svg.frame import Entry, Frame, Panel, open_panel
from flametest.report.svg.patterns import pattern
from flametest.report.svg.scales import Linear, linear_ticks
from flametest.report.svg.thinning import thin

__all__ = ["draw_rates"]

_TITLE = "Requests per second"


def draw_rates(series: Series, frame: Frame) -> str:
    """Return the chart as SVG; it carries the numbered marks, as it is the uppermost."""
    panel = open_panel(frame, "rates", _TITLE, _describe(series), 130, is_first=True)
    ticks = linear_ticks(max((*series.offered, *series.good, *series.bad), default=0.0))
    scale = Linear(0, ticks[-1], panel.bottom, panel.top)
    panel.y_axis([(scale(tick), f"{tick:,.10g}") for tick in ticks])
    good = _place(series.good, series, frame, scale)
    bad = _place(series.bad, series, frame, scale)
    _area(panel, good, scale(0), "good", opacity=0.14)
    if any(series.bad):
        _area(panel, bad, scale(0), pattern("bad"), opacity=1.0)
    panel.line(_place(series.offered, series, frame, scale), "offered", "dashed", 1.4)
    panel.line(good, "good", width=1.8)
    panel.line(bad, "bad", width=1.8)
    panel.end_labels(
        [
            (scale(values[-1]) if values else scale(0), label, label)
            for label, values in (("offered", series.offered), ("good", series.good), ("bad", series.bad))
        ]
    )
    panel.key(
        [Entry("offered", "offered", "dashed"), Entry("good", "good"), Entry("bad", "bad", pattern=pattern("bad"))],
    )
    return serialise(panel.root)


def _place(values: tuple[float, ...], series: Series, frame: Frame, scale: Linear) -> list[tuple[float, float]]:
    middle = series.start_seconds + series.bin_seconds / 2
    points = [(middle + index * series.bin_seconds, value) for index, value in enumerate(values)]
    x = frame.scale
    placed = [(x(seconds), scale(value)) for seconds, value in points]
    return list(thin(placed, frame.points_max))


def _area(panel: Panel, points: list[tuple[float, float]], floor: float, fill: str, *, opacity: float) -> None:
    outline = line_path([(points[0][0], floor), *points, (points[-1][0], floor)])
    add(panel.root, "path", d=f"{outline}z", fill=fill, fill_opacity=f"{opacity:g}")


def _describe(series: Series) -> str:
    if not any(series.bad):
        return "Offered, good and bad requests per second. No request was bad."
    worst = max(range(len(series.bad)), key=lambda index: series.bad[index])
    at = signed_seconds(series.start_seconds + worst * series.bin_seconds)
    return f"Offered, good and bad requests per second. Most were bad at {at}: {figure(series.bad[worst], '1/s')}."
