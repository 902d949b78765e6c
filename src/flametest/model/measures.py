"""What `flametest.measure` returns: the measured figures of one scenario, as immutable records.

Times named ``seconds`` count from t0, the moment of injection, and are negative before it.
"""

from dataclasses import dataclass

from flametest.model.events import Phase

__all__ = [
    "AnswerCount",
    "Availability",
    "Bracket",
    "BrokenLaw",
    "Distribution",
    "Durability",
    "EdgeCount",
    "LatencySummary",
    "Offences",
    "Outage",
    "PodShare",
    "RecoveryPoint",
    "Stage",
    "SteadyState",
    "Stretch",
    "Upstream",
]


@dataclass(frozen=True, slots=True)
class Bracket:
    """An interval that holds the true value, in seconds."""

    low: float
    high: float

    @property
    def midpoint(self) -> float:
        """Return the middle, the figure that is reported."""
        return (self.low + self.high) / 2

    @property
    def uncertainty(self) -> float:
        """Return half the width."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Stretch:
    """A run of bad samples without a good one between, as seen by one lane.

    Attributes:
        start_seconds: send time of its first bad sample, from t0.
        end_seconds: send time of its last bad sample, from t0.
        duration: the bracket of the outage.
        bad: number of bad samples.
        ended: False when no good sample followed: the outage is longer than what was seen.
    """

    start_seconds: float
    end_seconds: float
    duration: Bracket
    bad: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Outage:
    """What users felt, from the fresh-connection lane of the prober.

    Attributes:
        total: sum of the stretches; None when no sample was bad ("no user-visible outage", never "0 s").
        envelope: from the first bad to the last bad sample, good ones between included; None likewise.
        stretches: each stretch, earliest first.
        resolution_seconds: the prober's interval Δ; shorter outages can be missed.
        epsilon_seconds: ε, worst send lag plus the baseline's p99.9 round trip.
        recovered: False when the last sample was bad.
    """

    total: Bracket | None
    envelope: Bracket | None
    stretches: tuple[Stretch, ...]
    resolution_seconds: float
    epsilon_seconds: float
    recovered: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the recovery.

    Attributes:
        name: detected, rescheduled, started, ready, routed, first_success or steady.
        title: what a reader sees.
        seconds: from t0; None when it was not seen.
        uncertainty_seconds: half the width of its bracket.
        detail: what exactly was seen, such as the name of the replacement.
    """

    name: str
    title: str
    seconds: float | None
    uncertainty_seconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class SteadyState:
    """When the system was steady again.

    Attributes:
        seconds: τ from t0; None when it was not reached before ``horizon_seconds`` (censored: "> T").
        window_seconds: W.
        hold_seconds: how long every window had to be good.
        horizon_seconds: how long was watched after t0.
        reason: what kept it from being steady, when it was not reached.
        after_seconds: when it was not reached, τ is known to be above this ("> T"): no earlier moment was followed
            by a whole hold of good windows.
    """

    seconds: float | None
    window_seconds: float
    hold_seconds: float
    horizon_seconds: float
    reason: str
    after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Availability:
    """Service level of the load after t0.

    Attributes:
        valid: requests that count.
        good: of those, answered well within the time limit.
        bad: the others.
        ratio: good / valid; None without a valid request.
        lost_area_seconds: ∫(1 − min(1, good/offered)) dt.
        error_budget_used: bad / ((1 − SLO) · requests expected in 30 days at the offered rate); None without load.
        objective: the SLO, such as 0.99.
    """

    valid: int
    good: int
    bad: int
    ratio: float | None
    lost_area_seconds: float
    error_budget_used: float | None
    objective: float


@dataclass(frozen=True, slots=True)
class AnswerCount:
    """How often users got one kind of answer from the injection on.

    Attributes:
        status: HTTP status; 0 without an answer.
        error: what came instead of an answer, such as ``refused`` or ``timeout``; empty with one.
        count: requests.
        share: of all requests, between 0 and 1.
    """

    status: int
    error: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Latency percentiles of one phase, from the intended start, in milliseconds; None without a sample."""

    phase: Phase
    samples: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, slots=True)
class PodShare:
    """What one pod served in a phase.

    Attributes:
        pod: its name.
        node: the node it was bound to; empty where that is not known.
        requests: what it answered.
        ready_seconds: for how long of the phase it was Ready.
        rate: requests a second while it was Ready; None when that was too short to tell, as ``note`` says.
        note: why there is no rate; empty where there is one.
    """

    pod: str
    node: str
    requests: int
    ready_seconds: float
    rate: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Distribution:
    """How requests spread over pods in one phase.

    Attributes:
        phase: the phase.
        connections: ``fresh`` (each request its own connection) or ``load`` (connections are kept).
        shares: one entry a pod, by name.
        jain: Jain's fairness index (Σx)²/(k·Σx²) of the rates; None without a request.
        variation: coefficient of variation of the rates.
        max_over_mean: greatest rate over their mean.
    """

    phase: Phase
    connections: str
    shares: tuple[PodShare, ...]
    jain: float | None
    variation: float | None
    max_over_mean: float | None


@dataclass(frozen=True, slots=True)
class EdgeCount:
    """What one rule of a disturbed edge did to users, as its proxy counted it; units are connections or requests.

    Attributes:
        edge: the Service, with the caller where only one was meant.
        rule: what was done, and to what.
        passed: units that came while the rules were on.
        matched: those of them that the rule meant.
        hit: those of them to which it was done.
    """

    edge: str
    rule: str
    passed: int
    matched: int
    hit: int


@dataclass(frozen=True, slots=True)
class Upstream:
    """How many requests arrived at one app in one phase, as its pods counted them, and how many users had sent.

    Attributes:
        app: what the workload of its pods is called.
        phase: the phase; its bounds are those readings of the counters that enclose it.
        seconds: the time between these.
        requests: what arrived at the app's pods; what a pod had counted after its last reading died with it.
        sent: what users sent meanwhile: prober, load and ledger.
        per_sent: requests over sent; None when users sent nothing.
    """

    app: str
    phase: Phase
    seconds: float
    requests: int
    sent: int
    per_sent: float | None


@dataclass(frozen=True, slots=True)
class Offences:
    """Writes, or events, that broke one rule: how many, and the first of them in words."""

    count: int
    first: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BrokenLaw:
    """A law of the system's books: its name, such as ``oversold``, and what broke it; nothing where it held."""

    name: str
    offences: Offences


@dataclass(frozen=True, slots=True)
class RecoveryPoint:
    """How far back a system fell that has lost acknowledged writes.

    Attributes:
        writes: acknowledged writes that are lost.
        seconds: from the acknowledgement of the earliest of them to the fault: everything older was kept. 0 where all
            of them were acknowledged after it.
    """

    writes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Durability:
    """What became of the writes of a ledger (after Jepsen's set checker); every write is counted once, by its key.

    Attributes:
        attempts: requests that were sent or tried, repeats included.
        repeated: writes that were sent again on purpose, with the same key.
        acknowledged: writes that the system said it keeps (A).
        failed: writes that were certainly not done (F): never sent, or turned away without a stated reason.
        unknown: writes of which nobody can tell (U).
        kept: those of A and U that were found.
        lost: acknowledged and not found (A∖R), or found by an audit before and no more.
        phantom: found and never sent (R∖(A∪U)), or not as they were written.
        duplicated: keys under which more than one write is kept.
        stale: acknowledged and kept, but missing from a read that was sent after the acknowledgement.
        laws: the laws of the system's books, and what broke them.
        problem: why the writes cannot be judged; empty when they can. The offences count nothing then.
        refused: writes that the system declined for a reason that it stated, such as for want of tickets.
        refused_for: the most frequent of these reasons; empty without one.
        name: what the writes are called, such as ``orders``.
        looks: single reads of acknowledged writes that were answered.
        recovery_point: how far back the system fell; None where no acknowledged write of this ledger is lost,
            or without a fault.
        gone: those of the lost that this ledger did not write: they were there when it began.
    """

    attempts: int
    repeated: int
    acknowledged: int
    failed: int
    unknown: int
    kept: int
    lost: Offences
    phantom: Offences
    duplicated: Offences
    stale: Offences
    laws: tuple[BrokenLaw, ...]
    problem: str
    refused: int = 0
    refused_for: str = ""
    name: str = "writes"
    looks: int = 0
    recovery_point: RecoveryPoint | None = None
    gone: int = 0

    def rules(self) -> tuple[BrokenLaw, ...]:
        """Return every rule with what broke it, the gravest first: the general ones, then the system's own laws."""
        general = (
            BrokenLaw("lost", self.lost),
            BrokenLaw("phantom", self.phantom),
            BrokenLaw("duplicated", self.duplicated),
            BrokenLaw("stale", self.stale),
        )
        return (*general, *self.laws)

    @property
    def anomalies(self) -> int:
        """Return how many rules were broken in all."""
        return sum(one.offences.count for one in self.rules())
