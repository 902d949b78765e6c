"""Scales and ticks: where a value stands in a plot, and which values an axis names. Pure arithmetic of layout."""

import math
from dataclasses import dataclass

__all__ = ["Linear", "Logarithmic", "linear_ticks", "logarithmic_ticks", "spread", "time_ticks"]

_TIME_STEPS_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600)
_TICKS_MAX = 200


@dataclass(frozen=True, slots=True)
class Linear:
    """Maps ``low .. high`` to the pixels ``start .. end``; values outside are held at the edge."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of ``value``."""
        if self.high <= self.low:
            return self.start
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Logarithmic:
    """As `Linear`, by the logarithm; ``low`` and ``high`` are positive."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of ``value``; what is not positive stands at ``low``."""
        low, high = math.log10(self.low), math.log10(self.high)
        part = (math.log10(min(max(value, self.low), self.high)) - low) / (high - low)
        return self.start + part * (self.end - self.start)


def linear_ticks(high: float, wanted: int = 4) -> tuple[float, ...]:
    """Return round values from 0 to the first one at or over ``high``, about ``wanted`` steps of them."""
    if high <= 0:
        return (0.0, 1.0)
    raw = high / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    return tuple(step * index for index in range(math.ceil(high / step - 1e-9) + 1))


def logarithmic_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return powers of ten that lie in ``low .. high``, and their double and fivefold when there are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 3 else (1,)
    ticks = (factor * 10.0**power for power in powers for factor in factors)
    return tuple(tick for tick in ticks if low * 0.999 <= tick <= high * 1.001)


def time_ticks(start: float, end: float, wanted: int) -> tuple[float, ...]:
    """Return multiples of a round step between ``start`` and ``end``, about ``wanted`` of them, 0 included."""
    length = end - start
    if length <= 0:
        return (start,)
    fallback = length / wanted
    step = next((one for one in _TIME_STEPS_SECONDS if length / one <= wanted), fallback)
    first, last = math.ceil(start / step - 1e-9), math.floor(end / step + 1e-9)
    return tuple(index * step for index in range(first, min(last, first + _TICKS_MAX) + 1))


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Return places at least ``gap`` apart and within ``low .. high``, close to the wanted ones and in their order.

    Where there is no room for all, they stand closer than ``gap``, evenly.
    """
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    places = [wanted[index] for index in order]
    for index, place in enumerate(places):
        floor = places[index - 1] + gap if index else low
        places[index] = max(place, floor)
    for index in reversed(range(len(places))):
        ceiling = places[index + 1] - gap if index + 1 < len(places) else high
        places[index] = min(places[index], ceiling)
    result = [0.0] * len(wanted)
    for place, index in zip(places, order, strict=True):
        result[index] = place
    return result
