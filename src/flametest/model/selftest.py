"""The self-test of the measurement: outages of known length, and what the prober and the estimators made of them."""

from dataclasses import dataclass

from flametest.model.verdict import Verdict

__all__ = ["SelfTest", "SelfTestCase", "SelfTestKind", "SelfTestTrial"]


@dataclass(frozen=True, slots=True)
class SelfTestTrial:
    """One known outage, and what was measured; all in seconds.

    Attributes:
        kind: what the server did: 503, refused, hanging or brown-out.
        nominal: the length that was asked for.
        truth: how long the server in fact did it, by its own monotonic clock.
        measured: the middle of the bracket; 0 when no outage was found.
        low: the bracket's lower end.
        high: the bracket's upper end.
    """

    kind: str
    nominal: float
    truth: float
    measured: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """Return measured − truth."""
        return self.measured - self.truth

    @property
    def covered(self) -> bool:
        """Return whether the bracket holds the truth."""
        return self.low <= self.truth <= self.high


@dataclass(frozen=True, slots=True)
class SelfTestKind:
    """All trials of one kind of outage, judged.

    Attributes:
        kind: 503, refused, hanging or brown-out (judged by the envelope).
        trials: how many there were.
        error_p95_seconds: 95th percentile of |error|.
        error_limit_seconds: its limit, max(Δ, 50 ms); for a brown-out, whose edges are left to chance, see ``detail``.
        bias_seconds: mean of the errors.
        bias_limit_seconds: limit of its absolute value, Δ/4.
        coverage: share of trials whose bracket holds the truth.
        coverage_limit: its limit, 0.95.
        verdict: passed when all limits hold, else inconclusive.
        detail: the figures in words.
    """

    kind: str
    trials: int
    error_p95_seconds: float
    error_limit_seconds: float
    bias_seconds: float
    bias_limit_seconds: float
    coverage: float
    coverage_limit: float
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class SelfTestCase:
    """A case with an outcome that has to be right each time.

    Attributes:
        name: null, flapping, never_recovering, stopped_prober, stepped_clock or planted_writes.
        title: what a reader sees.
        trials: how often it was tried.
        right: how often the outcome was right.
        verdict: passed when it was right each time, else inconclusive.
        detail: what was found.
    """

    name: str
    title: str
    trials: int
    right: int
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The outcome of one self-test.

    Attributes:
        form: ``short`` (before each run) or ``full``.
        verdict: passed, or inconclusive when anything missed its target.
        sentence: the outcome in plain words.
        started_wall_s: when it began, seconds since the epoch.
        duration_seconds: how long it took.
        interval_seconds: the prober's interval Δ.
        seed: of the random phases.
        kinds: known outages, by kind.
        cases: what has to be right each time.
        trials: every known outage.
    """

    form: str
    verdict: Verdict
    sentence: str
    started_wall_s: float
    duration_seconds: float
    interval_seconds: float
    seed: int
    kinds: tuple[SelfTestKind, ...]
    cases: tuple[SelfTestCase, ...]
    trials: tuple[SelfTestTrial, ...]
