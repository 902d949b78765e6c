"""Laws of a system's books, such as ``initial == left + sold``: how they are written, and by how much one is broken.

A law compares sums and products of figures: ``==``, ``<=`` and ``>=``, chained as in Python, several joined by ``and``.
Figures are fields of what was read back, and what the ledger knows itself (`LEDGER_FIGURES`). Nothing else of Python is
understood, so that a file can state a law and do nothing.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from flametest.model.errors import FlametestError

__all__ = ["BEFORE", "LEDGER_FIGURES", "Law", "LawError"]

BEFORE = "_before"
"""``NAME_before`` is the figure NAME as it was when the ledger began."""

LEDGER_FIGURES = ("acknowledged", "unknown", "written")
"""Writes that were acknowledged, those of which nothing is known, and those that were read back."""

_TEXT_CHARACTERS_MAX = 500
_SUMS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
}
_REMEDY = "write it as sums that are compared, such as initial == left + sold"


class LawError(FlametestError):
    """A law that cannot be understood, or that names a figure which is not there."""


@dataclass(frozen=True, slots=True)
class Law:
    """A law: its name, such as ``oversold`` for what breaks it, and its text."""

    name: str
    text: str

    def figures(self) -> frozenset[str]:
        """Return the names of the figures that it compares.

        Raises:
            LawError: it cannot be understood.
        """
        return frozenset(node.id for node in ast.walk(_parsed(self.text)) if isinstance(node, ast.Name))

    def excesses(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """Return by how much each of its comparisons is broken; 0 where it holds.

        For ``a == b`` that is a − b; for ``a <= b`` it is a − b where that is positive, and for ``a >= b`` b − a.

        Raises:
            LawError: it cannot be understood, or a figure is not among the values.
        """
        return tuple(_excess(one, values) for one in _comparisons(_parsed(self.text)))


def _excess(comparison: tuple[ast.expr, ast.cmpop, ast.expr], values: Mapping[str, float]) -> float:
    left, operator, right = comparison
    difference = _value(left, values) - _value(right, values)
    if isinstance(operator, ast.Eq):
        return difference
    return max(0.0, difference if isinstance(operator, ast.LtE) else -difference)


@cache
def _parsed(text: str) -> ast.expr:
    """Return a law's text as an expression that consists of what laws consist of.

    Raises:
        LawError: it does not.
    """
    if len(text) > _TEXT_CHARACTERS_MAX:
        raise LawError(f"law {text[:40]!r}...: longer than {_TEXT_CHARACTERS_MAX} characters", _REMEDY)
    try:
        law = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise LawError(f"law {text!r} cannot be understood", _REMEDY) from error
    for left, operator, right in _comparisons(law):
        if not isinstance(operator, ast.Eq | ast.LtE | ast.GtE):
            raise LawError(f"law {text!r}: expected ==, <= or >= between two sums", _REMEDY)
        for side in (left, right):
            _check_sum(side, text)
    return law


def _comparisons(law: ast.expr) -> Iterator[tuple[ast.expr, ast.cmpop, ast.expr]]:
    if isinstance(law, ast.BoolOp) and isinstance(law.op, ast.And):
        for part in law.values:
            yield from _comparisons(part)
        return
    if not isinstance(law, ast.Compare):
        raise LawError(f"law {ast.unparse(law)!r} compares nothing", _REMEDY)
    sides = (law.left, *law.comparators)
    yield from zip(sides, law.ops, sides[1:], strict=False)


def _check_sum(side: ast.expr, text: str) -> None:
    if isinstance(side, ast.BinOp) and type(side.op) in _SUMS:
        _check_sum(side.left, text)
        _check_sum(side.right, text)
    elif isinstance(side, ast.UnaryOp) and isinstance(side.op, ast.USub):
        _check_sum(side.operand, text)
    elif not (isinstance(side, ast.Name) or (isinstance(side, ast.Constant) and type(side.value) in (int, float))):
        raise LawError(f"law {text!r}: {ast.unparse(side)!r} is neither a figure nor a number", _REMEDY)


def _value(side: ast.expr, values: Mapping[str, float]) -> float:
    if isinstance(side, ast.BinOp):
        return _SUMS[type(side.op)](_value(side.left, values), _value(side.right, values))
    if isinstance(side, ast.UnaryOp):
        return -_value(side.operand, values)
    if isinstance(side, ast.Constant):
        assert isinstance(side.value, int | float)
        return float(side.value)
    assert isinstance(side, ast.Name)
    try:
        return float(values[side.id])
    except KeyError as error:
        raise LawError(
            f"law names {side.id!r}, which is not there", f"the figures are {', '.join(sorted(values)) or 'none'}"
        ) from error
