"""The report's colours, once: the style sheet and the drawings read them here, and a test checks their contrast.

Every colour has a value for light and one for dark grounds. Drawings write the light value as an SVG attribute, so
that they stay readable where a server forbids style sheets; the style sheet finds them by that value and swaps in the
dark one, so roles that are alike in light have to be alike in dark. No colour carries a meaning alone: beside it
stands a word, a shape, a pattern or a dash.
"""

from dataclasses import dataclass

__all__ = ["GROUNDS", "SWATCHES", "TEXT_COLOURS", "Swatch", "contrast", "swatch"]


@dataclass(frozen=True, slots=True)
class Swatch:
    """One colour by its role; both values are ``#rrggbb``."""

    role: str
    light: str
    dark: str


# What other colours stand on.
GROUNDS: tuple[Swatch, ...] = (
    Swatch("page", "#f6f6f4", "#13161a"),
    Swatch("surface", "#ffffff", "#1c2026"),
    Swatch("passed-ground", "#e9f4ee", "#17291f"),
    Swatch("failed-ground", "#fcecea", "#321b1a"),
    Swatch("inconclusive-ground", "#fdf2df", "#30260f"),
)

# Used for text or for thin lines with a label: at least 4.5 to 1 on every ground.
TEXT_COLOURS: tuple[Swatch, ...] = (
    Swatch("ink", "#1b2027", "#e9ebee"),
    Swatch("muted", "#57606b", "#a7b0bb"),
    Swatch("link", "#1d5aa8", "#86bbf7"),
    Swatch("passed", "#17693f", "#62c794"),
    Swatch("failed", "#b3251c", "#ff8d82"),
    Swatch("inconclusive", "#855000", "#f0b75a"),
    Swatch("offered", "#5d6673", "#a0a9b5"),
    Swatch("good", "#2462ad", "#74b1f5"),
    Swatch("bad", "#b3251c", "#ff8d82"),
    Swatch("p50", "#2462ad", "#74b1f5"),
    Swatch("p95", "#7443b0", "#c3a0f2"),
    Swatch("p99", "#a84a0a", "#f2a065"),
    Swatch("desired", "#5d6673", "#a0a9b5"),
    Swatch("endpoints", "#7443b0", "#c3a0f2"),
)

# Shapes with a pattern and a label: at least 3 to 1 on page and surface.
_SHAPES: tuple[Swatch, ...] = (
    Swatch("ready", "#2c7a7b", "#5fc1bd"),
    Swatch("running", "#a9720f", "#d9a441"),
    Swatch("pending", "#737c88", "#8f99a6"),
    Swatch("terminating", "#b3251c", "#ff8d82"),
)

# Decoration only: lines of the grid and the fault's band, which has edges and a label besides.
_QUIET: tuple[Swatch, ...] = (
    Swatch("line", "#dcdfe3", "#343b44"),
    Swatch("grid", "#e9ebee", "#2a3038"),
    Swatch("band", "#f7e3d4", "#3a2a20"),
    Swatch("stone", "#eef0f2", "#262c33"),
)

SWATCHES: tuple[Swatch, ...] = (*GROUNDS, *TEXT_COLOURS, *_SHAPES, *_QUIET)

_BY_ROLE = {one.role: one for one in SWATCHES}


def swatch(role: str) -> Swatch | None:
    """Return the colour of that role, or None when there is none."""
    return _BY_ROLE.get(role)


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two ``#rrggbb`` colours, from 1 to 21 (WCAG 2.2, relative luminance)."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
