"""Quantities of the API, such as ``100m``, ``64Mi`` or ``1e3``: their values, for comparing and for tables."""

import re
from fractions import Fraction

__all__ = ["parse_quantity"]

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?")

_SUFFIX_FACTORS = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    **{suffix: Fraction(10 ** (3 * power)) for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Fraction(2 ** (10 * power)) for power, suffix in enumerate("KMGTPE", 1)},
}


def parse_quantity(text: str) -> Fraction:
    """Return the value of a quantity.

    Raises:
        ValueError: it has not the form of one.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"a quantity has a number and a suffix such as m, k, Mi; found {text!r}")
    number, suffix, exponent = found.groups()
    if suffix:
        return Fraction(number) * _SUFFIX_FACTORS[suffix]
    return Fraction(number) * Fraction(10) ** int(exponent or 0)
