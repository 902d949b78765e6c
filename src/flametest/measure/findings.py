"""Findings: plain advice for each limit that was missed, for each cause that shows, and for what cannot be believed.

All of it is drawn from what was measured and nothing else; the causes are those of `flametest.measure.rules`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from flametest.measure.figures import Figures
from flametest.measure.rules import RULES, Recorded
from flametest.model.result import Check, Finding
from flametest.model.verdict import Criterion, Verdict

__all__ = ["felt_words", "findings"]

_ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "outage_seconds": (
            "let clients or the proxy before the service retry refused requests on another pod, and give a stopping "
            "pod a preStop pause, so that it is out of the endpoints before it closes its port"
        ),
        "recovery_seconds": (
            "check the waterfall for the longest stage: shorten the start of the program, or the period of its "
            "readiness probe"
        ),
        "steady_seconds": "look for queues, pools and caches that are still full or cold after the pods are back",
        "availability": "run one replica more, and retry requests that are safe to repeat within a budget",
        "p95_ms": "bound each call with a time limit, and check that the pods left can carry the whole load",
        "write_anomalies": (
            "acknowledge a write only after its transaction is durable, make its idempotency key unique in the "
            "database, and change stock or balances in that same transaction; the ids are under Writes"
        ),
        "unhandled_errors": (
            "catch what a dependency may throw where it is called, and answer with a 503 and Retry-After that tells "
            "users what to do"
        ),
        "connections_admitted": (
            "give each app a NetworkPolicy that admits its clients by label, and use a network that enforces policies"
        ),
        "max_over_mean": (
            "let long-lived connections expire, or balance by request: a kept connection stays on the pod it found"
        ),
    }
)


_SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "outage_seconds": "latency",
        "p95_ms": "latency",
        "unhandled_errors": "latency",
        "recovery_seconds": "waterfall",
        "steady_seconds": "waterfall",
        "write_anomalies": "writes",
        "max_over_mean": "served",
    }
)


def findings(
    recorded: Recorded, criteria: Sequence[Criterion], checks: Sequence[Check], done: str
) -> tuple[Finding, ...]:
    """Return a finding for each limit that was missed, each cause that shows, and one for what is not believed."""
    felt = recorded.felt
    missed = [
        Finding(
            title=f"{one.title}: {one.reason}",
            felt=felt,
            evidence=f"after {done}; limit from {(one.limit.source if one.limit else '') or 'the scenario'}",
            advice=_ADVICE[one.name],
            rule=f"missed_{one.name}",
            section=_SECTIONS.get(one.name, ""),
        )
        for one in criteria
        if one.verdict is Verdict.FAILED
    ]
    missed += [found for rule in RULES if (found := rule(recorded)) is not None]
    doubted = [one for one in checks if one.verdict is Verdict.INCONCLUSIVE]
    if doubted:
        missed.append(
            Finding(
                title="The measurement cannot be relied on",
                felt=felt,
                evidence="; ".join(one.detail for one in doubted),
                advice="fix this first and run again: no figure of this scenario counts as passed until then",
                rule="doubted",
                section="trust",
            )
        )
    return tuple(missed)


def felt_words(measured: Figures) -> str:
    """Return what users felt of a scenario, as requests that failed."""
    level = measured.availability
    if level is None:
        return "unknown: no request was recorded"
    if level.bad == 0:
        return f"none of {level.valid} requests failed"
    return f"{level.bad} of {level.valid} requests failed"
