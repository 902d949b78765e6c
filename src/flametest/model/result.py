"""The one result object that every renderer reads. Renderers compute nothing: every figure stands here."""

from dataclasses import dataclass

from flametest.model.comparison import Comparison
from flametest.model.events import Phase, Target
from flametest.model.faults import FaultFigures
from flametest.model.measures import (
    AnswerCount,
    Availability,
    Distribution,
    Durability,
    EdgeCount,
    LatencySummary,
    Outage,
    Stage,
    SteadyState,
    Upstream,
)
from flametest.model.paths import FailurePaths
from flametest.model.selftest import SelfTest
from flametest.model.trials import Trials
from flametest.model.verdict import Criterion, Verdict

__all__ = [
    "SCHEMA_VERSION",
    "Check",
    "Density",
    "Finding",
    "FirstAttempt",
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
    """One pod's life line, by uid; ``app`` is what its workload is called."""

    uid: str
    name: str
    app: str
    node: str
    spans: tuple[LifeSpan, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """What the charts draw, in equal bins along seconds from t0.

    All of ``offered`` to ``p99_ms`` have one entry a bin; the rates are requests a second; a latency is None in
    a bin without a sample. ``ready_pods`` and ``ready_endpoints`` are steps of the faulted workload. ``level`` is
    min(1, good/offered) of each bin from t0 on, and 1 before it, so that the area above it is the lost one;
    ``budget_used`` is the share of the 30 days' error budget that was used up to the end of each bin.
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
    level: tuple[float, ...] = ()
    budget_used: tuple[float, ...] = ()

    @property
    def end_seconds(self) -> float:
        """Return where the axis ends."""
        return self.start_seconds + self.bin_seconds * len(self.offered)


@dataclass(frozen=True, slots=True)
class Density:
    """Every judged request, counted over time and latency, for a picture of the request cloud.

    Columns are equal bins of the intended start, in seconds from t0; rows are equal bins of the logarithm of the
    latency, from ``latency_low_ms`` to ``latency_high_ms``. Cells without a request are left out.

    Attributes:
        columns: number of bins along time.
        rows: number of bins along latency; row 0 is the quickest.
        good: (column, row, requests) of requests answered well.
        bad: the same of the others.
    """

    start_seconds: float
    bin_seconds: float
    columns: int
    latency_low_ms: float
    latency_high_ms: float
    rows: int
    good: tuple[tuple[int, int, int], ...]
    bad: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One reason to trust the figures, or not: load achieved, prober lag, clock drift, fault proven, self-test."""

    name: str
    title: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Plain advice: what happened, what users felt, the evidence, what to change.

    ``rule`` names the rule that found it, stable between versions; ``section`` is the part of the report that shows
    the evidence: latency, pods, waterfall, trials, served, writes or trust, empty for the scenario as a whole.
    """

    title: str
    felt: str
    evidence: str
    advice: str
    rule: str = ""
    section: str = ""


@dataclass(frozen=True, slots=True)
class FirstAttempt:
    """A scenario's attempt beside others that told nothing, for a reason of the machine; it was repeated alone.

    Attributes:
        reason: what the machine left in doubt.
        sentence: the outcome of the attempt.
        folder: its record, relative to the run's folder.
    """

    reason: str
    sentence: str
    folder: str


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
        density: the request cloud; None without a request.
        trials: all repeats; None when there was one. Everything else is then that of ``trials.shown``, the worst one,
            but for ``verdict``, which is the worst of all.
        edges: what disturbed edges did to users, one entry a rule; empty where none was, or its proxy did not answer.
        answers: what users got from the injection on; empty when nothing was injected.
        upstream: how many requests arrived at the apps inside, one entry an app and phase; empty when no pod counted.
        faults: each fault by itself, in the order of injection, where there were several; empty where there was one.
            All other figures count from the first of them.
        first_attempt: the attempt beside other scenarios that this one was repeated for, alone; None for no repeat.
        paths: failed and slow requests, each cause with the path of one; None where there was none.
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
    density: Density | None = None
    trials: Trials | None = None
    upstream: tuple[Upstream, ...] = ()
    answers: tuple[AnswerCount, ...] = ()
    faults: tuple[FaultFigures, ...] = ()
    edges: tuple[EdgeCount, ...] = ()
    first_attempt: FirstAttempt | None = None
    paths: FailurePaths | None = None

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
        checks: the reasons to believe the run as a whole, or not: the self-test.
        self_test: what the self-test before the run found; None when there was none.
        comparison: the run against a baseline; None when none was given.
        notes: what else a reader has to know of the run, such as steps that were skipped.
        parallel: how many scenarios ran at the same time, each in a sandbox of its own.
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
    checks: tuple[Check, ...] = ()
    self_test: SelfTest | None = None
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()
    parallel: int = 1
