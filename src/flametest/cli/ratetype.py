"""The value of ``--rate``: a number of requests a second, or the word ``reached``."""

from typing import Any

import click

__all__ = ["REACHED", "RateType"]

REACHED = "reached"
_LEAST, _MOST = 0.1, 100.0


class RateType(click.ParamType[float | str]):
    """Takes a number from 0.1 to 100, or ``reached``."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """Return the number, or the word."""
        if value == REACHED:
            return REACHED
        try:
            rate = float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor the word {REACHED!r}.", param, ctx)
        if not _LEAST <= rate <= _MOST:
            self.fail(f"{rate:g} is not in the range {_LEAST:g} to {_MOST:g}.", param, ctx)
        return rate
