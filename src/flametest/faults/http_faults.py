"""What is done to HTTP requests, and whether requests that were sent for it show that it is done. Pure."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flametest.edgeproxy.rules import Effect, Match, Rule
from flametest.faults.errors import FaultError
from flametest.faults.odds import CONFIDENCE, binomial_range, requests_needed
from flametest.faults.protocol import Proof

__all__ = ["LATENCY_REQUESTS", "HttpFaults", "Latency", "Sounding", "delay_shown", "judge", "rate_shown", "rules_of"]

LATENCY_REQUESTS = 20  # for its median and its quick end
ADDED_SHARE_MIN = 0.8  # of the latency that was asked for: what is measured differs a little by chance


@dataclass(frozen=True, slots=True)
class HttpFaults:
    """What is done to each request.

    Attributes:
        error_rate: share that is answered by an error, from 0 to 1.
        latency_ms: delay of each.
        latency_jitter_ms: a further delay, drawn evenly from 0 to this.
        abort_rate: share whose connection is reset.
        error_statuses: the statuses of the errors, drawn evenly.
        seconds_max: it goes off by itself after so long.
        seed: makes the draws repeatable; None to draw one.
    """

    error_rate: float = 0.0
    latency_ms: float = 0.0
    latency_jitter_ms: float = 0.0
    abort_rate: float = 0.0
    error_statuses: tuple[int, ...] = (500,)
    seconds_max: float = 120.0
    seed: int | None = None

    def __str__(self) -> str:
        parts = []
        if self.error_rate:
            parts.append(f"fail {self.error_rate:.4g} of requests by {' or '.join(map(str, self.error_statuses))}")
        if self.abort_rate:
            parts.append(f"reset {self.abort_rate:.4g} of connections")
        if self.latency_ms or self.latency_jitter_ms:
            spread = f" to {self.latency_ms + self.latency_jitter_ms:g}" if self.latency_jitter_ms else ""
            parts.append(f"delay requests by {self.latency_ms:g}{spread} ms")
        return " and ".join(parts)

    @property
    def requests(self) -> int:
        """Return how many requests show it."""
        rates = [rate for rate in (self.error_rate, self.abort_rate) if rate]
        return max(map(requests_needed, rates)) if rates else LATENCY_REQUESTS

    def check(self) -> None:
        """Return if it makes sense.

        Raises:
            FaultError: it does not; the message names the option.
        """
        if not (min(self.error_rate, self.abort_rate) >= 0 and self.error_rate + self.abort_rate <= 1):
            raise FaultError(
                f"error_rate {self.error_rate:g} and abort_rate {self.abort_rate:g}: expected shares, together up to 1"
            )
        if not (0 <= self.latency_ms <= 30_000 and 0 <= self.latency_jitter_ms <= 30_000):
            raise FaultError("latency_ms and latency_jitter_ms: expected 0 to 30000 ms")
        if not str(self):
            raise FaultError("nothing is to be injected", "give an error_rate, an abort_rate or a latency_ms")
        if not 0 < self.seconds_max <= 3600:
            raise FaultError(f"seconds_max {self.seconds_max:g}: expected more than 0 and at most 3600 s")
        if not self.error_statuses or not all(500 <= status <= 599 for status in self.error_statuses):
            raise FaultError(f"error_statuses {list(self.error_statuses)}: expected statuses from 500 to 599")

    def body(self, seed: int, seconds: float) -> dict[str, Any]:
        """Return what a fault switch is told, without what only the fault proxy can do."""
        return {
            "error_rate": self.error_rate,
            "latency_ms": self.latency_ms,
            "latency_jitter_ms": self.latency_jitter_ms,
            "expires_seconds": seconds,
            "seed": seed,
        }


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


@dataclass(frozen=True, slots=True)
class Sounding:
    """What became of requests that were sent to find out.

    Attributes:
        statuses: how many had each status; those without an answer have 0.
        latency: how long they took, those without an answer included.
    """

    statuses: dict[int, int]
    latency: Latency = Latency()

    @property
    def requests(self) -> int:
        """Return how many there were."""
        return sum(self.statuses.values())

    def count(self, *statuses: int) -> int:
        """Return how many had one of these statuses."""
        return sum(self.statuses.get(status, 0) for status in statuses)

    @property
    def failed(self) -> int:
        """Return how many were not answered, or by a server's error."""
        return sum(number for status, number in self.statuses.items() if status == 0 or status >= 500)


def rules_of(faults: HttpFaults) -> tuple[Rule, ...]:
    """Return errors, aborts and latency of HTTP as rules, of which the first that applies counts."""
    aborted, failed = faults.abort_rate, faults.error_rate
    delayed: dict[str, Any] = {"delay_ms": faults.latency_ms, "jitter_ms": faults.latency_jitter_ms}
    rules = []
    if aborted:
        rules.append(Rule(Effect(reset=True, **delayed), Match(share=aborted)))
    if failed:
        share = min(1.0, failed / (1 - aborted))
        rules.append(Rule(Effect(status=faults.error_statuses, **delayed), Match(share=share)))
    if any(delayed.values()):
        rules.append(Rule(Effect(**delayed)))
    return tuple(rules)


def judge(faults: HttpFaults, before: Latency, seen: Sounding) -> Proof:
    """Return whether what was seen speaks for the faults, with the figures.

    Args:
        faults: what was asked for.
        before: how long requests took without them.
        seen: what was seen with them.
    """
    if not seen.requests:
        return Proof(False, "no request could be sent to see it")
    checks = []
    if faults.error_rate:
        failed = seen.count(*faults.error_statuses)
        checks.append(rate_shown(seen.requests, failed, faults.error_rate, "failed as asked for"))
    if faults.abort_rate:
        checks.append(rate_shown(seen.requests, seen.count(0), faults.abort_rate, "were broken off"))
    if faults.latency_ms or faults.latency_jitter_ms:
        checks.append(delay_shown(faults.latency_ms, faults.latency_jitter_ms, before, seen.latency, seen.requests))
    return Proof(all(proved for proved, _ in checks), "; ".join(told for _, told in checks))


def delay_shown(
    delay_ms: float, jitter_ms: float, before: Latency, latency: Latency, requests: int
) -> tuple[bool, str]:
    """Judge what was added: a delay of each request by the quick ones, a delay that only varies by the median.

    However long requests queue on a busy machine, none is quicker than its delay.
    """
    if delay_ms:
        what, asked_ms = f"what 95% of {requests} requests took at least", delay_ms
        was_ms, is_ms = before.quick_ms, latency.quick_ms
    else:
        what, asked_ms = f"the median of {requests} requests", jitter_ms / 2
        was_ms, is_ms = before.median_ms, latency.median_ms
    enough = is_ms - was_ms >= ADDED_SHARE_MIN * asked_ms
    return enough, (
        f"{what} {'rose' if enough else 'went'} from {was_ms:.1f} to {is_ms:.1f} ms, by {is_ms - was_ms:.1f} ms of "
        f"{asked_ms:g} asked for"
    )


def rate_shown(requests: int, count: int, rate: float, what: str) -> tuple[bool, str]:
    """Judge a count by the binomial interval of its rate."""
    low, high = binomial_range(requests, min(rate, 1.0))
    inside = low <= count <= high
    return inside, (
        f"{count} of {requests} requests ({count / requests:.1%}) {what}, {'inside' if inside else 'OUTSIDE'} "
        f"the {CONFIDENCE:.0%} binomial interval of {rate:.4g}: {low} to {high}"
    )
