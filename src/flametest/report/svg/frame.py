"""The frame that all charts of a scenario share: one axis of seconds from injection, the fault's band, the marks.

Each chart is a panel of that frame. Panels are stacked without a gap, so that a mark is one line through all of them.
A frame is wide (titles and names in a gutter at the left) or narrow (for a phone: titles above the plot).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from flametest.model.result import Mark, ScenarioResult, Series
from flametest.report.format import moment, signed_seconds
from flametest.report.svg.bands import Band, bands_of, draw_bands
from flametest.report.svg.canvas import Element, add, line_path, number, picture
from flametest.report.svg.scales import Linear, spread, time_ticks

__all__ = ["HALO", "Entry", "Frame", "Panel", "Stroke", "frame_of", "open_panel"]

Stroke = Literal["solid", "dashed", "dotted"]
DASHES: dict[Stroke, str] = {"solid": "", "dashed": "6 4", "dotted": "2 3"}

# Text over lines gets an edge of the ground's colour, so that it stays legible.
HALO: dict[str, str | float] = {
    "stroke": "surface",
    "stroke_width": 3,
    "stroke_linejoin": "round",
    "paint_order": "stroke",
}

_STRIP_HEIGHT = 40
_AXIS_HEIGHT = 40
_LABEL_GAP = 13.5
_GROUND_PIXELS = 2000  # taller than the tallest panel, that of forty pods on a phone


@dataclass(frozen=True, slots=True)
class Frame:
    """Where seconds stand in every chart of one scenario.

    Attributes:
        key: prefix of identifiers, unique on the page.
        is_narrow: whether it is drawn for a phone.
        start_seconds: left end of the axis.
        end_seconds: right end of the axis.
        bands: the faults; empty without one.
        marks: the numbered moments.
        points_max: how many points a line may have.
    """

    key: str
    is_narrow: bool
    start_seconds: float
    end_seconds: float
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]
    points_max: int

    @property
    def width(self) -> float:
        """Return the width of the drawing."""
        return 400 if self.is_narrow else 960

    @property
    def left(self) -> float:
        """Return the left edge of the plot."""
        return 42 if self.is_narrow else 190

    @property
    def right(self) -> float:
        """Return the right edge of the plot."""
        return self.width - (76 if self.is_narrow else 78)

    @property
    def scale(self) -> Linear:
        """Return the scale from seconds to pixels."""
        return Linear(self.start_seconds, self.end_seconds, self.left, self.right)

    def x(self, seconds: float) -> float:
        """Return the pixel of a moment."""
        return self.scale(seconds)

    def ticks(self) -> tuple[float, ...]:
        """Return the moments that the axis names."""
        return time_ticks(self.start_seconds, self.end_seconds, 5 if self.is_narrow else 10)

    def describe(self, *, has_marks: bool) -> str:
        """Return the axis in words, with the marks when this chart carries them."""
        marks = "; ".join(f"{mark.number} {mark.label} at {signed_seconds(mark.seconds)}" for mark in self.marks)
        axis = f"Seconds from injection, {moment(self.start_seconds)} to {moment(self.end_seconds)}."
        return f"{axis} Marks: {marks}." if marks and has_marks else axis


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a panel's key."""

    label: str
    role: str
    stroke: Stroke = "solid"
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart being drawn; the plot lies between ``top`` and ``bottom``."""

    root: Element
    frame: Frame
    top: float
    bottom: float

    def y_axis(self, ticks: Sequence[tuple[float, str]]) -> None:
        """Draw grid lines at the pixels of ``ticks`` with their labels."""
        left, right = number(self.frame.left), number(self.frame.right)
        grid = "".join(f"M{left} {number(y)}H{right}" for y, _ in ticks)
        add(self.root, "path", d=grid, stroke="line", stroke_width=0.7)
        group = add(self.root, "g", text_anchor="end")
        for y, label in ticks:
            add(group, "text", label, x=self.frame.left - 6, y=y + 4)

    def end_labels(self, labels: Sequence[tuple[float, str, str]]) -> None:
        """Write ``(y, text, role)`` beside the right end of the plot, so that none covers another."""
        places = spread([y for y, _, _ in labels], _LABEL_GAP, self.top + 4, self.bottom - 2)
        for place, (y, text, role) in zip(places, labels, strict=True):
            right = self.frame.right
            if abs(place - y) > 2:
                add(
                    self.root,
                    "path",
                    d=f"M{right + 1:.1f} {y:.1f}L{right + 7:.1f} {place:.1f}",
                    stroke=role,
                    fill="none",
                )
            add(self.root, "text", text, x=right + 9, y=place + 4, fill=role, font_size=11.5, font_weight="600")

    def line(
        self, points: Sequence[tuple[float, float]], role: str, stroke: Stroke = "solid", width: float = 1.6
    ) -> None:
        """Draw a line through pixels."""
        attributes = {"stroke_dasharray": DASHES[stroke]} if DASHES[stroke] else {}
        add(self.root, "path", d=line_path(points), stroke=role, fill="none", stroke_width=width, **attributes)

    def key(self, entries: Sequence[Entry]) -> None:
        """Write the key: below the title in the gutter, or in one row when narrow."""
        x, y = (0.0, 31.0) if self.frame.is_narrow else (2.0, self.top + 26)
        for entry in entries:
            self._sample(entry, x, y)
            add(self.root, "text", entry.label, x=x + 25, y=y + 4)
            if self.frame.is_narrow:
                x += 36 + len(entry.label) * 7
            else:
                y += 17

    def _sample(self, entry: Entry, x: float, y: float) -> None:
        if entry.pattern:
            add(
                self.root, "rect", x=x, y=y - 5, width=18, height=10, rx=2,
                fill=entry.pattern, stroke=entry.role,
            )  # fmt: skip
        else:
            self.line([(x, y), (x + 18, y)], entry.role, entry.stroke, 2)


def frame_of(scenario: ScenarioResult, series: Series, key: str, *, is_narrow: bool, points_max: int) -> Frame:
    """Return the frame of a scenario's charts."""
    return Frame(
        key=f"{key}-{'n' if is_narrow else 'w'}",
        is_narrow=is_narrow,
        start_seconds=series.start_seconds,
        end_seconds=series.end_seconds,
        bands=bands_of(scenario),
        marks=scenario.marks,
        points_max=points_max,
    )


def open_panel(
    frame: Frame,
    name: str,
    title: str,
    description: str,
    plot_height: float,
    *,
    is_first: bool = False,
    is_last: bool = False,
    has_header: bool = False,
) -> Panel:
    """Begin a chart: its picture, title, band, lines of the marks; the first has the marks, the last the axis."""
    strip = _STRIP_HEIGHT if is_first else 0
    header = 44 if frame.is_narrow else 30 if has_header else 12
    top = strip + header
    bottom = top + plot_height
    height = bottom + (_AXIS_HEIGHT if is_last else 8)
    root = picture(
        f"{frame.key}-{name}", frame.width, height, title, f"{description} {frame.describe(has_marks=is_first)}"
    )
    for attribute, value in (("left", frame.left), ("right", frame.right)):
        root.set(f"data-{attribute}", f"{value:g}")
    panel = Panel(root, frame, top, bottom)
    # A phone has no gutter: there the title and the key stand above the marks, not between them and the plot.
    strip_top = header if frame.is_narrow else 0
    plot_top = strip_top + strip - 12 if is_first else top - 4 if frame.is_narrow else 0
    _draw_ground(panel, plot_top, is_first, is_last)
    if is_last:
        _draw_axis(panel)
    if is_first:
        _draw_marks(panel, strip_top, plot_top)
    in_gutter = not frame.is_narrow and not has_header
    x, y = (2, top + 8) if in_gutter else (0 if frame.is_narrow else 2, 16)
    add(root, "text", title, x=x, y=y, fill="ink", font_size=13, font_weight="650")
    return panel


def _draw_ground(panel: Panel, top: float, is_first: bool, is_last: bool) -> None:
    """Draw what runs through all panels: the band, the grid, the lines of the marks.

    The first panel holds it, longer than any panel, and the others refer to it, as a drawing cuts off what is below
    it. The last one has to end it above its axis, and so has its own.
    """
    frame, key = panel.frame, f"{panel.frame.key}-ground"
    if not (is_first or is_last):
        add(panel.root, "use", href=f"#{key}", y=top)
        return
    bottom = panel.bottom + 8 - top if is_last else _GROUND_PIXELS
    ground = add(panel.root, "g", transform=f"translate(0 {number(top)})")
    if is_first:
        ground = add(ground, "g", id=key)
    draw_bands(ground, frame.bands, frame.x, 0, bottom)
    for band in frame.bands if is_first else ():
        start, end = frame.x(band.start_seconds), frame.x(band.end_seconds)
        if not band.name and end - start > 60:
            add(panel.root, "text", "fault", x=end - 5, y=top + 11, text_anchor="end")
    grid = "".join(f"M{number(frame.x(seconds))} 0v{number(bottom)}" for seconds in frame.ticks())
    add(ground, "path", d=grid, stroke="grid", stroke_width=0.8)
    if frame.marks:
        lines = "".join(f"M{number(frame.x(mark.seconds))} 0v{number(bottom)}" for mark in frame.marks)
        add(ground, "path", d=lines, stroke="muted", stroke_width=0.8, stroke_dasharray="1 2")


def _draw_axis(panel: Panel) -> None:
    frame, root = panel.frame, panel.root
    edge = f"M{number(frame.left)} {number(panel.bottom + 8)}H{number(frame.right)}"
    add(root, "path", d=edge, stroke="muted")
    group = add(root, "g", text_anchor="middle")
    for seconds in frame.ticks():
        add(group, "text", moment(seconds), x=frame.x(seconds), y=panel.bottom + 20)
    label = "seconds from injection"
    add(root, "text", label, x=frame.right, y=panel.bottom + 36, text_anchor="end")


def _draw_marks(panel: Panel, top: float, plot_top: float) -> None:
    frame, root = panel.frame, panel.root
    true_places = [frame.x(mark.seconds) for mark in frame.marks]
    places = spread(true_places, 20, frame.left - 20, frame.right + 20)
    joints = zip(true_places, places, strict=True)
    leaders = "".join(f"M{number(x)} {number(plot_top)}L{number(place)} {number(top + 18)}" for x, place in joints)
    add(root, "path", d=leaders, stroke="muted", fill="none", stroke_width=0.8)
    group = add(root, "g", fill="ink", text_anchor="middle", font_weight="700")
    for mark, place in zip(frame.marks, places, strict=True):
        badge = add(group, "g")
        add(badge, "title", f"{mark.label}, {signed_seconds(mark.seconds)}")
        add(badge, "circle", cx=place, cy=top + 11, r=8.5)
        add(badge, "text", str(mark.number), x=place, y=top + 15, fill="surface")
