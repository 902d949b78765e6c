"""In which order scenarios are run side by side, so that all are done soon. Pure.

Each system takes the next scenario of one queue when it is done with the last (list scheduling). Taking the longest
first is at most a third later than the best order (R. L. Graham, Bounds on Multiprocessing Timing Anomalies, SIAM
Journal on Applied Mathematics 17, 1969). A few scenarios are few enough to try every order.
"""

from collections.abc import Sequence
from heapq import heapify, heapreplace
from itertools import permutations

__all__ = ["soonest"]

_TRIED_MAX = 7  # 5,040 orders, in some 20 ms


def soonest(seconds: Sequence[float], systems: int) -> list[int]:
    """Return the order, by index, in which jobs of these lengths are done first on so many systems.

    Of orders that are as good it is the one nearest to the longest first. More than seven jobs are that order itself.
    """
    longest_first = sorted(range(len(seconds)), key=lambda index: -seconds[index])
    if len(seconds) > _TRIED_MAX:
        return longest_first
    return list(min(permutations(longest_first), key=lambda order: _end([seconds[one] for one in order], systems)))


def _end(seconds: Sequence[float], systems: int) -> float:
    """Return when the last job ends, each being taken by the system that is free first."""
    free = [0.0] * systems
    heapify(free)
    for each in seconds:
        heapreplace(free, free[0] + each)
    return max(free)
