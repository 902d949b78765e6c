"""How `scripts.bench` tells its figures: rows of a table, and what is in a row."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Row", "ratio", "seconds_of", "spread"]


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure; ``aim`` is what the project asks of it."""

    figure: str
    value: str
    aim: str


def seconds_of(action: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def spread(seconds: list[float]) -> str:
    """Return median, least and most."""
    ordered = sorted(seconds)
    return f"{statistics.median(ordered):.3f} s ({ordered[0]:.3f} to {ordered[-1]:.3f})"


def ratio(base: list[float], measured: list[float]) -> str:
    """Return what was measured, and how many times the base's median its median is."""
    return f"{spread(measured)}, {statistics.median(measured) / statistics.median(base):.2f} times"
