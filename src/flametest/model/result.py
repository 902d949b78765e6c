"""The one result object that every renderer reads. Renderers compute nothing: every figure stands here."""

from dataclasses import dataclass

from flametest.model.events import Phase, Target
from flametest.model.measures import Availability, Distribution, Durability, LatencySummary, Outage, Stage, SteadyState
from flametest.model.verdict import Criterion, Verdict

__all__ = [
    "SCHEMA_VERSION",
    "Check",
    "Finding",
    "LifeSpan",
    "Mark",
    "PodLife",
    "Result",
    "ScenarioResult",
    "Series",
    "Step",
    "Version",
]

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A numbered moment on the charts' common axis; ``seconds`` from t0."""

    number: int
    label: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """A step function's new value from ``seconds`` on."""

    seconds: float
    value: int


@dataclass(frozen=True, slots=True)
class LifeSpan:
    """A stretch of a pod's life; ``state`` is pending, running (not ready), ready or terminating."""

    state: str
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class PodLife:
    """One pod's life line, by uid."""

    uid: str
    name: str
    app: str
    node: str
    spans: tuple[LifeSpan, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """What the charts draw, in equal bins along seconds from t0.

    All of ``offered`` to ``p99_ms`` have one entry a bin; the rates are requests a second; a latency is None in
    a bin without a sample. ``ready_pods`` and ``ready_endpoints`` are steps of the faulted workload.
    """

    start_seconds: float
    bin_seconds: float
    offered: tuple[float, ...]
    good: tuple[float, ...]
    bad: tuple[float, ...]
    p50_ms: tuple[float | None, ...]
    p95_ms: tuple[float | None, ...]
    p99_ms: tuple[float | None, ...]
    desired_pods: tuple[Step, ...]
    ready_pods: tuple[Step, ...]
    ready_endpoints: tuple[Step, ...]
    pods: tuple[PodLife, ...]

    @property
    def end_seconds(self) -> float:
        """Return where the axis ends."""
        return self.start_seconds + self.bin_seconds * len(self.offered)


@dataclass(frozen=True, slots=True)
class Check:
    """One reason to trust the figures, or not: load achieved, prober lag, clock drift, fault proven."""

    name: str
    title: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Plain advice: what happened, what users felt, the evidence, what to change."""

    title: str
    felt: str
    evidence: str
    advice: str


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """One experiment, measured and judged.

    Attributes:
        name: the experiment file's stem, such as ``pod-delete-api``.
        title: the experiment's title.
        description: what it teaches, from the experiment.
        sentence: the outcome in plain words.
        verdict: the worst of criteria and checks.
        fault: what was injected; empty when nothing was.
        targets: what it acted on.
        workload: name of the faulted workload, such as ``api``.
        fault_uncertainty_seconds: uncertainty of t0.
        latency_limit_ms: the limit drawn in the latency chart; None without one.
        journal: the Chaos Toolkit journal's file, relative to the run's folder; empty without one.
        durability: what became of the ledger's writes; None when no ledger was kept.
        durability_note: why no ledger was kept; empty otherwise.
    """

    name: str
    title: str
    description: str
    sentence: str
    verdict: Verdict
    fault: str
    targets: tuple[Target, ...]
    workload: str
    fault_uncertainty_seconds: float
    duration_seconds: float
    criteria: tuple[Criterion, ...]
    checks: tuple[Check, ...]
    outage: Outage | None
    stages: tuple[Stage, ...]
    steady: SteadyState | None
    availability: Availability | None
    latency: tuple[LatencySummary, ...]
    latency_limit_ms: float | None
    distribution: tuple[Distribution, ...]
    phases: tuple[tuple[Phase, float, float], ...]
    marks: tuple[Mark, ...]
    series: Series | None
    findings: tuple[Finding, ...]
    journal: str
    durability: Durability | None = None
    durability_note: str = ""

    def criterion(self, name: str) -> Criterion | None:
        """Return the criterion of that name."""
        return next((one for one in self.criteria if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Version:
    """A component and its version."""

    component: str
    version: str


@dataclass(frozen=True, slots=True)
class Result:
    """A run, measured and judged.

    Attributes:
        schema_version: `SCHEMA_VERSION`.
        run_id: such as ``2026-11-21T18-02-11``.
        verdict: the worst of the scenarios.
        headline: the outcome in one plain sentence, without the verdict's word.
        cluster: such as ``sandbox``.
        cluster_note: what that cluster does not emulate; empty on a real one.
        command: the command that reproduces the run.
        previous: figures of the run before, by ``scenario/criterion``; empty without one.
    """

    schema_version: int
    run_id: str
    started_wall_s: float
    duration_seconds: float
    verdict: Verdict
    headline: str
    cluster: str
    cluster_note: str
    namespace: str
    url: str
    suite: str
    seed: int
    command: str
    manifests_digest: str
    versions: tuple[Version, ...]
    scenarios: tuple[ScenarioResult, ...]
    previous: dict[str, float]
