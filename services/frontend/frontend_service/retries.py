"""Whether and when a failed attempt is made again.

Retries fix what fails now and then. What fails altogether they make worse, by multiplying the load just when it
cannot be borne; therefore they are paid from a budget: a share of the requests, and a small steady allowance so that
a quiet shop can retry too. Pauses are drawn evenly from zero to a limit that doubles (full jitter), so that those who
failed together do not come back together.

Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015; the budget is that of Finagle's
RetryBudget.
"""

import random
from collections.abc import Callable

__all__ = ["RetryBudget", "pause_seconds"]


class RetryBudget:
    """A token bucket: every request pays in a share of a token, time a little, and every retry takes out a whole one.

    Over any stretch of time it grants at most ``tokens_max + share * requests + per_second * seconds`` retries.
    """

    def __init__(self, share: float, per_second: float, tokens_max: float, clock: Callable[[], float]) -> None:
        self._share = share
        self._per_second = per_second
        self._tokens_max = tokens_max
        self._clock = clock
        self._tokens = tokens_max
        self._counted_until = clock()

    @property
    def tokens(self) -> float:
        """Return what is in the bucket now."""
        now = self._clock()
        self._pay_in((now - self._counted_until) * self._per_second)
        self._counted_until = now
        return self._tokens

    def count_request(self) -> None:
        """Pay in for one request."""
        self._pay_in(self._share)

    def take(self) -> bool:
        """Return whether a retry may be made, and take out its token."""
        if self.tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _pay_in(self, tokens: float) -> None:
        self._tokens = min(self._tokens_max, self._tokens + tokens)


def pause_seconds(retry: int, first_seconds: float, seconds_max: float, draw: random.Random) -> float:
    """Return the pause before the retry of this number (from 1): evenly from 0 to ``first_seconds`` doubled each time,
    and at most ``seconds_max``.
    """
    # The exponent is bounded so that no number of retries makes the power itself overflow.
    return draw.uniform(0, min(seconds_max, first_seconds * 2 ** min(retry - 1, 32)))
