"""The bands of faults behind the charts: one for a single fault, and one in its own pattern for each of several.

A band of several has hatching in a direction and a colour of its own, so that bands may lie over each other; what each
is called stands in the chart of faults, which is their key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flametest.model.events import Phase
from flametest.model.result import ScenarioResult
from flametest.report.svg.canvas import Element, add, number
from flametest.report.svg.patterns import FAULT_ROLES, fault_pattern

__all__ = ["Band", "bands_of", "draw_bands", "role_of"]

_MOMENT_PIXELS = 2.0


@dataclass(frozen=True, slots=True)
class Band:
    """A fault on the charts' axis.

    Attributes:
        name: what it is called; empty for the only one.
        start_seconds: its injection.
        end_seconds: its healing; its injection for one that was over at once.
        index: its place among several.
    """

    name: str
    start_seconds: float
    end_seconds: float
    index: int = 0

    @property
    def is_moment(self) -> bool:
        """Return whether it was over at once."""
        return self.end_seconds <= self.start_seconds


def bands_of(scenario: ScenarioResult) -> tuple[Band, ...]:
    """Return the bands of a scenario: the phase of its fault, or one for each of several faults."""
    if not scenario.faults:
        return tuple(Band("", start, end) for phase, start, end in scenario.phases if phase is Phase.FAULT)
    return tuple(
        Band(one.name, one.injected_seconds, _or(one.healed_seconds, one.injected_seconds), index)
        for index, one in enumerate(scenario.faults)
    )


def role_of(band: Band) -> str:
    """Return the role of the colour of one of several bands."""
    return FAULT_ROLES[band.index % len(FAULT_ROLES)]


def draw_bands(parent: Element, bands: Sequence[Band], x: Callable[[float], float], top: float, height: float) -> None:
    """Draw bands from ``top`` on, ``height`` pixels high; ``x`` gives the pixel of a moment."""
    for band in bands:
        start = x(band.start_seconds)
        width = max(_MOMENT_PIXELS, x(band.end_seconds) - start)
        if not band.name:
            add(parent, "rect", x=start, y=top, width=width, height=height, fill="band")
            continue
        add(parent, "rect", x=start, y=top, width=width, height=height, fill=fault_pattern(band.index))
        edges = (
            f"M{number(start)} {number(top)}v{number(height)}M{number(start + width)} {number(top)}v{number(height)}"
        )
        add(parent, "path", d=edges, stroke=role_of(band), stroke_width=0.8, stroke_opacity=0.6)


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
