"""Patterns, so that no area is told from another by its colour alone.

The page defines each of them once, for all drawings of all scenarios: `definitions` is what stands at its head, and
`pattern` what a drawing writes as ``fill``.
"""

from dataclasses import dataclass

from flametest.report.svg.canvas import Element, add, serialise

__all__ = ["FAULT_ROLES", "definitions", "fault_pattern", "pattern"]


@dataclass(frozen=True, slots=True)
class _Lines:
    """Parallel lines; lengths in pixels."""

    angle: float
    gap: float
    width: float


# By the role of their colour; those without lines are dotted.
_PATTERNS: dict[str, _Lines | None] = {
    "bad": _Lines(angle=45, gap=5, width=1.6),
    "pending": _Lines(angle=0, gap=4, width=1),
    "running": None,
    "terminating": _Lines(angle=-45, gap=5, width=2),
}


FAULT_ROLES = ("p99", "p95", "ready", "p50")
"""The roles of the colours of several faults, in their order; a fifth one looks like the first."""

# What is below stays to be seen, since faults overlap.
_FAULTS: tuple[_Lines, ...] = (
    _Lines(angle=45, gap=9, width=1.5),
    _Lines(angle=-45, gap=9, width=1.5),
    _Lines(angle=0, gap=7, width=1.5),
    _Lines(angle=90, gap=7, width=1.5),
)


def fault_pattern(index: int) -> str:
    """Return the fill of the band of one of several faults, by its place among them."""
    return f"url(#pattern-fault-{index % len(_FAULTS) + 1})"


def pattern(role: str) -> str:
    """Return the fill of an area in the pattern of a role: bad, pending, running or terminating."""
    return f"url(#pattern-{role})"


def definitions() -> str:
    """Return all patterns in a drawing without an extent; it may not be hidden, or browsers would not fill by it."""
    root = Element("svg", {"width": "0", "height": "0", "aria-hidden": "true", "class": "defs"})
    for role, lines in _PATTERNS.items():
        side = lines.gap if lines is not None else 6.0
        turned = {"patternTransform": f"rotate({lines.angle:g})"} if lines is not None else {}
        tile = add(
            root, "pattern", id=f"pattern-{role}", width=side, height=side, patternUnits="userSpaceOnUse", **turned
        )
        add(tile, "rect", width=side, height=side, fill="surface")
        if lines is None:
            _draw_dots(tile, role)
        else:
            x = lines.width / 2
            add(tile, "line", x1=x, x2=x, y1=0, y2=side, stroke=role, stroke_width=lines.width)
    for number, (role, lines) in enumerate(zip(FAULT_ROLES, _FAULTS, strict=True), start=1):
        turned = {"patternTransform": f"rotate({lines.angle:g})"}
        size = {"width": lines.gap, "height": lines.gap}
        tile = add(root, "pattern", id=f"pattern-fault-{number}", **size, patternUnits="userSpaceOnUse", **turned)
        x = lines.width / 2
        add(tile, "line", x1=x, x2=x, y1=0, y2=lines.gap, stroke=role, stroke_width=lines.width, stroke_opacity=0.45)
    return serialise(root)


def _draw_dots(tile: Element, role: str) -> None:
    for middle in (1.6, 4.6):
        add(tile, "circle", cx=middle, cy=middle, r=1.4, fill=role)
