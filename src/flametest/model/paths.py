"""The path of a request through the pods: log lines that carry its id, and where it failed first."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

__all__ = [
    "SLOW_MS",
    "FailureCause",
    "FailurePaths",
    "FaultSpan",
    "Hop",
    "HopLine",
    "KeptLogs",
    "LogLine",
    "RequestPath",
    "Trouble",
]

SLOW_MS = 500.0
"""A request that was answered well is slow when it took longer than this, from its intended start."""


class Trouble(StrEnum):
    """What was wrong with a request."""

    FAILED = "failed"
    UNKNOWN = "without an answer"  # it may have taken effect
    SLOW = "slow"


class LogLine(NamedTuple):
    """A line of a pod's log that carries the id of a request.

    Attributes:
        trace_id: the id.
        pod: the pod's name.
        container: the container's name.
        at_ns: when it was written by the clock of the pod's node, as a moment of this machine's monotonic clock.
        text: the line, bounded, without what looks like a secret.
    """

    trace_id: str
    pod: str
    container: str
    at_ns: int
    text: str


@dataclass(frozen=True, slots=True)
class KeptLogs:
    """Log lines of requests that failed or were slow.

    Attributes:
        examined: ids of the requests whose lines were looked for; each is kept whole, or has no line.
        lines: their lines.
    """

    examined: frozenset[str] = frozenset()
    lines: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class HopLine:
    """One line as it is shown; ``milliseconds`` are from the sending of the request."""

    milliseconds: float
    text: str
    is_failure: bool


@dataclass(frozen=True, slots=True)
class Hop:
    """One pod on the way of a request.

    Attributes:
        workload: whose pod it is.
        pod: the pod; empty for a part that was asked and has no line of the request.
        start_ms: when it began, from the sending of the request: its first line, less the duration that it tells.
        end_ms: when its last line came.
        lines: what it wrote, in the order of time; the first ones only where there are many.
        left_out: how many lines are not shown.
    """

    workload: str
    pod: str
    start_ms: float
    end_ms: float
    lines: tuple[HopLine, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class FaultSpan:
    """A fault that lasted while a request was on its way; from the sending of the request, in milliseconds."""

    name: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class RequestPath:
    """One request and its hops.

    Attributes:
        trace_id: the id that it carried.
        sent_seconds: when it was sent, from the injection.
        duration_ms: from its sending to its outcome.
        faults: the faults that lasted meanwhile.
        hops: the pods that wrote of it, by when they began.
        first_failed: the workload that failed first; empty where the lines do not tell.
        why: how that is known, in words; why it is not, where it is not.
    """

    trace_id: str
    sent_seconds: float
    duration_ms: float
    faults: tuple[FaultSpan, ...]
    hops: tuple[Hop, ...]
    first_failed: str
    why: str


@dataclass(frozen=True, slots=True)
class FailureCause:
    """Requests that failed alike: the same request, the same outcome, and the same hop that failed first.

    Attributes:
        request: what was asked for, such as ``GET /hits``.
        sender: who asked: the prober, the load, the ledger.
        trouble: what was wrong with it.
        outcome: how it ended, such as ``status 503`` or ``timeout``.
        first_failed: the workload that failed first; empty where that is not known.
        requests: how many there were of that request and outcome, wherever they failed.
        examined: how many of them were followed through the logs.
        alike: how many of the examined ones failed first there.
        path: the first of those, with its hops.
    """

    request: str
    sender: str
    trouble: Trouble
    outcome: str
    first_failed: str
    requests: int
    examined: int
    alike: int
    path: RequestPath


@dataclass(frozen=True, slots=True)
class FailurePaths:
    """What a scenario's failed and slow requests have to say.

    Attributes:
        causes: the first distinct ones, in the order of time.
        causes_left_out: how many more there were.
        failed: how many requests failed, or have no answer.
        slow: how many were answered well, and later than ``slow_ms``.
        slow_ms: the limit.
        note: what a reader has to know: why there are no log lines, or what may be missing.
        link: the address of a trace with a place for the id; empty where none was named.
    """

    causes: tuple[FailureCause, ...]
    causes_left_out: int
    failed: int
    slow: int
    slow_ms: float
    note: str = ""
    link: str = ""
