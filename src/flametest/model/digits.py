"""How many decimals of a measured figure a reader may believe: the one place that decides it, for all texts.

The error bar sets them: a figure has the decimals of its error's first digit, and no more than a person can use.
"""

import math

__all__ = ["error_digits", "supported_decimals"]

# Finer than a hundredth of a second nobody decides anything, however sure the figure is; below a second, a millisecond.
_DECIMALS_MAX = {"s": 2, "ms": 1, "%": 2, "share": 2, "ratio": 2, "1/s": 1, "count": 0}
_BELOW_ONE_SECOND = 3


def supported_decimals(value: float, uncertainty: float, unit: str) -> int:
    """Return with how many decimals a figure and its error are written.

    Args:
        value: the figure, in its unit; a share in percent.
        uncertainty: half the width of its bracket, likewise, over 0.
        unit: ``s``, ``ms``, ``%``, ``share``, ``ratio``, ``1/s`` or ``count``; others get up to two decimals.
    """
    most = _BELOW_ONE_SECOND if unit == "s" and abs(value) < 1 else _DECIMALS_MAX.get(unit, 2)
    return min(max(0, -math.floor(math.log10(uncertainty))), most)


def error_digits(uncertainty: float, decimals: int) -> str:
    """Return an error with so many decimals; one that would round to nothing is the least that they can show."""
    return f"{max(uncertainty, 10.0**-decimals):,.{decimals}f}"
