"""Thinning: fewer points of a long series, chosen so that no peak is lost. It picks values and never makes any."""

import heapq
import itertools
from collections.abc import Sequence

__all__ = ["runs", "thin", "worst_of_each"]

Point = tuple[float, float]

_POINTS_MIN = 4
_COLUMNS_MAX = 350


def thin(points: Sequence[Point], points_max: int) -> Sequence[Point]:
    """Return at most ``points_max`` points (at least 4), ends, lowest and highest among them.

    A very long line is first cut to what a screen can tell apart, then the points are chosen whose absence would
    bend the line most, so that jumps stay where they were (Douglas and Peucker 1973, in the order of the error).
    """
    if len(points) <= max(_POINTS_MIN, points_max):
        return points
    points = _columns(points)
    heights = [y for _, y in points]
    kept = sorted({0, heights.index(min(heights)), heights.index(max(heights)), len(points) - 1})
    waiting = [_farthest(points, low, high) for low, high in itertools.pairwise(kept)]
    heapq.heapify(waiting)
    while waiting and len(kept) < max(_POINTS_MIN, points_max):
        error, middle, low, high = heapq.heappop(waiting)
        if error == 0:
            break
        kept.append(middle)
        for part in ((low, middle), (middle, high)):
            heapq.heappush(waiting, _farthest(points, *part))
    return [points[index] for index in sorted(kept)]


def _farthest(points: Sequence[Point], low: int, high: int) -> tuple[float, int, int, int]:
    """Return the point between two others that is farthest from their line, as ``(-distance, index, low, high)``."""
    (start, base), (end, top) = points[low], points[high]
    slope = (top - base) / (end - start) if end > start else 0.0
    worst, middle = 0.0, low
    for index in range(low + 1, high):
        x, y = points[index]
        distance = abs(y - base - slope * (x - start))
        if distance > worst:
            worst, middle = distance, index
    return -worst, middle, low, high


def _columns(points: Sequence[Point]) -> Sequence[Point]:
    """Return of each column of the screen the first, lowest, highest and last point (Jugel et al., M4, VLDB 2014)."""
    if len(points) <= 4 * _COLUMNS_MAX:
        return points
    kept: list[Point] = []
    for column in range(_COLUMNS_MAX):
        part = range(column * len(points) // _COLUMNS_MAX, (column + 1) * len(points) // _COLUMNS_MAX)
        low = min(part, key=lambda index: points[index][1])
        high = max(part, key=lambda index: points[index][1])
        kept.extend(points[index] for index in sorted({part[0], low, high, part[-1]}))
    return kept


def runs(points: Sequence[tuple[float, float | None]]) -> list[list[Point]]:
    """Return the stretches without a missing value, so that a line breaks where nothing was measured."""
    found: list[list[Point]] = [[]]
    for x, y in points:
        if y is not None:
            found[-1].append((x, y))
        elif found[-1]:
            found.append([])
    return [run for run in found if run]


def worst_of_each(badness: Sequence[float], rows_max: int) -> list[int]:
    """Return at most ``rows_max`` indices: of each stretch of equal length the one with the greatest badness."""
    if len(badness) <= rows_max:
        return list(range(len(badness)))
    stretches = [range(row * len(badness) // rows_max, (row + 1) * len(badness) // rows_max) for row in range(rows_max)]
    return [max(stretch, key=lambda index: badness[index]) for stretch in stretches]
