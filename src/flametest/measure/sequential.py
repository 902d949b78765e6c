"""Sequential tests: whether a question is decided by the requests so far, or needs more of them. Pure.

A fixed number of requests is too many where service is clearly good or clearly bad, and too few in between. Wald's
sequential probability ratio test looks again after every batch. It compares two shares p0 < p1: the likelihood ratio of
what was seen decides for p1 when it reaches 1/ε, and for p0 when it falls to ε. By Ville's inequality either happens
wrongly in at most ε of all cases, however often one looks. ε is `ERROR`; a spread is told to be missed at
`UNEVEN_ERROR`. Between p0 and p1 lies the indifference region, in which either answer is right enough.

Sources: Wald, Sequential Tests of Statistical Hypotheses, Ann. Math. Statist. 16, 1945; Ramdas, Grünwald, Vovk and
Shafer, Game-Theoretic Statistics and Safe Anytime-Valid Inference, Statistical Science 38, 2023 (the two limits).

Requests fail in bursts, so they are not independent, and n of them tell less than n. The log of the likelihood ratio is
therefore divided by a dispersion factor (quasi-likelihood: Wedderburn, Biometrika 61, 1974): the variance of the counts
of batches over that of independent requests (batch means: Schmeiser, Operations Research 30, 1982). It is at least that
of the bursts that are assumed, since requests that are all good tell nothing of bursts: 2b − 1 for lengths that are
geometric with the mean b.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BATCH_REQUESTS",
    "ERROR",
    "UNEVEN_ERROR",
    "Answer",
    "ShareTest",
    "answers",
    "batch_counts",
    "spread_answer",
    "spread_answers",
]

ERROR = 0.05
"""The greatest probability of each wrong answer: "holds" at p1 and above, "missed" at p0 and below."""

UNEVEN_ERROR = 0.001
"""The greatest probability that an even spread is told to be missed.

A sound system is right at p0 here, where one of 20 runs would fail by chance at `ERROR`; a share of bad requests is far
below its p0 where nothing is wrong.
"""

BATCH_REQUESTS = 25
"""Requests in a batch: several times the bursts that are assumed, and a quarter of a second of the usual load."""

_INDIFFERENCE_FACTOR = 2.0  # a share up to half of what is allowed holds, from twice as much on it is missed
_SPREAD_FACTOR = 1.5  # missed is an excess over the mean from one and a half times the allowed one on
_SHARE_MAX = 0.999  # of requests on one pod: of two pods, a limit of 1.7 would ask for more than all of them
_LOG_LIMIT = math.log(1 / ERROR)
_UNEVEN_LOG_LIMIT = math.log(1 / UNEVEN_ERROR)


class Answer(StrEnum):
    """What a question's answer is so far."""

    HOLDS = "holds"
    MISSED = "missed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class ShareTest:
    """The test whether a share of requests keeps to what is allowed.

    Attributes:
        allowed: the allowed share of bad requests, between 0 and 1: 1 − limit of an availability, 0.05 for a p95.
        burst: how many requests in a row fail together on average, at least; 1 for independent failures.
    """

    allowed: float
    burst: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be tested.

        Raises:
            ValueError: the share is not between 0 and 1, or a burst is shorter than a request.
        """
        if not 0.0 < self.allowed < 1.0 or self.burst < 1.0:
            raise ValueError(f"expected a share between 0 and 1 and a burst from 1 on, found {self}")

    @property
    def held_share(self) -> float:
        """Return p0: up to this share "missed" is wrong."""
        return self.allowed / _INDIFFERENCE_FACTOR

    @property
    def missed_share(self) -> float:
        """Return p1: from this share on "holds" is wrong; never as much as all requests."""
        return min(_INDIFFERENCE_FACTOR * self.allowed, (1.0 + self.allowed) / 2)

    @property
    def dispersion_min(self) -> float:
        """Return the variance of a count of bad requests over that of independent ones, for the assumed bursts."""
        return 2 * self.burst - 1

    @property
    def good_requests(self) -> int:
        """Return how many requests decide that it holds when every one of them is good; whole batches."""
        each = math.log((1 - self.held_share) / (1 - self.missed_share))
        return BATCH_REQUESTS * math.ceil(self.dispersion_min * _LOG_LIMIT / each / BATCH_REQUESTS)

    def answer(self, bad: NDArray[np.bool_]) -> Answer:
        """Return the answer of requests in the order of their sending, each bad or not; see `answers`."""
        logs = self.log_ratios(batch_counts(bad))
        return answers(logs[-1:])[0] if len(logs) else Answer.UNDECIDED

    def log_ratios(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the log of the likelihood ratio after each batch, over the dispersion that was seen until then.

        Args:
            counts: bad requests of each batch of `BATCH_REQUESTS`, along the last axis.
        """
        batches = np.arange(1, counts.shape[-1] + 1)
        bad, requests = np.cumsum(counts, axis=-1), batches * BATCH_REQUESTS
        if_bad = math.log(self.missed_share / self.held_share)
        if_good = math.log((1 - self.missed_share) / (1 - self.held_share))
        dispersion = np.maximum(self.dispersion_min, _dispersion(counts, batches, bad))
        return np.asarray((bad * if_bad + (requests - bad) * if_good) / dispersion)


def answers(log_ratios: NDArray[np.float64], missed_from: float = _LOG_LIMIT) -> list[Answer]:
    """Return what each log of a likelihood ratio, of missed over held, says by itself.

    Args:
        log_ratios: logs of likelihood ratios.
        missed_from: from which one on the answer is "missed".
    """
    found = np.where(log_ratios >= missed_from, 1, np.where(log_ratios <= -_LOG_LIMIT, -1, 0))
    words = {1: Answer.MISSED, -1: Answer.HOLDS, 0: Answer.UNDECIDED}
    return [words[int(one)] for one in found.ravel()]


def batch_counts(bad: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many requests of each whole batch were bad; what is left over at the end waits for the next look."""
    whole = len(bad) // BATCH_REQUESTS
    return np.asarray(bad[: whole * BATCH_REQUESTS].reshape(whole, BATCH_REQUESTS).sum(axis=1), dtype=np.int64)


def spread_answer(requests: Sequence[int], due: Sequence[float], limit: float) -> Answer:
    """Return whether requests spread over pods evenly enough: the busiest one over the mean is within ``limit``.

    One test a pod compares its due share with that of a pod whose excess over the mean is 1.5 times the allowed one.
    It holds when every pod's test says so, and is missed when one does at `UNEVEN_ERROR` over the number of pods
    (Bonferroni).
    Requests have to be independent: those over fresh connections are, since each is balanced by itself.

    Args:
        requests: how many requests each pod has answered.
        due: what share of them was due to it, such as that of its ready time; sums up to 1.
        limit: the greatest allowed ratio.
    """
    if len(requests) < 2 or limit >= len(requests):
        return Answer.HOLDS
    return spread_answers(np.asarray([requests]), due, limit)[0]


def spread_answers(requests: NDArray[np.int64], due: Sequence[float], limit: float) -> list[Answer]:
    """Return `spread_answer` of each row of counts, one column a pod."""
    shares = np.asarray(due)
    missed = np.minimum(_SHARE_MAX, shares * (1 + _SPREAD_FACTOR * max(0.0, limit - 1)))
    compared = (shares > 0) & (missed > shares)  # no number of requests could tell a deviation from exactly even
    if not compared.any():
        return [Answer.UNDECIDED] * len(requests)
    seen, shares, missed = requests[:, compared], shares[compared], missed[compared]
    others = requests.sum(axis=1, keepdims=True) - seen
    busiest = (seen * np.log(missed / shares) + others * np.log((1 - missed) / (1 - shares))).max(axis=1)
    return answers(busiest, _UNEVEN_LOG_LIMIT + math.log(len(due)))


def _dispersion(counts: NDArray[np.int64], batches: NDArray[np.intp], bad: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the variance of the batches so far over that of independent requests; 0 where none or all are bad."""
    squares = np.cumsum(counts.astype(np.float64) ** 2, axis=-1)
    spread = (squares - bad.astype(np.float64) ** 2 / batches) / np.maximum(batches - 1, 1)
    mean = bad / batches
    independent = mean * (1 - mean / BATCH_REQUESTS)
    return np.asarray(np.divide(spread, independent, out=np.zeros_like(spread), where=independent > 0))
