"""Plausible trials, comparisons and self-tests for the report's tests; each call gives the same one."""

import random
import statistics

from flametest.model.comparison import Change, ComparedCriterion, Comparison
from flametest.model.measures import Bracket
from flametest.model.paths import FailureCause, FailurePaths, FaultSpan, Hop, HopLine, RequestPath, Trouble
from flametest.model.selftest import SelfTest, SelfTestCase, SelfTestKind, SelfTestTrial
from flametest.model.trials import Trial, TrialFigure, Trials, TrialSummary
from flametest.model.verdict import Bound, Criterion, Verdict, worst

__all__ = ["comparison", "self_test", "trials"]


def trials(criteria: tuple[Criterion, ...], number: int = 10, seed: int = 3) -> Trials:
    """Return repeats around these criteria; the third did not become steady, the fourth could not be measured."""
    generator = random.Random(seed)
    summaries = tuple(_summary(one, number, generator) for one in criteria)
    verdicts = [worst(summary.figures[index].verdict for summary in summaries) for index in range(number)]
    repeats = tuple(
        Trial(
            number=index + 1,
            verdict=verdict,
            sentence=f"deleting 1 of 3 api pods, trial {index + 1}",
            extra_baseline_seconds=generator.uniform(0, 5),
            criteria=criteria,
            doubts=("the prober's worst lag was 312 ms",) if verdict is Verdict.INCONCLUSIVE else (),
            folder=f"scenarios/pod-delete-api/trial-{index + 1}",
        )
        for index, verdict in enumerate(verdicts)
    )
    return Trials(20261121, 1, repeats, summaries, f"{verdicts.count(Verdict.PASSED)} of {number} trials passed")


def _summary(one: Criterion, number: int, generator: random.Random) -> TrialSummary:
    figures = []
    for index in range(number):
        drawn = max(0.0, (one.value or 2.0) * generator.gauss(1, 0.2))
        is_censored = index == 2 and one.name == "steady_seconds"
        value = None if index == 3 else min(1.0, drawn) if one.name == "availability" else drawn
        verdict = Verdict.PASSED
        if one.limit is not None:
            verdict = Verdict.INCONCLUSIVE if value is None or is_censored else Verdict.PASSED
            if value is not None and not one.limit.holds(value):
                verdict = Verdict.FAILED
        figures.append(TrialFigure(index + 1, 30.04 if is_censored else value, is_censored, verdict))
    known = [each.value for each in figures if each.value is not None and not each.censored]
    is_whole = len(known) == number
    mean = statistics.fmean(known)
    return TrialSummary(
        name=one.name,
        title=one.title,
        unit=one.unit,
        figures=tuple(figures),
        median=statistics.median(known),
        worst=min(known) if one.limit is not None and one.limit.bound is Bound.AT_LEAST else max(known),
        worst_censored=one.name == "steady_seconds",
        mean=mean,
        interval=Bracket(mean * 0.9, mean * 1.1) if number > 1 else None,
        method="t",
        limit=one.limit,
        verdict=worst(each.verdict for each in figures),
        note="" if is_whole else "1 trial could not be measured",
    )


def comparison() -> Comparison:
    """Return a comparison with a criterion of each kind of change."""

    def compared(
        name: str, title: str, unit: str, *, base: float | None, shift: float | None, change: Change
    ) -> ComparedCriterion:
        figures = tuple(base * factor for factor in (0.9, 1.0, 1.1)) if base is not None else ()
        is_told = change is not Change.UNTOLD
        return ComparedCriterion(
            scenario="pod-delete-api",
            name=name,
            title=title,
            unit=unit,
            base=figures,
            new=tuple(one + (shift or 0.0) for one in figures),
            base_median=base,
            new_median=None if base is None else base + (shift or 0.0),
            shift=shift,
            interval=Bracket(shift * 0.7, shift * 1.3) if shift is not None and is_told else None,
            p_value=None if shift is None else 0.0004 if change is Change.WORSE else 0.31,
            delta=None if shift is None else 0.92 if shift > 0 else -0.4,
            effect="" if shift is None else "large" if change is Change.WORSE else "small",
            margin=0.2 * (base or 1.0),
            change=change,
            note="" if is_told else "3 trials against 3: at least 4 on each side are needed",
        )

    criteria = (
        compared("outage_seconds", "User-visible outage", "s", base=2.0, shift=10.4, change=Change.WORSE),
        compared("recovery_seconds", "Recovery of the workload", "s", base=2.1, shift=-0.6, change=Change.BETTER),
        compared("availability", "Availability", "ratio", base=0.99, shift=-0.001, change=Change.SAME),
        compared("p95_ms", "p95 latency after recovery", "ms", base=12.0, shift=0.8, change=Change.UNTOLD),
        compared("steady_seconds", "Time to steady state", "s", base=None, shift=None, change=Change.UNTOLD),
    )
    sentence = "1 of 5 criteria became worse than in 2026-11-20T09-00-00: user-visible outage by 10.4 s"
    return Comparison(
        "2026-11-20T09-00-00", "2026-11-21T18-02-11", 0.2, criteria, ("redis-loss",), ("pod-delete-nginx",), sentence
    )


def self_test(verdict: Verdict = Verdict.PASSED) -> SelfTest:
    """Return a self-test; one that did not pass missed its error with hanging outages."""
    kinds = tuple(
        SelfTestKind(
            kind=kind,
            trials=4,
            error_p95_seconds=0.081 if kind == "hanging" and verdict is not Verdict.PASSED else 0.021,
            error_limit_seconds=0.05,
            bias_seconds=-0.0031,
            bias_limit_seconds=0.0125,
            coverage=1.0,
            coverage_limit=0.95,
            verdict=verdict if kind == "hanging" else Verdict.PASSED,
            detail="95 % of the errors are at most 81 ms (limit 50 ms)",
        )
        for kind in ("503", "refused", "hanging", "brown-out")
    )
    cases = tuple(
        SelfTestCase(name, title, 2, 2, Verdict.PASSED, "right each time")
        for name, title in (
            ("null", "No fault, no outage"),
            ("stopped_prober", "A prober stopped for 300 ms is flagged"),
            ("planted_writes", "Planted write errors are found"),
        )
    )
    known = tuple(SelfTestTrial(one.kind, 0.25, 0.25, 0.252, 0.2, 0.3) for one in kinds for _ in range(one.trials))
    words = "good: 95 % of the errors are at most 21 ms" if verdict is Verdict.PASSED else "missed its target: hanging"
    return SelfTest("short", verdict, words, 1_795_284_120.0, 9.4, 0.05, 11, kinds, cases, known)


LINK = "https://jaeger.example/trace/{trace_id}"


def failure_paths(causes: int = 12, note: str = "", link: str = LINK) -> FailurePaths:
    """Return failed and slow requests of so many causes, each with a path of four hops."""
    found = tuple(_cause(number) for number in range(causes))
    return FailurePaths(found[:10], max(0, causes - 10), 412, 3, 500.0, note, link)


def _cause(number: int) -> FailureCause:
    trace_id = f"{number:032x}"
    hops = tuple(_hop(workload, depth, trace_id) for depth, workload in enumerate(("nginx", "frontend", "logic")))
    path = RequestPath(
        trace_id,
        2.41 + number,
        1703.2,
        (FaultSpan("postgres-outage", -2000.0, 900.0),),
        hops,
        "postgres",
        "logic says so",
    )
    trouble = Trouble.SLOW if number % 3 == 2 else Trouble.FAILED
    outcome = "" if trouble is Trouble.SLOW else f"status {503 + number}"
    return FailureCause("GET /shop/api/events", "load", trouble, outcome, "postgres", 412, 40, 37, path)


def _hop(workload: str, depth: int, trace_id: str) -> Hop:
    text = (
        f'{{"time":"2026-11-21T18:02:1{depth}","level":"warning","message":"away","pod":"{workload}-5d7c-x2",'
        f'"request_id":"{trace_id}","path":"/shop/api/events","status":503,"duration_ms":1203.11}}'
    )
    lines = tuple(HopLine(1500.0 - 200 * depth + at, text, is_failure=at > 0) for at in range(3))
    return Hop(workload, f"{workload}-5d7c9b8f6-x2x{depth}", 10.0 * depth, lines[-1].milliseconds, lines, 2 * depth)
