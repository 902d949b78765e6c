"""Harm limits: at which figure, seen while a fault lasts, it is healed at once. For ``--abort-when``."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from flametest.model.verdict import Bound

__all__ = ["ABORT_WHEN_VARIABLE", "HARM_FIGURES", "HarmLimit", "HarmLimitError", "parse_harm_limits", "read_variable"]

ABORT_WHEN_VARIABLE = "FLAMETEST_ABORT_WHEN"
"""Names the environment variable that holds harm limits, as words of a shell."""

HARM_FIGURES: Mapping[str, Bound] = MappingProxyType(
    {
        "availability": Bound.AT_LEAST,
        "error_rate": Bound.AT_MOST,
        "outage_seconds": Bound.AT_MOST,
    }
)
"""What a harm limit may be set for, and which side of it is the good one."""


class HarmLimitError(ValueError):
    """A harm limit that cannot be understood; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class HarmLimit:
    """What users may suffer while a fault lasts.

    Attributes:
        figure: one of `HARM_FIGURES`.
        value: the limit: a share between 0 and 1, or seconds.
    """

    figure: str
    value: float

    def __str__(self) -> str:
        return f"{self.figure}={self.value:g}"

    def passed(self, figure: float) -> bool:
        """Return whether a figure is worse than the limit; the limit itself is not."""
        return figure < self.value if HARM_FIGURES[self.figure] is Bound.AT_LEAST else figure > self.value


def parse_harm_limits(texts: Iterable[str]) -> tuple[HarmLimit, ...]:
    """Return the limits that texts such as ``availability=0.5`` set; of one figure the last.

    Raises:
        HarmLimitError: one cannot be understood.
    """
    found: dict[str, HarmLimit] = {}
    for text in texts:
        name, _, number = text.partition("=")
        if name not in HARM_FIGURES:
            raise HarmLimitError(f"{text!r}: expected one of {', '.join(HARM_FIGURES)}, then = and a number")
        try:
            value = float(number)
        except ValueError:
            raise HarmLimitError(f"{text!r}: {number!r} is no number") from None
        high = 3600.0 if name == "outage_seconds" else 1.0
        if not 0 <= value <= high:
            raise HarmLimitError(f"{text!r}: expected a number between 0 and {high:g}")
        found[name] = HarmLimit(name, value)
    return tuple(found.values())


def read_variable(environment: Mapping[str, str]) -> tuple[HarmLimit, ...]:
    """Return the limits of `ABORT_WHEN_VARIABLE`.

    Raises:
        HarmLimitError: it cannot be understood.
    """
    text = environment.get(ABORT_WHEN_VARIABLE, "")
    try:
        return parse_harm_limits(shlex.split(text))
    except ValueError as error:
        raise HarmLimitError(f"{ABORT_WHEN_VARIABLE} is {text!r}: {error}") from error
