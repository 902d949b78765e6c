"""The pen of all drawings: SVG elements with escaped text, and colours by their role.

Built on ElementTree, which escapes whatever a name may hold. A colour is given by its role in the palette; the
element gets the light value as an attribute and a class by which the style sheet follows the reader's scheme.
"""

from xml.etree import ElementTree

from flametest.report.format import plain
from flametest.report.palette import swatch

__all__ = ["Element", "add", "number", "picture", "serialise"]

Element = ElementTree.Element

_PAINTS = ("fill", "stroke")


def number(value: float) -> str:
    """Return a coordinate with at most one decimal, as short as can be."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


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
            "font-size": "12",
        },
    )
    add(root, "title", title, id=f"{key}-title")
    add(root, "desc", description, id=f"{key}-desc")
    add(root, "rect", width=width, height=height, fill="surface")
    return root


def add(parent: Element, tag: str, text: str = "", /, **attributes: str | float) -> Element:
    """Add an element and return it; ``stroke_width`` becomes ``stroke-width``, roles of colours become colours."""
    element = ElementTree.SubElement(parent, tag)
    classes = []
    for name, value in attributes.items():
        written = plain(value) if isinstance(value, str) else number(value)
        found = swatch(written) if name in _PAINTS else None
        if found is not None:
            classes.append(f"{name[0]}-{written}")
            written = found.light
        element.set(name.rstrip("_").replace("_", "-"), written)
    if classes:
        element.set("class", " ".join(classes))
    if text:
        element.text = plain(text)
    return element


def serialise(root: Element) -> str:
    """Return the drawing as text that can stand in an HTML page."""
    return ElementTree.tostring(root, encoding="unicode")
