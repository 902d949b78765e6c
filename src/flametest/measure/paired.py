"""Two trees compared by blocks in the order ABBA or BAAB: what four blocks have in common cancels, and proves nothing.

A quad is four blocks one after the other, two of each tree. Its difference (mean of the two blocks of the new tree less
mean of the two of the base) is free of whatever stays over the quad, and of whatever grows evenly. Which tree begins is
drawn at random for each quad, so equal trees make a difference as likely as its negative, however the noise of the
machine comes and goes, and quads are independent in their signs. That is all that Wilcoxon's signed ranks need.

Errors: the interval of each of the two figures has 95 %, so a figure of equal trees is found worse in at most 2.5 % and
both together in at most 5 % of all checks (Bonferroni). A margin that has to be exceeded as well makes it fewer.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np

from flametest.model.check import BlockFigures, CheckedFigure, Judgement, Side
from flametest.model.measures import Bracket
from flametest.model.verdict import Bound

__all__ = ["MARGINS", "QUADS_MIN", "compare_blocks", "signed_rank_interval", "signed_rank_shift", "worst_judgement"]

MARGINS: Mapping[str, float] = MappingProxyType({"availability": 0.003, "p95_ms": 30.0})
"""How much worse is no regression yet: a third of what has to be found, 1 % of availability and 100 ms."""

QUADS_MIN = 6
"""Fewest quads that can tell trees apart: six differences of one sign have a chance of 1/64, under 2.5 %."""

_TAIL = 0.025
_EXACT_MAX = 60


@dataclass(frozen=True, slots=True)
class _Figure:
    name: str
    title: str
    unit: str
    bound: Bound
    of: Callable[[BlockFigures], float | None]


_FIGURES = (
    _Figure("availability", "Requests answered well", "ratio", Bound.AT_LEAST, lambda block: block.availability),
    _Figure("p95_ms", "95th percentile of latency", "ms", Bound.AT_MOST, lambda block: block.p95_ms),
)


def compare_blocks(blocks: Sequence[BlockFigures], margins: Mapping[str, float] = MARGINS) -> tuple[CheckedFigure, ...]:
    """Return each figure of both trees with its difference and what follows; quads that are not whole are left out."""
    return tuple(_compared(figure, blocks, margins[figure.name]) for figure in _FIGURES)


def worst_judgement(figures: Sequence[CheckedFigure]) -> Judgement:
    """Return the judgement of a whole check: worse where a figure is, same where none differs, better where one is."""
    found = {one.judgement for one in figures}
    order = (Judgement.WORSE, Judgement.UNTOLD, Judgement.BETTER)
    return next((one for one in order if one in found), Judgement.SAME if found else Judgement.UNTOLD)


def _compared(figure: _Figure, blocks: Sequence[BlockFigures], margin: float) -> CheckedFigure:
    differences = _differences(figure, blocks)
    shift, interval = signed_rank_shift(differences), signed_rank_interval(differences)
    return CheckedFigure(
        name=figure.name,
        title=figure.title,
        unit=figure.unit,
        base_median=_median(figure, blocks, Side.BASE),
        new_median=_median(figure, blocks, Side.NEW),
        differences=tuple(differences),
        shift=shift,
        interval=interval,
        margin=margin,
        judgement=_judged(figure.bound, shift, interval, margin),
    )


def _differences(figure: _Figure, blocks: Sequence[BlockFigures]) -> list[float]:
    quads: dict[int, dict[Side, list[float]]] = {}
    for block in blocks:
        value = figure.of(block)
        if value is not None:
            quads.setdefault(block.quad, {Side.BASE: [], Side.NEW: []})[block.side].append(value)
    whole = [quad for _, quad in sorted(quads.items()) if all(len(values) == 2 for values in quad.values())]
    return [statistics.fmean(quad[Side.NEW]) - statistics.fmean(quad[Side.BASE]) for quad in whole]


def _median(figure: _Figure, blocks: Sequence[BlockFigures], side: Side) -> float | None:
    values = [value for block in blocks if block.side is side and (value := figure.of(block)) is not None]
    return statistics.median(values) if values else None


def _judged(bound: Bound, shift: float | None, interval: Bracket | None, margin: float) -> Judgement:
    if shift is None or interval is None:
        return Judgement.UNTOLD
    if bound is Bound.AT_LEAST:  # counted so that worse is positive
        shift, interval = -shift, Bracket(-interval.high, -interval.low)
    if interval.low > 0 and shift > margin:
        return Judgement.WORSE
    if interval.high < 0 and -shift > margin:
        return Judgement.BETTER
    return Judgement.SAME if interval.high <= margin else Judgement.UNTOLD


def signed_rank_shift(differences: Sequence[float]) -> float | None:
    """Return the median of all means of two differences, each with itself included; None without a difference.

    Source: Hodges and Lehmann, Estimates of Location Based on Rank Tests, Ann. Math. Statist. 34, 1963.
    """
    return float(np.median(_walsh_averages(differences))) if differences else None


def signed_rank_interval(differences: Sequence[float]) -> Bracket | None:
    """Return the 95 % interval of the shift: the k-th smallest and the k-th largest mean of two differences.

    k is the greatest count for which P(T < k) ≤ 2.5 % of Wilcoxon's T, counted exactly, or approximated by a normal
    distribution beyond 60 differences. None under `QUADS_MIN` differences.
    Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd edition, 2014, section 3.3.
    """
    k = _critical_count(len(differences))
    if k < 1:
        return None
    averages = _walsh_averages(differences)
    return Bracket(float(averages[k - 1]), float(averages[-k]))


def _walsh_averages(differences: Sequence[float]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    column = np.asarray(differences, dtype=np.float64)
    first, second = np.triu_indices(len(column))
    return np.sort((column[first] + column[second]) / 2)


@cache
def _critical_count(count: int) -> int:
    """Return the greatest k for which P(T < k) is at most the tail; 0 when there is none."""
    if count < 1:
        return 0
    if count > _EXACT_MAX:
        deviation = math.sqrt(count * (count + 1) * (2 * count + 1) / 24)
        return math.floor(count * (count + 1) / 4 - statistics.NormalDist().inv_cdf(1 - _TAIL) * deviation)
    ways = np.zeros(count * (count + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, count + 1):  # each rank counts, or does not
        ways[rank:] += ways[:-rank].copy()
    cumulated = np.cumsum(ways) / 2.0**count
    return int(np.searchsorted(cumulated, _TAIL, side="right"))
