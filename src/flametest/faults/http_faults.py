"""What is done to HTTP requests: the options of a fault, and its rules. Pure."""

from dataclasses import dataclass
from typing import Any

from flametest.edgeproxy.rules import Effect, Match, Rule
from flametest.faults.errors import FaultError
from flametest.faults.odds import RATE_MIN, can_be_shown

__all__ = ["HttpFaults", "rules_of"]


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

    def check(self) -> None:
        """Return if it makes sense.

        Raises:
            FaultError: it does not; the message names the option.
        """
        if not (min(self.error_rate, self.abort_rate) >= 0 and self.error_rate + self.abort_rate <= 1):
            raise FaultError(
                f"error_rate {self.error_rate:g} and abort_rate {self.abort_rate:g}: expected shares, together up to 1"
            )
        if not all(can_be_shown(rate) for rate in (self.error_rate, self.abort_rate)):
            raise FaultError(
                f"error_rate {self.error_rate:g} and abort_rate {self.abort_rate:g}: expected 0, 1, or {RATE_MIN:g} to "
                f"{1 - RATE_MIN:g}; others take more requests to be proved than are sent"
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
