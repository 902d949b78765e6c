"""Failed and slow requests by their causes, each with the path of one: what the report opens.

Two requests have one cause when the same was asked for by the same sender, ended alike, and failed first in the same
workload. Only requests whose log lines were kept tell the last of these; where there are none, the outcome is all that
is known. Pure: lines come as `flametest.tracing` has kept them, pods and workloads from the history.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from flametest.measure.hops import Asked, Evidence, FirstFailure, first_failure
from flametest.measure.loglines import Peers, read_line
from flametest.measure.owners import Owners
from flametest.measure.samples import Samples
from flametest.model.events import (
    EndpointsObserved,
    FaultHealed,
    FaultInjected,
    LogsFollowed,
    PodObserved,
    WorkloadObserved,
)
from flametest.model.history import History
from flametest.model.paths import (
    FailureCause,
    FailurePaths,
    FaultSpan,
    Hop,
    HopLine,
    KeptLogs,
    LogLine,
    RequestPath,
    Trouble,
)
from flametest.model.samples import Lane, Outcome
from flametest.model.writes import Attempt, WriteOutcome

__all__ = ["CAUSES_MAX", "failure_paths"]

CAUSES_MAX = 10
_LINES_MAX = 6  # of one pod
_HOPS_MAX = 12
_EXAMINED_MAX = 2000
_SENDERS = {Lane.FRESH: "prober", Lane.KEEPALIVE: "prober", Lane.LOAD: "load"}
_LEDGER = "ledger"

_Kind = tuple[str, str, Trouble, str]  # sender, request, trouble, outcome: what the client knows of it


@dataclass(frozen=True, slots=True)
class _Bad:
    """A request that failed, has no answer, or was slow."""

    sender: str
    request: str
    trouble: Trouble
    outcome: str
    sent_ns: int
    done_ns: int
    trace_id: str
    is_answered: bool

    @property
    def kind(self) -> _Kind:
        """Return what the client knows of it."""
        return self.sender, self.request, self.trouble, self.outcome


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the history tells of pods: whose they are, and who is meant by a name or an address."""

    workloads: Mapping[str, str]
    peers: Peers
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, history: History) -> "_Parts":
        """Return what a history tells."""
        owners = Owners(history)
        pods = {event.name: owners.title(event) for event in history.of(PodObserved)}
        services: dict[str, str] = {}
        addresses: dict[str, str] = {}
        for event in history.of(EndpointsObserved):
            for endpoint in event.endpoints:
                if endpoint.pod_name in pods:
                    services[event.service] = addresses[endpoint.address] = pods[endpoint.pod_name]
        for followed in history.of(LogsFollowed):
            for service in followed.services:
                addresses[service.address] = services.get(service.name, service.name)
                services.setdefault(service.name, service.name)
        names = {event.name: event.name for event in history.of(WorkloadObserved)} | services | pods
        own: dict[str, set[str]] = {}
        for name, workload in names.items():
            own.setdefault(workload, {workload}).add(name)
        return cls(pods, Peers(names, addresses), {name: frozenset(found) for name, found in own.items()})

    def workload(self, pod: str) -> str:
        """Return whose pod it is, or the pod's own name."""
        return self.workloads.get(pod) or pod

    def evidence(self, line: LogLine) -> Evidence:
        """Return what a line tells."""
        workload = self.workload(line.pod)
        own = self.names.get(workload, frozenset((workload,)))
        return Evidence(workload, line.at_ns, read_line(line.text, own, self.peers))


def failure_paths(
    history: History,
    samples: Samples,
    attempts: Iterable[Attempt],
    kept: KeptLogs,
    *,
    slow_ms: float,
    t0_ns: int | None,
) -> FailurePaths | None:
    """Return the failed and slow requests of a scenario by their causes; None when there is none.

    Args:
        history: the scenario's events.
        samples: its requests of prober and load.
        attempts: those of the ledger.
        kept: log lines of its failed and slow requests.
        slow_ms: what counts as slow, from the intended start.
        t0_ns: the injection (monotonic); None without one: seconds then count from the first request.
    """
    bad = _Requests.of(samples, attempts, kept.examined, slow_ms)
    if not bad.chosen:
        return None
    parts = _Parts.of(history)
    origin_ns = t0_ns if t0_ns is not None else bad.chosen[0].sent_ns
    causes = _causes(bad, _Examined(kept, parts), _Faults.of(history, origin_ns))
    followed = history.of(LogsFollowed)
    return FailurePaths(
        causes=tuple(causes[:CAUSES_MAX]),
        causes_left_out=max(0, len(causes) - CAUSES_MAX),
        failed=bad.count(Trouble.FAILED, Trouble.UNKNOWN),
        slow=bad.count(Trouble.SLOW),
        slow_ms=slow_ms,
        note=_note(followed[-1] if followed else None, kept.lines, [one for one in bad.chosen if one.trace_id]),
        link=followed[-1].link if followed else "",
    )


@dataclass(frozen=True, slots=True)
class _Requests:
    """Failed and slow requests: how many of each kind, and those that are looked at, in the order of sending."""

    totals: Counter[_Kind]
    chosen: list[_Bad]

    @classmethod
    def of(
        cls, samples: Samples, attempts: Iterable[Attempt], examined: Collection[str], slow_ms: float
    ) -> "_Requests":
        """Return those of a scenario; looked at are the first of each kind, and those whose log lines were kept."""
        totals: Counter[_Kind] = Counter()
        chosen = list(_bad_samples(samples, examined, slow_ms, totals))
        for one in _bad_attempts(attempts):
            if one.trace_id in examined or not totals[one.kind]:
                chosen.append(one)
            totals[one.kind] += 1
        return cls(totals, sorted(chosen, key=lambda one: one.sent_ns))

    def count(self, *troubles: Trouble) -> int:
        """Return how many there are of these troubles."""
        return sum(count for (_, _, trouble, _), count in self.totals.items() if trouble in troubles)


def _bad_samples(samples: Samples, examined: Collection[str], slow_ms: float, totals: Counter[_Kind]) -> Iterable[_Bad]:
    """Yield the first of each kind and those that were examined, and count all; there may be a million of them."""
    bad = samples.where(samples.bad | (samples.good & (samples.latency_ms > slow_ms)))
    columns = (bad.lane_code, bad.name_code, bad.outcome_code, bad.status, bad.error_code)
    kinds = np.zeros(len(bad), np.int64)
    for column in columns:
        kinds = kinds * (int(column.max(initial=0)) + 1) + column
    _, first, counts = np.unique(kinds, return_index=True, return_counts=True)
    for index, count in zip(first.tolist(), counts.tolist(), strict=True):
        totals[_bad_sample(bad, index).kind] += count
    kept = np.isin(bad.trace_id, np.array(sorted(examined), "S32")) if examined else np.zeros(len(bad), bool)
    kept[first] = True
    for index in np.flatnonzero(kept).tolist():
        yield _bad_sample(bad, index)


def _bad_sample(samples: Samples, index: int) -> _Bad:
    row = samples.row(index)
    trouble = {Outcome.OK: Trouble.SLOW, Outcome.UNKNOWN: Trouble.UNKNOWN}.get(row.outcome, Trouble.FAILED)
    ended = "" if trouble is Trouble.SLOW else _ended(row.status, row.error)
    return _Bad(_SENDERS[row.lane], row.name, trouble, ended, row.sent_ns, row.done_ns, row.trace_id, bool(row.status))


def _bad_attempts(attempts: Iterable[Attempt]) -> Iterable[_Bad]:
    troubles = {WriteOutcome.FAILED: Trouble.FAILED, WriteOutcome.UNKNOWN: Trouble.UNKNOWN}
    for one in attempts:
        if one.outcome in troubles and one.done_ns:
            ended = _ended(one.status, one.error)
            yield _Bad(
                _LEDGER, "write", troubles[one.outcome], ended, one.sent_ns, one.done_ns, one.trace_id, bool(one.status)
            )


def _ended(status: int, error: str) -> str:
    return f"status {status}" if status else error or "no answer"


def _by_id(lines: Sequence[LogLine]) -> dict[str, list[LogLine]]:
    ordered = sorted(lines, key=lambda line: (line.trace_id, line.at_ns))
    return {trace_id: list(group) for trace_id, group in groupby(ordered, key=lambda line: line.trace_id)}


@dataclass(frozen=True, slots=True)
class _Faults:
    """When each fault lasted (monotonic), which one that was over at once did not; seconds count from ``origin_ns``."""

    spans: tuple[tuple[str, int, int], ...]
    origin_ns: int

    @classmethod
    def of(cls, history: History, origin_ns: int) -> "_Faults":
        """Return the faults of a history."""
        healed = {event.injection: event.at.monotonic_ns for event in history.of(FaultHealed)}
        found = history.of(FaultInjected)
        spans = ((one.name or one.fault, one.sent_ns, healed.get(one.injection, one.sent_ns)) for one in found)
        return cls(tuple(spans), origin_ns)

    def during(self, one: _Bad) -> tuple[FaultSpan, ...]:
        """Return those that lasted while a request was on its way."""
        return tuple(
            FaultSpan(name, (begin - one.sent_ns) / 1e6, (end - one.sent_ns) / 1e6)
            for name, begin, end in self.spans
            if begin <= one.done_ns and one.sent_ns < end
        )


class _Examined:
    """Requests whose lines were looked for, and what these tell."""

    def __init__(self, kept: KeptLogs, parts: _Parts) -> None:
        self.parts = parts
        self._examined = kept.examined
        self._lines = _by_id(kept.lines)
        self._evidence = {trace_id: [parts.evidence(line) for line in lines] for trace_id, lines in self._lines.items()}
        self._entry = _entry(self._evidence.values())

    def __contains__(self, one: _Bad) -> bool:
        return bool(self._lines) and one.trace_id in self._examined

    def lines(self, one: _Bad) -> Sequence[LogLine]:
        """Return the lines of a request."""
        return self._lines.get(one.trace_id, ())

    def judged(self, one: _Bad) -> FirstFailure:
        """Return where a request failed first."""
        if one not in self:
            return FirstFailure("", "no log lines were kept")
        is_slow, is_timeout = one.trouble is Trouble.SLOW, one.outcome == "timeout"
        asked = Asked(one.sent_ns, one.done_ns, one.is_answered, is_slow, is_timeout, self._entry)
        return first_failure(self._evidence.get(one.trace_id, ()), asked)


def _causes(bad: _Requests, examined: _Examined, faults: _Faults) -> list[FailureCause]:
    """Return the distinct causes in the order of their first requests; slow ones stand behind failed ones."""
    looked_for = [one for one in bad.chosen if one in examined][:_EXAMINED_MAX]
    each = Counter(one.kind for one in looked_for)
    bare = [one for one in bad.chosen if not each[one.kind]]
    judged = [(one, examined.judged(one)) for one in (*looked_for, *bare)]
    alike = Counter((one.kind, found.workload) for one, found in judged if one in examined)
    judged.sort(key=lambda pair: (pair[0].trouble is Trouble.SLOW, pair[0].sent_ns))
    chosen: dict[tuple[tuple[str, str, Trouble, str], str], FailureCause] = {}
    for one, found in judged:
        key = one.kind, found.workload
        if key not in chosen:
            path = _path(one, found, examined, faults)
            counts = bad.totals[one.kind], each[one.kind], alike[key]
            chosen[key] = FailureCause(one.request, one.sender, one.trouble, one.outcome, found.workload, *counts, path)
    return list(chosen.values())


def _entry(requests: Iterable[Sequence[Evidence]]) -> str:
    """Return the workload that requests reach first: the one that began first in most of them."""
    first = Counter(min(lines, key=lambda line: line.began_ns).workload for lines in requests if lines)
    return first.most_common(1)[0][0] if first else ""


def _path(one: _Bad, found: FirstFailure, examined: _Examined, faults: _Faults) -> RequestPath:
    by_pod = _by_pod(examined.lines(one))
    hops = sorted(
        (_hop(pod, list(group), examined.parts, one.sent_ns) for pod, group in by_pod), key=lambda hop: hop.start_ms
    )
    return RequestPath(
        trace_id=one.trace_id,
        sent_seconds=(one.sent_ns - faults.origin_ns) / 1e9,
        duration_ms=(one.done_ns - one.sent_ns) / 1e6,
        faults=faults.during(one),
        hops=tuple(hops[:_HOPS_MAX]),
        first_failed=found.workload,
        why=found.why,
    )


def _by_pod(lines: Sequence[LogLine]) -> Iterable[tuple[str, Iterable[LogLine]]]:
    return groupby(sorted(lines, key=lambda line: (line.pod, line.at_ns)), key=lambda line: line.pod)


def _hop(pod: str, lines: Sequence[LogLine], parts: _Parts, sent_ns: int) -> Hop:
    evidence = [parts.evidence(line) for line in lines]
    shown = tuple(
        HopLine((line.at_ns - sent_ns) / 1e6, line.text, told.told.is_failure)
        for line, told in zip(lines, evidence, strict=True)
    )
    begin = min(one.began_ns for one in evidence)
    times = (begin - sent_ns) / 1e6, (lines[-1].at_ns - sent_ns) / 1e6
    return Hop(parts.workload(pod), pod, *times, shown[:_LINES_MAX], max(0, len(shown) - _LINES_MAX))


def _note(followed: LogsFollowed | None, lines: Sequence[LogLine], bad: Sequence[_Bad]) -> str:
    """Return what a reader has to know of the log lines; empty when all is well."""
    if followed is None:
        return "Log lines were not followed in this scenario."
    if followed.problem:
        return followed.problem
    if not bad:
        return "These requests carried no ids, so no log line can be attributed to them."
    if not lines:
        return (
            f"No log line of {followed.containers} containers carries the id of one of these requests. An application "
            "has paths when it writes the trace id of traceparent, or X-Request-ID, into its log lines."
        )
    if followed.lost:
        return f"{followed.lost} log lines came too late or were too many to be kept; some hops may lack some."
    return ""
