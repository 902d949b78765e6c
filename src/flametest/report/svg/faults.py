"""Chart of several faults: a bar for each from its injection to its healing, and its name; the key to their bands."""

from flametest.report.format import signed_seconds
from flametest.report.svg.bands import Band, role_of
from flametest.report.svg.canvas import add, serialise
from flametest.report.svg.frame import HALO, Frame, open_panel
from flametest.report.svg.patterns import fault_pattern

__all__ = ["draw_faults"]

_TITLE = "Faults"
_ROW_HEIGHT = 22
_BAR_HEIGHT = 13
_NARROW_CHARACTERS = 24


def draw_faults(frame: Frame) -> str:
    """Return the chart as SVG."""
    height = _ROW_HEIGHT * len(frame.bands) + 6
    panel = open_panel(frame, "faults", _TITLE, _describe(frame.bands), height)
    names = add(panel.root, "g", fill="ink", font_size=11.5)
    for row, band in enumerate(frame.bands):
        y, start = panel.top + 4 + row * _ROW_HEIGHT, frame.x(band.start_seconds)
        role, width = role_of(band), max(3.0, frame.x(band.end_seconds) - start)
        bar = {"x": start, "y": y, "width": width, "height": _BAR_HEIGHT, "rx": 2}
        add(panel.root, "rect", **bar, fill="surface")
        add(panel.root, "rect", **bar, fill=fault_pattern(band.index), stroke=role, stroke_width=1.4)
        if frame.is_narrow:
            text = band.name if len(band.name) <= _NARROW_CHARACTERS else f"{band.name[: _NARROW_CHARACTERS - 1]}…"
            add(names, "text", text, x=start + 6, y=y + 10, **HALO)
        else:
            key = {"x": 2, "y": y + _ROW_HEIGHT, "width": 18, "height": 10, "rx": 2}
            add(panel.root, "rect", **key, fill=fault_pattern(band.index), stroke=role)
            add(names, "text", band.name, x=27, y=y + _ROW_HEIGHT + 9)
    return serialise(panel.root)


def _describe(bands: tuple[Band, ...]) -> str:
    told = (
        f"{band.name} at {signed_seconds(band.start_seconds)}"
        if band.is_moment
        else f"{band.name} from {signed_seconds(band.start_seconds)} to {signed_seconds(band.end_seconds)}"
        for band in bands
    )
    return f"When each fault lasted: {'; '.join(told)}."
