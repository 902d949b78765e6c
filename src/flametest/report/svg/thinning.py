"""Thinning: fewer points of a long series, chosen so that no peak is lost. It picks values and never makes any."""

from collections.abc import Sequence

__all__ = ["runs", "thin", "worst_of_each"]

Point = tuple[float, float]


def thin(points: Sequence[Point], points_max: int) -> Sequence[Point]:
    """Return at most about ``points_max`` points: of each stretch the first, lowest, highest and last, in order.

    These four keep peaks and the moments of jumps (Jugel et al., "M4", VLDB 2014).
    """
    if len(points) <= max(4, points_max):
        return points
    buckets = max(1, points_max // 4)
    kept: list[Point] = []
    for bucket in range(buckets):
        part = range(bucket * len(points) // buckets, (bucket + 1) * len(points) // buckets)
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
