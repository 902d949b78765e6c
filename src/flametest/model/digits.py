"""How many decimals of a measured figure a reader may believe: the one place that decides it, for all texts.

The error bar sets them: a figure has the decimals of its error's first digit (of the first two from 1 to 2), and no
more than a person can use.
"""

import math

__all__ = ["error_digits", "supported_decimals"]

# Finer than a hundredth of a second nobody decides anything, however sure the figure is; below a tenth, a millisecond.
_DECIMALS_MAX = {"s": 2, "ms": 1, "%": 2, "share": 2, "ratio": 2, "1/s": 1, "count": 0}
_SMALL_SECONDS = 0.1


def supported_decimals(value: float, uncertainty: float, unit: str) -> int:
    """Return with how many decimals a figure and its error are written.

    Args:
        value: the figure, in its unit; a share in percent.
        uncertainty: half the width of its bracket, likewise, over 0.
        unit: ``s``, ``ms``, ``%``, ``share``, ``ratio``, ``1/s`` or ``count``; others get up to two decimals.
    """
    most = _DECIMALS_MAX.get(unit, 2) + (unit == "s" and abs(value) < _SMALL_SECONDS)
    one_digit = -math.floor(math.log10(uncertainty))
    # An error of 1.2 rounded to 1 would lose a fifth of itself, and the figure a digit that it has.
    return min(1 if 1 <= uncertainty < 2 else max(0, one_digit), most)


def error_digits(uncertainty: float, decimals: int) -> str:
    """Return an error with so many decimals; one that would round to nothing is the least that they can show."""
    return f"{max(uncertainty, 10.0**-decimals):,.{decimals}f}"
