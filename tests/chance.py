"""What counts are left to chance, exactly: so that a test which rests on it fails less than once in a million times."""

import math

__all__ = ["SURE", "binomial_range"]

SURE = 1 - 1e-7
"""Outside a range of this confidence a count lies once in ten million times, so that a test may ask for several."""


def binomial_range(requests: int, rate: float, confidence: float = SURE) -> tuple[int, int]:
    """Return the fewest and the most failures that ``requests`` at ``rate`` leave likely.

    Fewer, and more, have a probability of at most (1 − confidence)/2 each, by the binomial distribution itself and no
    approximation of it (Clopper and Pearson, Biometrika 26, 1934).

    Raises:
        ValueError: there are less than 0 requests, or the rate is no share.
    """
    if requests < 0 or not 0 <= rate <= 1:
        raise ValueError(f"expected at least 0 requests and a rate from 0 to 1, found {requests} and {rate}")
    if rate in (0, 1):
        return round(requests * rate), round(requests * rate)
    tail = (1 - confidence) / 2
    return _quantile(requests, rate, tail), requests - _quantile(requests, 1 - rate, tail)


def _quantile(requests: int, rate: float, tail: float) -> int:
    """Return the smallest count whose probability, together with all below it, is more than ``tail``."""
    below = 0.0
    for count in range(requests + 1):
        below += math.exp(_log_probability(requests, count, rate))
        if below > tail:
            return count
    return requests


def _log_probability(requests: int, count: int, rate: float) -> float:
    # By logarithms, since the factors themselves leave the range of floating point for some hundred requests.
    ways = math.lgamma(requests + 1) - math.lgamma(count + 1) - math.lgamma(requests - count + 1)
    return ways + count * math.log(rate) + (requests - count) * math.log1p(-rate)
