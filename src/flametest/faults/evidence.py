"""What shows that requests are treated as asked for: checks of what came of them, and sounding on until they decide."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from flametest.faults.odds import Decision, RateTest
from flametest.faults.protocol import Proof

__all__ = [
    "LATENCY_REQUESTS",
    "Check",
    "Latency",
    "Plan",
    "Pool",
    "delay_shown",
    "jitter_shown",
    "jitter_test",
    "rate_shown",
    "senders_for",
    "sounded",
]

LATENCY_REQUESTS = 20  # for a median and a quick end
LATENCY_REQUESTS_MAX = 200  # by then one of them met an idle moment, if there was any
ADDED_SHARE_MIN = 0.8  # of the latency that was asked for: what is measured differs a little by chance
JITTER_SHARE = 0.6  # of the delays drawn evenly from 0 to J are at least 0.8·J/2
SECONDS_MAX = 60.0
BATCH_SECONDS_MAX = 15.0
REQUESTS_PER_SECOND = 250  # at most, of requests that are delayed: the system is under load as well


@dataclass(frozen=True, slots=True)
class Check:
    """What one thing that was looked at says of the fault, and the figures."""

    decision: Decision
    told: str

    @classmethod
    def of(cls, holds: bool, told: str) -> "Check":
        """Return the check of something that more requests would not change."""
        return cls(Decision.SHOWN if holds else Decision.REFUTED, told)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long requests took: their median, and what nineteen in twenty of them took at least, in milliseconds."""

    median_ms: float = 0.0
    quick_ms: float = 0.0

    @classmethod
    def of(cls, latencies_ms: Iterable[float]) -> "Latency":
        """Return that of these requests; of none it is zero."""
        ordered = sorted(latencies_ms)
        return cls(statistics.median(ordered), ordered[len(ordered) // 20]) if ordered else cls()


class Pool(Protocol):
    """What came of all requests so far."""

    @property
    def requests(self) -> int:
        """Return how many there were."""

    def __add__(self, other: Self) -> Self:
        """Return this with more."""


PoolT = TypeVar("PoolT", bound=Pool)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many requests are sent before one looks.

    Attributes:
        first: before the first look; half of it before each further one, but enough for a median.
        most: after so many there is no further look.
        seconds_max: after this time there is none either.
    """

    first: int
    most: int
    seconds_max: float

    @classmethod
    def of(cls, tests: Sequence[RateTest], seconds_max: float, waits_ms: float = 0.0, senders: int = 1) -> "Plan":
        """Return the plan for a fault that these tests judge, besides its delay.

        Args:
            tests: of its rates.
            seconds_max: for how long the fault lasts; half of it is the soundings'.
            waits_ms: how long each request takes on purpose.
            senders: how many are under way at once.
        """
        first = max([LATENCY_REQUESTS, *(test.requests_first for test in tests)])
        if waits_ms:  # one look at least, long before the time is over
            first = min(first, max(LATENCY_REQUESTS, round(senders * BATCH_SECONDS_MAX * 1000 / waits_ms)))
        most = max([LATENCY_REQUESTS_MAX, *(test.requests_max for test in tests)])
        return cls(first, most, min(SECONDS_MAX, seconds_max / 2))


def senders_for(waits_ms: float, least: int, most: int) -> int:
    """Return how many requests are under way at once, when each takes this long on purpose."""
    return max(least, min(most, round(waits_ms / 1000 * REQUESTS_PER_SECOND)))


def sounded(
    plan: Plan,
    send: Callable[[int], PoolT],
    judge: Callable[[PoolT], Sequence[Check]],
    clock: Callable[[], float] = time.monotonic,
) -> Proof:
    """Send requests until all of them together decide, and return what they say; the fault lasts all the while.

    Args:
        plan: how many, and for how long.
        send: sends so many, or fewer where they take long, and returns what came of them.
        judge: says what all of them show; of a rate it decides after ``plan.most`` at the latest.
        clock: in seconds.
    """
    begun = clock()
    end = begun + plan.seconds_max
    pool = send(plan.first)
    while True:
        checks = judge(pool) if pool.requests else (Check.of(False, "no request could be sent to see it"),)
        decisions = {check.decision for check in checks}
        over = pool.requests >= plan.most or clock() >= end
        if Decision.OPEN not in decisions or Decision.REFUTED in decisions or over:
            break
        pool = pool + send(max(1, min(max(LATENCY_REQUESTS, plan.first // 2), plan.most - pool.requests)))
    told = "; ".join(check.told for check in checks)
    return Proof(decisions == {Decision.SHOWN}, told, lasted_seconds=clock() - begun)


def delay_shown(delay_ms: float, before: Latency, latency: Latency, requests: int) -> Check:
    """Judge a delay of each request by the quick ones: however long requests queue, none is quicker than its delay."""
    rose_ms = latency.quick_ms - before.quick_ms
    enough = rose_ms >= ADDED_SHARE_MIN * delay_ms
    return Check(
        Decision.SHOWN if enough else Decision.OPEN,
        f"what 95% of {requests} requests took at least {'rose' if enough else 'went'} from {before.quick_ms:.1f} to "
        f"{latency.quick_ms:.1f} ms, by {rose_ms:.1f} ms of {delay_ms:g} asked for",
    )


def jitter_test(checks: int = 1) -> RateTest:
    """Return the test of a delay that only varies: at least so many requests take at least so long."""
    return RateTest(JITTER_SHARE, checks, at_least=True)


def jitter_shown(test: RateTest, jitter_ms: float, before: Latency, latencies_ms: Sequence[float]) -> Check:
    """Judge such a delay by its test."""
    least_ms = before.median_ms + ADDED_SHARE_MIN * jitter_ms / 2
    late = sum(one >= least_ms for one in latencies_ms)
    return rate_shown(test, len(latencies_ms), late, f"took {least_ms:.1f} ms or more")


def rate_shown(test: RateTest, requests: int, count: int, what: str) -> Check:
    """Judge a count by the test of its rate."""
    decision, rate = test.decide(requests, count), f"{'at least ' if test.at_least else ''}{test.rate:.4g}"
    seldom = "gives less than once in a million times" if test.rate < 1 else "never gives"
    told = {
        Decision.SHOWN: f"as a rate of {rate} gives",
        Decision.REFUTED: f"which a rate of {rate} {seldom}",
        Decision.OPEN: f"too few requests to tell whether the rate is {rate}",
    }
    return Check(decision, f"{count} of {requests} requests ({count / requests:.1%}) {what}, {told[decision]}")
