"""Whether a count speaks for the rate that was asked for, or against it: a sequential test. Exact, and pure."""

import math
from dataclasses import dataclass
from enum import Enum

__all__ = ["RATE_MIN", "UNPROVED_MAX", "WRONG_MAX", "Decision", "RateTest", "can_be_shown"]

UNPROVED_MAX = 1e-6
"""The probability with which rates that are as asked for are called refuted, all those of one fault together."""
WRONG_MAX = 1e-3
"""The probability with which a rate whose odds are `ODDS_RATIO` times smaller or greater is called shown."""
ODDS_RATIO = 4.0
RATE_MIN = 0.002
"""The smallest rate for which soundings are sent; its distance from 1 is bounded by the same."""

REQUESTS_MIN = 200
REQUESTS_WHOLE = 20  # for a rate of 1: one of 0.7 passes with a probability of 0.7^20 = 0.0008
_EVENTS_FIRST = 10  # failures, or successes where these are rarer, that the first requests hold on average
_DEVIATIONS = 3.5  # a wrong rate is refuted within so many standard deviations, all but one time in 4000


class Decision(Enum):
    """What soundings say so far."""

    SHOWN = "shown"
    REFUTED = "refuted"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class RateTest:
    """A test of whether requests fail at a rate, by all that were sent so far, however often one looks.

    The likelihood of the count at the rate asked for, p, is compared with that at a wrong one, q, whose odds
    q/(1 − q) are `ODDS_RATIO` times smaller or greater. Of n requests of which x fail, the logarithm of their ratio is

        Λ = x·ln(p/q) + (n − x)·ln((1 − p)/(1 − q))

    The rate is shown when Λ ≥ ln(1/W) for either q, and refuted when Λ ≤ −ln(s·c/U) for one of them: W is `WRONG_MAX`,
    U `UNPROVED_MAX`, s the number of wrong rates and c that of tests by which one fault is judged. A ratio of
    likelihoods is a nonnegative martingale of mean 1 at the rate in its denominator. So it ever exceeds A with a
    probability of at most 1/A, whenever one looks: the rate asked for is refuted with at most U for all tests together,
    and a rate at or beyond q is shown in this way with at most W. A count that is neither after `requests_max`, by when
    a rate beyond q would be refuted, is taken for shown; the exact probabilities, which `tests/faults/test_odds.py`
    computes, are below U and W with this included.

    Sources: Wald, Sequential tests of statistical hypotheses, Annals of Mathematical Statistics 16, 1945 (the ratio and
    its limits); Ville, Étude critique de la notion de collectif, 1939 (the bound for any time); Armitage, Sequential
    analysis with more than two alternative hypotheses, Journal of the Royal Statistical Society B 12, 1950 (a wrong
    rate on either side).

    Attributes:
        rate: what was asked for, more than 0 and at most 1. A rate of 1 is refuted by a single request that does not
            fail.
        checks: by how many tests the fault is judged.
        at_least: whether only lower rates are wrong.

    Raises:
        ValueError: the rate is not in this range.
    """

    rate: float
    checks: int = 1
    at_least: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ValueError(f"expected a rate of more than 0 and at most 1, found {self.rate}")

    @property
    def requests_first(self) -> int:
        """Return how many requests are sent before the first look."""
        return max(REQUESTS_MIN, math.ceil(_EVENTS_FIRST / self._rarer)) if self.rate < 1 else REQUESTS_WHOLE

    @property
    def requests_max(self) -> int:
        """Return after how many requests it is decided in any case.

        Each moves Λ towards the refutation of a wrong rate by the Kullback-Leibler divergence d on average, with a
        standard deviation s. So n with n·d − `_DEVIATIONS`·s·√n equal to the limit is enough.
        """
        if self.rate == 1:
            return self.requests_first
        found = []
        for wrong in self._wrong:
            drift = -_ratio(self.rate, wrong, wrong)
            spread = _DEVIATIONS * math.log(ODDS_RATIO) * math.sqrt(wrong * (1 - wrong))
            root = (spread + math.sqrt(spread**2 + 4 * drift * self._against)) / (2 * drift)
            found.append(root**2)
        return max(self.requests_first, math.ceil(max(found)))

    def decide(self, requests: int, count: int) -> Decision:
        """Return what ``count`` failures of ``requests`` say."""
        if not requests:
            return Decision.OPEN
        if self.rate == 1:
            return Decision.SHOWN if count == requests else Decision.REFUTED
        ratios = [requests * _ratio(self.rate, wrong, count / requests) for wrong in self._wrong]
        if min(ratios) <= -self._against:
            return Decision.REFUTED
        enough = min(ratios) >= math.log(1 / WRONG_MAX) or requests >= self.requests_max
        return Decision.SHOWN if enough else Decision.OPEN

    @property
    def _rarer(self) -> float:
        return min(self.rate, 1 - self.rate)

    @property
    def _wrong(self) -> tuple[float, ...]:
        odds = self.rate / (1 - self.rate)
        ratios = (1 / ODDS_RATIO,) if self.at_least else (1 / ODDS_RATIO, ODDS_RATIO)
        return tuple(odds * ratio / (1 + odds * ratio) for ratio in ratios)

    @property
    def _against(self) -> float:
        return math.log(len(self._wrong) * self.checks / UNPROVED_MAX)


def can_be_shown(rate: float) -> bool:
    """Return whether requests can show a rate: it is 0, 1, or far enough from both."""
    return rate in (0, 1) or RATE_MIN <= rate <= 1 - RATE_MIN


def _ratio(rate: float, wrong: float, share: float) -> float:
    """Return the logarithm of the ratio of likelihoods of ``rate`` and ``wrong``, for each request, at a share seen."""
    return share * math.log(rate / wrong) + (1 - share) * math.log((1 - rate) / (1 - wrong))
