"""Plausible Results for the report's tests: built from a seeded generator, so that each call gives the same one."""

import dataclasses
import functools
import math
import random
from collections import Counter

from flametest.model.comparison import Change
from flametest.model.events import Phase, Target
from flametest.model.faults import FaultFigures
from flametest.model.measures import (
    Availability,
    Bracket,
    Distribution,
    EdgeCount,
    LatencySummary,
    Outage,
    PodShare,
    Stage,
    SteadyState,
    Stretch,
    Upstream,
)
from flametest.model.result import (
    SCHEMA_VERSION,
    Check,
    Density,
    Finding,
    LifeSpan,
    Mark,
    PodLife,
    Result,
    ScenarioResult,
    Series,
    Step,
    Version,
)
from flametest.model.verdict import Bound, Criterion, Limit, Verdict, judge, worst
from tests.report.sample_parts import comparison, failure_paths, self_test, trials

__all__ = [
    "HOSTILE",
    "busy_result",
    "failed_result",
    "full_result",
    "hostile_result",
    "inconclusive_result",
    "long_result",
    "overlapping_result",
    "passed_result",
    "scenario",
    "suite_result",
    "unmeasured_scenario",
]

HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(2)>|`*_[a](http://evil.example)\x00\x1b[31m\ud800@team"


def _series(
    generator: random.Random,
    *,
    pods: tuple[PodLife, ...],
    outage_seconds: float,
    ready_again: float,
    desired: int,
    bin_seconds: float,
    span: tuple[float, float],
) -> Series:
    bins = round((span[1] - span[0]) / bin_seconds)
    offered, good, bad = [], [], []
    p50: list[float | None] = []
    p95: list[float | None] = []
    p99: list[float | None] = []
    for index in range(bins):
        at = span[0] + index * bin_seconds
        rate = 120 + generator.gauss(0, 3)
        hit = 0.1 <= at < 0.1 + outage_seconds
        share_bad = 0.33 if hit else 0.0
        slow = 1 + (1.6 * math.exp(-max(0.0, at) / 2) if at >= 0 else 0)
        offered.append(round(rate, 2))
        bad.append(round(rate * share_bad, 2))
        good.append(round(rate * (1 - share_bad), 2))
        p50.append(round(4.1 * slow * math.exp(generator.gauss(0, 0.05)), 3))
        p95.append(round((1000 if hit else 11 * slow) * math.exp(generator.gauss(0, 0.08)), 3))
        p99.append(round((1010 if hit else 24 * slow) * math.exp(generator.gauss(0, 0.15)), 3))
    if bins > 12:
        p50[5] = p95[5] = p99[5] = None
    return Series(
        start_seconds=span[0],
        bin_seconds=bin_seconds,
        offered=tuple(offered),
        good=tuple(good),
        bad=tuple(bad),
        p50_ms=tuple(p50),
        p95_ms=tuple(p95),
        p99_ms=tuple(p99),
        desired_pods=(Step(span[0], desired),),
        ready_pods=(Step(span[0], desired), Step(0.04, desired - 1), Step(ready_again, desired)),
        ready_endpoints=(Step(span[0], desired), Step(0.09, desired - 1), Step(ready_again + 0.08, desired)),
        pods=pods,
        level=tuple(min(1.0, one / all_) for one, all_ in zip(good, offered, strict=True)),
        budget_used=tuple(sum(bad[: index + 1]) * bin_seconds / 3.1e6 for index in range(bins)),
    )


def _density(series: Series, seed: int) -> Density:
    """Return a cloud as plausible as the series: two humps of good requests, failures at once or at the time limit."""
    generator = random.Random(seed)
    good: Counter[tuple[int, int]] = Counter()
    bad: Counter[tuple[int, int]] = Counter()
    for column, (rate, failing) in enumerate(zip(series.offered, series.bad, strict=True)):
        for _ in range(round(rate * series.bin_seconds)):
            is_bad = generator.random() * rate < failing
            row = generator.choice((3, 41)) if is_bad else round(generator.gauss(generator.choice((14, 14, 22)), 3))
            (bad if is_bad else good)[column, min(47, max(0, row))] += 1
    return Density(
        start_seconds=series.start_seconds,
        bin_seconds=series.bin_seconds,
        columns=len(series.offered),
        latency_low_ms=0.6,
        latency_high_ms=2400.0,
        rows=48,
        good=tuple((*cell, number) for cell, number in sorted(good.items())),
        bad=tuple((*cell, number) for cell, number in sorted(bad.items())),
    )


def _pods(app: str, desired: int, ready_again: float, span: tuple[float, float]) -> tuple[PodLife, ...]:
    suffixes = ("2kx8q", "7hw4m", "bn5tz", "q9d2r", "v6c8j")
    survivors = [
        PodLife(
            uid=f"5f1c0a7e-0000-4000-8000-00000000000{number}",
            name=f"{app}-6c9f7d5b84-{suffixes[number]}",
            app=app,
            node=f"sandbox-{number + 1}",
            spans=(LifeSpan("ready", span[0], span[1]),),
        )
        for number in range(desired - 1)
    ]
    victim = PodLife(
        uid="5f1c0a7e-0000-4000-8000-0000000000aa",
        name=f"{app}-6c9f7d5b84-{suffixes[3]}",
        app=app,
        node=f"sandbox-{desired}",
        spans=(LifeSpan("ready", span[0], 0.02), LifeSpan("terminating", 0.02, 5.2)),
    )
    heir = PodLife(
        uid="5f1c0a7e-0000-4000-8000-0000000000bb",
        name=f"{app}-6c9f7d5b84-{suffixes[4]}",
        app=app,
        node=f"sandbox-{desired}",
        spans=(
            LifeSpan("pending", 0.05, 0.05 + ready_again * 0.3),
            LifeSpan("running", 0.05 + ready_again * 0.3, ready_again),
            LifeSpan("ready", ready_again, span[1]),
        ),
    )
    return (*survivors, victim, heir)


def _distribution(generator: random.Random, pods: tuple[PodLife, ...]) -> tuple[Distribution, ...]:
    found = []
    for connections, per_pod in (("fresh", 130), ("load", 800)):
        for phase in Phase:
            serving = [
                pod
                for pod in pods
                if any(span.state == "ready" for span in pod.spans)
                and not (phase is Phase.BASELINE and pod is pods[-1])
                and not (phase is Phase.RECOVERY and pod is pods[-2])
            ]
            shares = tuple(
                PodShare(
                    pod=pod.name,
                    node=pod.node,
                    requests=(count := round(per_pod * generator.uniform(0.92, 1.08))),
                    ready_seconds=20.0,
                    rate=count / 20.0,
                )
                for pod in serving
            )
            rates = [share.rate for share in shares if share.rate is not None]
            mean = sum(rates) / len(rates)
            deviation = math.sqrt(sum((rate - mean) ** 2 for rate in rates) / len(rates))
            found.append(
                Distribution(
                    phase=phase,
                    connections=connections,
                    shares=shares,
                    jain=sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates)),
                    variation=deviation / mean,
                    max_over_mean=max(rates) / mean,
                )
            )
    return tuple(found)


def _criterion(name: str, title: str, unit: str, value: float | None, limit: Limit | None) -> Criterion:
    match judge(value, limit):
        case _ if limit is None:
            verdict, reason = Verdict.PASSED, "informs only"
        case Verdict.INCONCLUSIVE:
            verdict, reason = Verdict.INCONCLUSIVE, f"{title.lower()} could not be measured"
        case Verdict.PASSED:
            verdict, reason = Verdict.PASSED, f"{value:g} is within the limit of {limit.value:g}"
        case _:
            verdict, reason = Verdict.FAILED, f"{value:g} is beyond the limit of {limit.value:g}"
    return Criterion(name, title, unit, value, None, limit, verdict, reason)


def _criteria(
    outage: Bracket | None,
    *,
    ready_again: float,
    steady: float | None,
    availability: float,
    p95_ms: float,
    limit: float,
) -> tuple[Criterion, ...]:
    def at_most(name: str, value: float) -> Limit:
        return Limit(name, Bound.AT_MOST, value, "experiment")

    felt = outage.midpoint if outage else 0.0
    at_least = Limit("availability", Bound.AT_LEAST, 0.99, "experiment")
    found = (
        _criterion("outage_seconds", "User-visible outage", "s", felt, at_most("outage_seconds", limit)),
        _criterion("recovery_seconds", "Recovery of the workload", "s", ready_again, at_most("recovery_seconds", 5)),
        _criterion("steady_seconds", "Time to steady state", "s", steady, at_most("steady_seconds", 30)),
        _criterion("availability", "Availability", "ratio", availability, at_least),
        _criterion("p95_ms", "p95 latency after recovery", "ms", p95_ms, at_most("p95_ms", 250)),
        _criterion("max_over_mean", "Busiest pod over mean", "ratio", 1.043, None),
    )
    errors = {
        "outage_seconds": outage.uncertainty if outage else None,
        "recovery_seconds": 0.021,
        "steady_seconds": 0.26,
    }
    return tuple(dataclasses.replace(one, uncertainty=errors.get(one.name)) for one in found)


def _stages(ready_again: float, first_success: float | None, steady: float | None, heir: str) -> tuple[Stage, ...]:
    return (
        Stage("detected", "Detected: endpoint taken out", 0.09, 0.012, "first failure 0.11 s after injection"),
        Stage("rescheduled", "Rescheduled: replacement exists", 0.16, 0.012, f"{heir} on sandbox-3"),
        Stage("started", "Started: containers run", 0.05 + ready_again * 0.3, 0.03, heir),
        Stage("ready", "Ready: count back at desired", ready_again, 0.021, heir),
        Stage("routed", "Routed: endpoint is back", ready_again + 0.08, 0.012, "EndpointSlice api-x7f2p"),
        Stage("first_success", "First success after the first failure", first_success, 0.05, "fresh connection"),
        Stage("steady", "Steady", steady, 0.26, "every window of 10 s good for 30 s"),
    )


def _checks(victim: str) -> tuple[Check, ...]:
    return (
        Check("fault_proved", "The fault took effect", Verdict.PASSED, f"pod {victim} is gone by its uid"),
        Check(
            "load_achieved", "The load was offered", Verdict.PASSED, "99.8 % of 120/s outside the fault (at least 95 %)"
        ),
        Check(
            "prober_lag", "The prober kept its schedule", Verdict.PASSED, "worst lag 3.1 ms, 0 of 1,600 samples dropped"
        ),
        Check("clock_drift", "The clocks agree", Verdict.PASSED, "0.4 ms in 81 s"),
    )


def _marks(outage_seconds: float, ready_again: float, steady: float | None) -> list[Mark]:
    moments = [(0.0, "injected"), (0.09, "endpoint out"), (ready_again, "replacement ready")]
    if outage_seconds:
        moments += [(0.11, "first failure"), (0.11 + outage_seconds, "first success")]
    if steady is not None:
        moments += [(steady, "steady")]
    return [Mark(number, label, seconds) for number, (seconds, label) in enumerate(sorted(moments), start=1)]


@functools.cache
def scenario(
    name: str = "pod-delete-api",
    *,
    app: str = "api",
    desired: int = 3,
    outage_seconds: float = 0.0,
    ready_again: float = 1.94,
    steady: float | None = 2.4,
    availability: float = 1.0,
    p95_ms: float = 11.8,
    limit_s: float = 1.0,
    bin_seconds: float = 0.25,
    span: tuple[float, float] = (-20.0, 60.0),
    seed: int = 7,
) -> ScenarioResult:
    """Return one measured scenario; without ``outage_seconds`` no sample was bad."""
    generator = random.Random(seed)
    pods = _pods(app, desired, ready_again, span)
    bracket = Bracket(outage_seconds - 0.062, outage_seconds + 0.062) if outage_seconds else None
    stretches = (Stretch(0.11, 0.11 + outage_seconds, bracket, round(outage_seconds * 20), True),) if bracket else ()
    criteria = _criteria(
        bracket, ready_again=ready_again, steady=steady, availability=availability, p95_ms=p95_ms, limit=limit_s
    )
    checks = _checks(pods[-2].name)
    bad = round((1 - availability) * 7_211)
    first_success = 0.11 + outage_seconds if outage_seconds else None
    marks = _marks(outage_seconds, ready_again, steady)
    felt = f"users felt it for {outage_seconds:.2f} s" if outage_seconds else "users did not feel it"
    series = _series(
        generator,
        pods=pods,
        outage_seconds=outage_seconds,
        ready_again=ready_again,
        desired=desired,
        bin_seconds=bin_seconds,
        span=span,
    )
    return ScenarioResult(
        name=name,
        title=f"Delete one of {desired} {app} pods",
        description=f"Shows whether {app} survives the loss of a replica under load, and how long recovery takes.",
        sentence=f"Deleting 1 of {desired} {app} pods: {felt}; the replacement was ready after {ready_again:.2f} s.",
        verdict=worst([one.verdict for one in criteria] + [one.verdict for one in checks]),
        fault="terminate_pods",
        targets=(Target("Pod", "flametest", pods[-2].name, pods[-2].uid),),
        workload=app,
        fault_uncertainty_seconds=0.006,
        duration_seconds=81.3,
        criteria=criteria,
        checks=checks,
        outage=Outage(bracket, bracket, stretches, 0.05, 0.012, True),
        stages=_stages(ready_again, first_success, steady, pods[-1].name),
        steady=SteadyState(steady, 10.0, 30.0, 60.0, "" if steady is not None else "p95 stayed over 250 ms", 30.04),
        availability=Availability(7_211, 7_211 - bad, bad, availability, outage_seconds / 3, bad / 3.1e6, 0.99),
        latency=(
            LatencySummary(Phase.BASELINE, 2_403, 4.1, 10.9, 23.8, 61.2),
            LatencySummary(Phase.FAULT, 244, 5.2, 31.0, 88.1, 1004.2),
            LatencySummary(Phase.RECOVERY, 6_967, 4.2, p95_ms, 26.4, 70.3),
        ),
        latency_limit_ms=250.0,
        distribution=_distribution(generator, pods),
        phases=(
            (Phase.BASELINE, span[0], 0.0),
            (Phase.FAULT, 0.0, ready_again + 0.08),
            (Phase.RECOVERY, ready_again + 0.08, span[1]),
        ),
        marks=tuple(marks),
        series=series,
        density=_density(series, seed),
        findings=(),
        journal=f"{name}/journal.json",
    )


def unmeasured_scenario(name: str = "pod-delete-nginx") -> ScenarioResult:
    """Return a scenario in which nothing was injected, because the system was not healthy before."""
    return ScenarioResult(
        name=name,
        title="Delete one of 2 nginx pods",
        description="Shows whether the entry survives the loss of one replica.",
        sentence="The system was not healthy before the fault, so nothing was injected.",
        verdict=Verdict.INCONCLUSIVE,
        fault="",
        targets=(),
        workload="nginx",
        fault_uncertainty_seconds=0.0,
        duration_seconds=4.2,
        criteria=(),
        checks=(
            Check(
                "steady_before", "Steady before the fault", Verdict.INCONCLUSIVE, "2 of 40 requests failed beforehand"
            ),
        ),
        outage=None,
        stages=(),
        steady=None,
        availability=None,
        latency=(),
        latency_limit_ms=None,
        distribution=(),
        phases=(),
        marks=(),
        series=None,
        findings=(),
        journal="",
    )


def _result(scenarios: tuple[ScenarioResult, ...], headline: str, previous: dict[str, float]) -> Result:
    return Result(
        schema_version=SCHEMA_VERSION,
        run_id="2026-11-21T18-02-11",
        started_wall_s=1_795_284_131.0,
        duration_seconds=sum(one.duration_seconds for one in scenarios) + 9.7,
        verdict=worst(one.verdict for one in scenarios),
        headline=headline,
        cluster="sandbox",
        cluster_note="Nodes are simulated on one machine: their failure and their disks are not a real cluster's.",
        namespace="flametest",
        url="http://127.0.0.1:30080",
        suite="default",
        seed=20261121,
        command="flametest run --suite default --seed 20261121",
        manifests_digest="sha256:5b1f0a7be1c94a7788c1d43f0f9a2c1ce2b7f0d6a1e94f0b8d6f4f3a2c1b0e9d",
        versions=(
            Version("flametest", "0.1.0"),
            Version("chaostoolkit", "1.19.0"),
            Version("locust", "2.42.1"),
            Version("Python", "3.11.2"),
            Version("sandbox API", "v1.36.2"),
        ),
        scenarios=scenarios,
        previous=previous,
    )


@functools.cache
def passed_result() -> Result:
    """Return a run of two scenarios that kept every limit, with a run before it."""
    return _result(
        (scenario(), scenario("pod-delete-nginx", app="nginx", desired=2, ready_again=1.21, steady=1.8, seed=8)),
        "deleting 1 of 3 api pods and 1 of 2 nginx pods was not felt by users. Self-check of the measurement: good.",
        {"pod-delete-api/steady_seconds": 3.1, "pod-delete-api/availability": 0.9991},
    )


@functools.cache
def failed_result() -> Result:
    """Return a run in which one scenario missed its limit of outage and availability."""
    felt = scenario(outage_seconds=12.4, ready_again=11.9, steady=13.2, availability=0.9436, p95_ms=14.1, limit_s=10.0)
    felt = dataclasses.replace(
        felt,
        findings=(
            Finding(
                title="nginx keeps sending requests to a pod that is gone",
                felt="One request in three failed for 12.4 s.",
                evidence="Failures end after the replacement is ready, not when the endpoint is taken out (0.09 s).",
                advice="Set proxy_next_upstream and a connect time limit of 1 s in the nginx configuration.",
            ),
        ),
    )
    return _result(
        (felt, scenario("pod-delete-nginx", app="nginx", desired=2, ready_again=1.21, steady=1.8, seed=8)),
        "deleting 1 of 3 api pods was felt by users for 12.4 s (± 0.1 s; limit 10 s). "
        "Self-check of the measurement: good.",
        {"pod-delete-api/outage_seconds": 13.9, "pod-delete-api/steady_seconds": 13.2},
    )


@functools.cache
def full_result() -> Result:
    """Return the failed run with everything that a Result can hold: trials, a baseline, a self-test, two findings."""
    failed = failed_result()
    first, second = failed.scenarios
    finding = Finding(
        title="Requests hung instead of failing",
        felt="31 requests waited for the time limit of 1 s.",
        evidence="The cloud has a wall at 1,000 ms.",
        advice="Give the proxy a connect time limit of 250 ms.",
        rule="hanging",
        section="cloud",
    )
    upstream = (
        Upstream("logic", Phase.BASELINE, 28.0, 560, 1680, 0.3333),
        Upstream("logic", Phase.FAULT, 14.0, 812, 840, 0.9667),
    )
    edges = (EdgeCount("frontend → logic", "delay by 60 ms (GET, /a)", 1400, 140, 139),)
    first = dataclasses.replace(
        first,
        trials=trials(first.criteria),
        findings=(*first.findings, finding),
        upstream=upstream,
        edges=edges,
        paths=failure_paths(link=""),
    )
    return dataclasses.replace(
        failed,
        scenarios=(first, second),
        checks=(Check("self_test", "The self-test before the run", Verdict.PASSED, "16 of 16 outages were found"),),
        self_test=self_test(),
        comparison=comparison(),
        notes=("skipped: resolve every fault's targets: api 2/3 ready after 20 s",),
    )


@functools.cache
def overlapping_result() -> Result:
    """Return a run of one scenario with three faults, two of which lasted at the same time."""
    one = passed_result().scenarios[0]

    def fault(name: str, kind: str, span: tuple[float, float | None], outage: Outage | None) -> FaultFigures:
        return FaultFigures(
            name=name,
            fault=kind,
            targets=(Target("Service", "flametest", "logic", f"uid-of-{name}"),),
            injected_seconds=span[0],
            uncertainty_seconds=0.004,
            proved=name != "lost-pod",
            evidence=f"{name} was seen",
            healed_seconds=span[1],
            until_seconds=12.0,
            together_with=("redis-away", "slow-logic") if name == "lost-pod" else (),
            outage=outage,
            stages=one.stages[:3],
        )

    felt = Outage(Bracket(1.1, 1.3), Bracket(1.1, 1.3), (), 0.02, 0.004, True)
    unfelt = Outage(None, None, (), 0.02, 0.004, True)
    faults = (
        fault("slow-logic", "edge", (0.0, 8.0), unfelt),
        fault("redis-away", "dependency_outage", (2.5, 6.0), felt),
        fault("lost-pod", "terminate_pods", (4.0, None), None),
    )
    return dataclasses.replace(passed_result(), scenarios=(dataclasses.replace(one, faults=faults),))


def inconclusive_result() -> Result:
    """Return a run that never became steady, and whose second scenario injected nothing."""
    return _result(
        (scenario(outage_seconds=0.8, steady=None, availability=0.9974), unmeasured_scenario()),
        "the system was not steady again within 60 s, and pod-delete-nginx was not run.",
        {},
    )


def long_result(scenarios: int = 1, bins: int = 4_000) -> Result:
    """Return a run with very long series."""
    return _result(
        tuple(
            scenario(
                f"long-{number}", outage_seconds=3.0, bin_seconds=0.25, span=(-20.0, -20.0 + bins / 4), seed=number
            )
            for number in range(scenarios)
        ),
        "a long run.",
        {},
    )


@functools.cache
def suite_result() -> Result:
    """Return a run of eighteen scenarios with 120,000 requests in all, and everything that a scenario can hold."""
    full = full_result().scenarios[0]
    names = [f"scenario-of-the-suite-{number}" for number in range(18)]
    drawn = long_result(len(names), 320).scenarios
    scenarios = tuple(
        dataclasses.replace(full, name=name, series=one.series, density=one.density, trials=None)
        for name, one in zip(names, drawn, strict=True)
    )
    requests = sum(cell[2] for one in scenarios if one.density for cell in one.density.good + one.density.bad)
    assert requests >= 120_000
    return dataclasses.replace(full_result(), scenarios=scenarios, comparison=None)


@functools.cache
def busy_result() -> Result:
    """Return a run of two scenarios with more than 120,000 requests."""
    found = tuple(
        scenario(f"busy-{number}", outage_seconds=12.4, ready_again=11.9, bin_seconds=2.0, span=(-80, 440), seed=number)
        for number in range(2)
    )
    assert sum(cell[2] for one in found if one.density for cell in one.density.good + one.density.bad) >= 120_000
    return _result(found, "a busy run.", {})


@functools.cache
def hostile_result() -> Result:
    """Return a run in which every text is hostile markup."""

    def poison(value: object) -> object:
        if isinstance(value, (Phase, Verdict, Bound, Change)):
            return value
        if isinstance(value, str):
            return HOSTILE + value
        if isinstance(value, tuple):
            return tuple(poison(item) for item in value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.replace(
                value, **{field.name: poison(getattr(value, field.name)) for field in dataclasses.fields(value)}
            )
        return value

    poisoned = poison(full_result())
    assert isinstance(poisoned, Result)
    return poisoned
