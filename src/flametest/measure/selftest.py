"""The self-test's judgement: how far the measured outages were from the known ones, and what has to be right each time.

Targets of MEASUREMENT: per kind of outage p95 |error| ≤ max(Δ, 50 ms), |bias| ≤ Δ/4, brackets that hold the truth in
at least 95 %; and cases that have to come out right every time. What misses its target makes a run inconclusive.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from flametest.measure.checks import clock_steady, prober_punctual
from flametest.measure.latency import percentile
from flametest.measure.objectives import Objectives
from flametest.measure.outage import user_visible_outage
from flametest.measure.samples import Samples
from flametest.model.events import ProberEnded, Stamp
from flametest.model.history import History
from flametest.model.measures import Outage
from flametest.model.result import Check
from flametest.model.selftest import SelfTest, SelfTestCase, SelfTestKind, SelfTestTrial
from flametest.model.verdict import Verdict, worst

__all__ = [
    "BROWN_OUT",
    "TRIALS_MIN",
    "assemble",
    "believed",
    "case",
    "felt",
    "judge_kinds",
    "self_test_check",
    "stepped_clock_is_flagged",
    "stopped_prober_is_flagged",
    "trial",
    "undecided",
]

BROWN_OUT = "brown-out"
"""The kind that is judged by its envelope: within it most requests are answered."""

TRIALS_MIN = 20
"""Outages of one kind from which its targets can be judged.

A single error spreads over ± Δ with the phase, so the mean of fewer leaves a quarter of Δ by chance alone; and of
fewer, one makes more than the 5 % that the 95th percentile and the coverage leave out.
"""

_ERROR_LIMIT_SECONDS_MIN = 0.05
_COVERAGE_LIMIT = 0.95
_CLOCK_STEP_SECONDS = 3600.0


def felt(samples: Samples, *, injected_ns: int, objectives: Objectives) -> Outage | None:
    """Return what the estimators of a run say of these samples, had a fault been injected at ``injected_ns``."""
    return user_visible_outage(samples, origin_ns=injected_ns, affected_from_ns=injected_ns, objectives=objectives)


def trial(kind: str, nominal: float, truth: float, outage: Outage | None) -> SelfTestTrial:
    """Return one known outage beside what was measured of it; one that was not found was measured as 0."""
    bracket = None if outage is None else outage.envelope if kind == BROWN_OUT else outage.total
    if bracket is None:
        return SelfTestTrial(kind, nominal, truth, 0.0, 0.0, 0.0)
    return SelfTestTrial(kind, nominal, truth, bracket.midpoint, bracket.low, bracket.high)


def judge_kinds(trials: Iterable[SelfTestTrial], interval_seconds: float) -> tuple[SelfTestKind, ...]:
    """Return each kind of outage with its p95 |error|, bias (mean error) and coverage, in the order of first trials."""
    by_kind: dict[str, list[SelfTestTrial]] = {}
    for one in trials:
        by_kind.setdefault(one.kind, []).append(one)
    return tuple(_judge_kind(kind, found, interval_seconds) for kind, found in by_kind.items())


def undecided(trials: Iterable[SelfTestTrial], interval_seconds: float) -> bool:
    """Return whether a kind of outage missed its targets in so few trials that chance may have done it."""
    missed = [one for one in judge_kinds(trials, interval_seconds) if one.verdict is not Verdict.PASSED]
    return any(one.trials < TRIALS_MIN for one in missed)


def _judge_kind(kind: str, trials: Sequence[SelfTestTrial], interval_seconds: float) -> SelfTestKind:
    errors = np.array([one.error for one in trials])
    error_p95 = percentile(np.abs(errors), 95.0) or 0.0
    bias, coverage = float(errors.mean()), sum(one.covered for one in trials) / len(trials)
    error_limit, bias_limit = max(interval_seconds, _ERROR_LIMIT_SECONDS_MIN), interval_seconds / 4
    unbiased = abs(bias) <= bias_limit or len(trials) < TRIALS_MIN
    held = error_p95 <= error_limit and unbiased and coverage >= _COVERAGE_LIMIT
    return SelfTestKind(
        kind=kind,
        trials=len(trials),
        error_p95_seconds=error_p95,
        error_limit_seconds=error_limit,
        bias_seconds=bias,
        bias_limit_seconds=bias_limit,
        coverage=coverage,
        coverage_limit=_COVERAGE_LIMIT,
        verdict=Verdict.PASSED if held else Verdict.INCONCLUSIVE,
        detail=(
            f"p95 error {error_p95 * 1e3:.0f} ms (at most {error_limit * 1e3:.0f}), "
            f"bias {bias * 1e3:+.1f} ms (at most ± {bias_limit * 1e3:.1f}), "
            f"bracket holds the truth in {coverage:.0%} (at least {_COVERAGE_LIMIT:.0%}) of {len(trials)}"
        ),
    )


def case(name: str, title: str, outcomes: Iterable[tuple[bool, str]]) -> SelfTestCase:
    """Return a case that has to be right each time; ``outcomes`` are whether it was, and what was found."""
    tried = tuple(outcomes)
    wrong = [detail for right, detail in tried if not right]
    return SelfTestCase(
        name=name,
        title=title,
        trials=len(tried),
        right=len(tried) - len(wrong),
        verdict=Verdict.PASSED if tried and not wrong else Verdict.INCONCLUSIVE,
        detail=wrong[0] if wrong else tried[0][1] if tried else "it was not tried",
    )


def stopped_prober_is_flagged(
    samples: Samples, report: ProberEnded, *, until_ns: int, objectives: Objectives
) -> tuple[bool, str]:
    """Return whether a prober that was stopped is flagged and reports no downtime before ``until_ns``."""
    verdict, detail = prober_punctual(History([report]), samples, objectives)
    outage = felt(samples.sent_between(0, until_ns), injected_ns=0, objectives=objectives)
    if outage is None or outage.total is not None:
        return False, "a stopped prober was counted as downtime"
    return verdict is Verdict.INCONCLUSIVE, detail


def stepped_clock_is_flagged(
    samples: Samples, stamps: Sequence[Stamp], *, injected_ns: int, objectives: Objectives
) -> tuple[bool, str]:
    """Return whether a clock set by an hour in the middle of a record is flagged and changes no figure.

    The step is made in the stamps of a copy of the record, never on the machine; the figure is measured from the
    samples, which hold no wall clock at all.
    """
    step_from = stamps[len(stamps) // 2].monotonic_ns
    stepped = [
        replace(one, wall_s=one.wall_s + _CLOCK_STEP_SECONDS) if one.monotonic_ns >= step_from else one
        for one in stamps
    ]
    verdicts = [
        clock_steady(History(ProberEnded(one, "", 0, 0, 0, 0) for one in chosen), objectives)
        for chosen in (stamps, stepped)
    ]
    outage = felt(samples, injected_ns=injected_ns, objectives=objectives)
    right = (
        verdicts[0][0] is Verdict.PASSED
        and verdicts[1][0] is Verdict.INCONCLUSIVE
        and (outage is not None and outage.total is not None)
    )
    return right, verdicts[1][1]


def assemble(
    form: str,
    trials: Sequence[SelfTestTrial],
    cases: Sequence[SelfTestCase],
    *,
    interval_seconds: float,
    seed: int,
    started_wall_s: float,
    duration_seconds: float,
) -> SelfTest:
    """Return the whole self-test, judged: the worst of its kinds and cases."""
    kinds = judge_kinds(trials, interval_seconds)
    missed = [f"{one.kind}: {one.detail}" for one in kinds if one.verdict is not Verdict.PASSED]
    missed += [f"{one.title.lower()}: {one.detail}" for one in cases if one.verdict is not Verdict.PASSED]
    verdict = worst([*(one.verdict for one in kinds), *(one.verdict for one in cases)])
    return SelfTest(
        form=form,
        verdict=verdict,
        sentence=f"missed its targets: {'; '.join(missed)}" if missed else _good(trials, kinds, cases),
        started_wall_s=started_wall_s,
        duration_seconds=duration_seconds,
        interval_seconds=interval_seconds,
        seed=seed,
        kinds=kinds,
        cases=tuple(cases),
        trials=tuple(trials),
    )


def self_test_check(found: SelfTest) -> Check:
    """Return the self-test as a check of the run."""
    return Check("self_test", "The measurement found outages of known length", found.verdict, found.sentence)


def believed(verdict: Verdict, headline: str, found: SelfTest | None) -> tuple[Verdict, str]:
    """Return a run's verdict and headline in the light of its self-test; what failed it judges nothing."""
    if found is None:
        return verdict, headline
    if found.verdict is Verdict.PASSED:
        return verdict, f"{headline}. Self-check of the measurement: good"
    return (
        Verdict.INCONCLUSIVE,
        f"the measurement missed its own targets, so nothing counts ({found.sentence}); {headline}",
    )


def _good(trials: Sequence[SelfTestTrial], kinds: Sequence[SelfTestKind], cases: Sequence[SelfTestCase]) -> str:
    if not trials:
        return f"{sum(one.right for one in cases)} cases came out right"
    error_ms = max(one.error_p95_seconds for one in kinds) * 1e3
    bias_ms = max((one.bias_seconds for one in kinds), key=abs) * 1e3
    covered = sum(one.covered for one in trials)
    right = sum(one.right for one in cases)
    return (
        f"{len(trials)} outages of known length were measured with an error of at most {error_ms:.0f} ms (p95 of the "
        f"worst kind) and a bias of at most {bias_ms:+.1f} ms; {covered} of {len(trials)} brackets hold the truth; "
        f"{right} of {sum(one.trials for one in cases)} other cases came out right"
    )
