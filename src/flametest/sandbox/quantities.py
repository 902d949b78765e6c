"""Quantities of resources, such as ``100m`` of CPU, ``64Mi`` of memory or ``1e3``.

Format: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from decimal import Decimal
from functools import lru_cache

__all__ = ["parse_quantity"]

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
