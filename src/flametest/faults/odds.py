"""Whether a rate that was seen speaks for the rate that was asked for: exact, and pure."""

import math

__all__ = ["CONFIDENCE", "binomial_range", "requests_needed"]

CONFIDENCE = 0.99
REQUESTS_MIN = 200
REQUESTS_MAX = 2000


def binomial_range(requests: int, rate: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Return the fewest and the most failures that ``requests`` at ``rate`` leave likely.

    Fewer, and more, have a probability of at most (1 − confidence)/2 each, by the binomial distribution itself and no
    approximation of it. Seen the other way round: a count lies in this range exactly if the rate lies in the interval
    of Clopper and Pearson for that count.

    Source: Clopper and Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial,
    Biometrika 26, 1934.

    Raises:
        ValueError: there are less than 0 requests, or the rate is no share.
    """
    if requests < 0 or not 0 <= rate <= 1:
        raise ValueError(f"expected at least 0 requests and a rate from 0 to 1, found {requests} and {rate}")
    if rate in (0, 1):
        return round(requests * rate), round(requests * rate)
    tail = (1 - confidence) / 2
    return _quantile(requests, rate, tail), requests - _quantile(requests, 1 - rate, tail)


def requests_needed(rate: float) -> int:
    """Return how many requests show a rate: so many that none failing would be unlikely, within bounds."""
    # (1 - rate)^n is at most the tail for n of 5.3/rate.
    return REQUESTS_MIN if rate <= 0 else min(REQUESTS_MAX, max(REQUESTS_MIN, math.ceil(6 / rate)))


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
