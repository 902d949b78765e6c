"""The pen of all drawings: SVG elements with escaped text, and colours by their role.

Built on ElementTree, which escapes whatever a name may hold. A colour is given by its role in the palette; the
element gets the light value as an attribute, which the style sheet replaces where the reader's scheme is dark.
"""

import itertools
from collections.abc import Sequence
from xml.etree import ElementTree

from flametest.report.format import plain
from flametest.report.palette import swatch

__all__ = ["Element", "add", "line_path", "number", "picture", "serialise"]

Element = ElementTree.Element

_PAINTS = ("fill", "stroke")


def number(value: float) -> str:
    """Return a coordinate with at most one decimal, as short as can be."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


def line_path(points: Sequence[tuple[float, float]]) -> str:
    """Return a line through pixels as path data, in tenths of a pixel and relative, which is half as long.

    Level stretches become one step; a single point becomes a short dash, so that it can be seen.
    """
    tenths = [(round(x * 10), round(y * 10)) for x, y in points]
    steps: list[tuple[int, int]] = []
    for (x, y), (next_x, next_y) in itertools.pairwise(tenths):
        step = (next_x - x, next_y - y)
        if steps and step[1] == 0 and steps[-1][1] == 0 and step[0] * steps[-1][0] >= 0:
            steps[-1] = (steps[-1][0] + step[0], 0)
        elif step != (0, 0):
            steps.append(step)
    if not steps:
        steps = [(15, 0)]
    return f"M{_joined(tenths[:1])}l{_joined(steps)}"


def picture(key: str, width: float, height: float, title: str, description: str) -> Element:
    """Return an empty picture of that size with its title and description for those who do not see it.

    Args:
        key: prefix of the identifiers in it, unique on the page.
        width: in pixels; the page scales it to the room there is.
        height: in pixels.
        title: what it shows.
        description: what is to be seen, in a sentence or two.
    """
    root = Element(
        "svg",
        {
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "width": number(width),
            "height": number(height),
            "role": "img",
            "aria-labelledby": f"{key}-title {key}-desc",
            "font-family": "system-ui, sans-serif",
            "font-size": "11",
        },
    )
    # What most texts have is said once, for all of them.
    muted = swatch("muted")
    if muted is not None:
        root.set("fill", muted.light)
    add(root, "title", title, id=f"{key}-title")
    add(root, "desc", description, id=f"{key}-desc")
    return root


def add(parent: Element, tag: str, text: str = "", /, **attributes: str | float) -> Element:
    """Add an element and return it; ``stroke_width`` becomes ``stroke-width``, roles of colours become colours."""
    element = ElementTree.SubElement(parent, tag)
    for name, value in attributes.items():
        written = plain(value) if isinstance(value, str) else number(value)
        found = swatch(written) if name in _PAINTS else None
        element.set(name.replace("_", "-"), found.light if found is not None else written)
    if text:
        element.text = plain(text)
    return element


def _joined(pairs: Sequence[tuple[int, int]]) -> str:
    """Write numbers with no more blanks than the grammar of paths needs."""
    parts: list[str] = []
    last = ""
    for tenths in itertools.chain.from_iterable(pairs):
        written = _short(tenths)
        is_told_apart = not last or written[0] == "-" or (written[0] == "." and "." in last)
        parts.append(written if is_told_apart else f" {written}")
        last = written
    return "".join(parts)


def _short(tenths: int) -> str:
    whole, rest = divmod(abs(tenths), 10)
    digits = f"{whole or ''}.{rest}" if rest else str(whole)
    return f"-{digits}" if tenths < 0 else digits


def serialise(root: Element) -> str:
    """Return the drawing as text that can stand in an HTML page."""
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")
