"""Whether requests to pods show what their own fault switches do. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from flametest.faults.evidence import Check, Latency, delay_shown, jitter_shown, jitter_test, rate_shown
from flametest.faults.http_faults import HttpFaults
from flametest.faults.odds import RateTest

__all__ = ["Sounding", "judge", "rate_tests"]


@dataclass(frozen=True, slots=True)
class Sounding:
    """What became of requests that were sent to find out.

    Attributes:
        statuses: of each; 0 for one without an answer.
        latencies_ms: how long each took, those without an answer included.
    """

    statuses: tuple[int, ...] = ()
    latencies_ms: tuple[float, ...] = ()

    def __add__(self, other: Self) -> "Sounding":
        """Return what became of these and of others."""
        return Sounding(self.statuses + other.statuses, self.latencies_ms + other.latencies_ms)

    @property
    def requests(self) -> int:
        """Return how many there were."""
        return len(self.statuses)

    @property
    def latency(self) -> Latency:
        """Return how long they took."""
        return Latency.of(self.latencies_ms)

    @property
    def failed(self) -> int:
        """Return how many were not answered, or by a server's error."""
        return sum(status == 0 or status >= 500 for status in self.statuses)


def rate_tests(faults: HttpFaults) -> list[RateTest]:
    """Return the tests by which the faults are judged, besides a delay of each request."""
    jitters = bool(faults.latency_jitter_ms and not faults.latency_ms)
    checks = bool(faults.error_rate) + jitters
    errors = [RateTest(faults.error_rate, checks)] if faults.error_rate else []
    return errors + [jitter_test(checks)] * jitters


def judge(faults: HttpFaults, before: Latency, seen: Sounding) -> Sequence[Check]:
    """Return what all requests so far say of the faults.

    Args:
        faults: what was asked for.
        before: how long requests took without them.
        seen: what was seen with them; one request at least.
    """
    tests, checks = rate_tests(faults), []
    if faults.error_rate:
        failed = sum(status in faults.error_statuses for status in seen.statuses)
        checks.append(rate_shown(tests[0], seen.requests, failed, "failed as asked for"))
    if faults.latency_ms:
        checks.append(delay_shown(faults.latency_ms, before, seen.latency, seen.requests))
    elif faults.latency_jitter_ms:
        checks.append(jitter_shown(tests[-1], faults.latency_jitter_ms, before, seen.latencies_ms))
    return checks
