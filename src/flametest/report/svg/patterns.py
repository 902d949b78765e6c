"""Patterns, so that no area is told from another by its colour alone."""

from flametest.report.svg.canvas import Element, add

__all__ = ["dots", "hatch"]


def hatch(root: Element, identifier: str, role: str, *, angle: float = 45, gap: float = 6, width: float = 2) -> str:
    """Define parallel lines in a colour; return what to write as ``fill``."""
    pattern = add(
        root, "pattern", id=identifier, width=gap, height=gap,
        patternUnits="userSpaceOnUse", patternTransform=f"rotate({angle:g})",
    )  # fmt: skip
    add(pattern, "rect", width=gap, height=gap, fill="surface")
    add(pattern, "line", x1=width / 2, x2=width / 2, y1=0, y2=gap, stroke=role, stroke_width=width)
    return f"url(#{identifier})"


def dots(root: Element, identifier: str, role: str) -> str:
    """Define dots in a colour; return what to write as ``fill``."""
    pattern = add(root, "pattern", id=identifier, width=6, height=6, patternUnits="userSpaceOnUse")
    add(pattern, "rect", width=6, height=6, fill="surface")
    for x, y in ((1.6, 1.6), (4.6, 4.6)):
        add(pattern, "circle", cx=x, cy=y, r=1.4, fill=role)
    return f"url(#{identifier})"
