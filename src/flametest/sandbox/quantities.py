"""Quantities of resources, such as ``100m`` of CPU, ``64Mi`` of memory or ``1e3``.

Format: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

__all__ = ["format_quantity", "parse_quantity"]

# Three digits of an exponent are more than any amount needs, and few enough to compute with.
_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i))?")
_FACTORS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{suffix: Decimal(10 ** (3 * power)) for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Decimal(2 ** (10 * power)) for power, suffix in enumerate("KMGTPE", 1)},
}


# The same few amounts are asked for by every pod, and read again at every choice of a node.
@lru_cache(maxsize=1024)
def parse_quantity(text: str | float) -> Decimal:
    """Return the amount in base units (cores, bytes, pieces).

    Raises:
        ValueError: the text has not the form of a quantity.
    """
    found = _FORM.fullmatch(str(text))
    if found is None:
        raise ValueError(f"not a quantity: {text!r}; expected a number with a suffix such as m, k, Mi or G")
    number, exponent, suffix = found.groups()
    return Decimal(number + (exponent or "")) * _FACTORS.get(suffix or "", Decimal(1))


def format_quantity(amount: Decimal, *, binary: bool = False) -> str:
    """Return an amount in base units as text: with the largest suffix that leaves a whole number, or in thousandths.

    ``binary`` takes the suffixes of powers of 1024, as for bytes.
    """
    if amount % 1:
        return f"{(amount * 1000).to_integral_value(ROUND_CEILING)}m"
    step, suffixes = (1024, ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")) if binary else (1000, ("", *"kMGTPE"))
    whole, power = int(amount), 0
    while whole and whole % step == 0 and power < len(suffixes) - 1:
        whole, power = whole // step, power + 1
    return f"{whole}{suffixes[power]}"
