"""Statistics of repeated trials: intervals of a mean, and whether two sets of trials differ, and by how much.

Few trials are the rule, so what can be exact is exact: the Mann-Whitney distribution is counted, not approximated,
while there are no ties and both sets are small. The rest states its approximation. Nothing here decides what is
good or bad; see `flametest.measure.compare`.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from flametest.model.measures import Bracket

__all__ = [
    "bootstrap_interval",
    "cliffs_delta",
    "effect_word",
    "hodges_lehmann",
    "hodges_lehmann_interval",
    "mann_whitney",
    "student_interval",
    "student_quantile",
    "trials_needed",
]

_EXACT_PAIRS_MAX = 900  # 30 against 30: counted in milliseconds; beyond, the normal approximation errs by under 0.1 %
_RESAMPLES = 10_000
_EFFECTS = ((0.147, "negligible"), (0.33, "small"), (0.474, "medium"))


def student_interval(values: Sequence[float], confidence: float = 0.95) -> Bracket | None:
    """Return the interval of the mean, mean ± t · s/√n with n − 1 degrees of freedom; None under two values.

    Source: Student, The Probable Error of a Mean, Biometrika 6, 1908.
    """
    if len(values) < 2:
        return None
    column = np.asarray(values, dtype=np.float64)
    half = student_quantile(len(values) - 1, confidence) * float(column.std(ddof=1)) / math.sqrt(len(values))
    return Bracket(float(column.mean()) - half, float(column.mean()) + half)


def bootstrap_interval(values: Sequence[float], seed: int, confidence: float = 0.95) -> Bracket | None:
    """Return the percentile bootstrap interval of the mean from 10,000 resamples; None under two values.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    if len(values) < 2:
        return None
    column = np.asarray(values, dtype=np.float64)
    chosen = np.random.default_rng(seed).integers(0, len(column), (_RESAMPLES, len(column)))
    means = column[chosen].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Bracket(float(low), float(high))


def hodges_lehmann(base: Sequence[float], new: Sequence[float]) -> float | None:
    """Return the median of all differences new − base: by how much the new values are shifted; None without values.

    Source: Hodges and Lehmann, Estimates of Location Based on Rank Tests, Ann. Math. Statist. 34, 1963.
    """
    return float(np.median(_differences(base, new))) if base and new else None


def hodges_lehmann_interval(base: Sequence[float], new: Sequence[float], confidence: float = 0.95) -> Bracket | None:
    """Return the interval of the shift: the k-th smallest and k-th largest difference new − base.

    k is the greatest count for which P(U < k) ≤ (1 − confidence)/2 under no shift, so the interval keeps at least
    its confidence. None when there are too few values for any such k; see `trials_needed`.
    Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd edition, 2014, section 4.3.
    """
    k = _critical_count(len(base), len(new), (1 - confidence) / 2)
    if k < 1:
        return None
    differences = _differences(base, new)
    return Bracket(float(differences[k - 1]), float(differences[-k]))


def mann_whitney(base: Sequence[float], new: Sequence[float]) -> float | None:
    """Return the two-sided p-value of the hypothesis that neither set tends to greater values; None without values.

    U counts the pairs in which the new value is greater, ties as a half. Without ties and up to 30 against 30 its
    distribution is exact; else it is approximated by a normal one, with the correction for ties and continuity.
    Source: Mann and Whitney, On a Test of Whether One of Two Random Variables Is Stochastically Larger than the
    Other, Ann. Math. Statist. 18, 1947.
    """
    if not base or not new:
        return None
    differences = _differences(base, new)
    u = float(np.count_nonzero(differences > 0)) + 0.5 * float(np.count_nonzero(differences == 0))
    m, n = len(base), len(new)
    joined = np.concatenate((np.asarray(base), np.asarray(new)))
    ties = np.unique(joined, return_counts=True)[1]
    if m * n <= _EXACT_PAIRS_MAX and ties.max() == 1:
        cumulated = _cumulated(m, n)
        return float(min(1.0, 2 * cumulated[int(min(u, m * n - u))]))
    total = m + n
    variance = m * n / 12 * ((total + 1) - float(np.sum(ties**3 - ties)) / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    z = max(0.0, abs(u - m * n / 2) - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def cliffs_delta(base: Sequence[float], new: Sequence[float]) -> float | None:
    """Return P(new > base) − P(new < base), between −1 and 1; None without values.

    Source: Cliff, Dominance Statistics, Psychological Bulletin 114, 1993.
    """
    if not base or not new:
        return None
    differences = _differences(base, new)
    return float(np.sign(differences).mean())


def effect_word(delta: float) -> str:
    """Return Cliff's δ in words: negligible under 0.147, small under 0.33, medium under 0.474, else large.

    Source: Romano, Kromrey, Coraggio and Skowronek, Appropriate Statistics for Ordinal Level Data, 2006.
    """
    return next((word for bound, word in _EFFECTS if abs(delta) < bound), "large")


def trials_needed(other: int, confidence: float = 0.95) -> int:
    """Return how many trials against ``other`` ones give a shift an interval of that confidence; 0 if none can."""
    tail = (1 - confidence) / 2
    return next((count for count in range(1, 1000) if _critical_count(count, other, tail) >= 1), 0)


@cache
def student_quantile(freedom: int, confidence: float) -> float:
    """Return t for which a Student variable of ``freedom`` degrees lies within ± t with that probability.

    The density is integrated by Simpson's rule and t found by bisection, to about nine digits.

    Raises:
        ValueError: there is no degree of freedom, or the confidence is not between 0 and 1.
    """
    if freedom < 1 or not 0 < confidence < 1:
        raise ValueError(f"student's t: expected a degree of freedom and a confidence in (0, 1), found {freedom}")
    low, high = 0.0, 1.0
    while _student_within(high, freedom) < confidence:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_within(middle, freedom) < confidence else (low, middle)
    return (low + high) / 2


def _student_within(t: float, freedom: int) -> float:
    """Return P(|T| ≤ t); substituting t = √ν · tan θ makes the integrand cos^(ν−1) θ, smooth and bounded."""
    theta = math.atan2(t, math.sqrt(freedom))
    angles = np.linspace(0.0, theta, 2001)
    heights = np.cos(angles) ** (freedom - 1)
    area = float(heights[0] + heights[-1] + 4 * heights[1:-1:2].sum() + 2 * heights[2:-1:2].sum()) * theta / 6000
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    return 2 * scale * area


def _differences(base: Sequence[float], new: Sequence[float]) -> NDArray[np.float64]:
    """Return all differences new − base, ascending."""
    return np.sort(np.subtract.outer(np.asarray(new, dtype=np.float64), np.asarray(base, dtype=np.float64)).ravel())


@cache
def _cumulated(m: int, n: int) -> NDArray[np.float64]:
    """Return P(U ≤ u) for u = 0 … m·n under no difference.

    The number of arrangements with U = u is the coefficient of q^u in the Gaussian binomial ∏ (1 − q^(n+i)) /
    (1 − q^i), i = 1 … m, which is built factor by factor.
    """
    counts = np.zeros(m * n + 1)
    counts[0] = 1.0
    for i in range(1, m + 1):
        product = counts.copy()
        product[n + i :] -= counts[: max(0, len(counts) - n - i)]
        for start in range(i):
            product[start::i] = np.cumsum(product[start::i])
        counts = product
    cumulated: NDArray[np.float64] = np.cumsum(counts) / math.comb(m + n, m)
    return cumulated


@cache
def _critical_count(m: int, n: int, tail: float) -> int:
    """Return the greatest k for which P(U < k) ≤ ``tail``; 0 when there is none."""
    if m < 1 or n < 1:
        return 0
    if m * n <= _EXACT_PAIRS_MAX:
        return int(np.searchsorted(_cumulated(m, n), tail, side="right"))
    deviation = math.sqrt(m * n * (m + n + 1) / 12)
    z = student_quantile(1_000_000, 1 - 2 * tail)
    return max(0, math.floor(m * n / 2 - z * deviation))
