"""A scenario, measured and judged: from its record and its limits to the one result that every renderer reads."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from flametest.measure.checks import checks, stopping_reason
from flametest.measure.contradictions import CONTRADICTIONS, unless_contradicted
from flametest.measure.density import density
from flametest.measure.durability import (
    WRITES_CRITERION,
    WRITES_LIMIT,
    WriteRecord,
    durability,
    omitted_reason,
    write_figure,
    write_words,
)
from flametest.measure.figures import CRITERIA, Figure, Figures, figures
from flametest.measure.findings import felt_words, findings
from flametest.measure.isolation import ISOLATION_LIMIT, isolation_criterion
from flametest.measure.objectives import Objectives
from flametest.measure.paths import failure_paths
from flametest.measure.rules import Recorded
from flametest.measure.samples import Samples
from flametest.measure.series import marks, series
from flametest.measure.upstream import upstream_requests
from flametest.measure.words import decapitalised, outcome_sentence, reason_sentence, summarise, told_of, what_was_done
from flametest.model.events import EdgeCounted, HarmLimitPassed, LedgerStarted, ProberEnded
from flametest.model.history import History
from flametest.model.measures import Durability, EdgeCount
from flametest.model.paths import SLOW_MS, KeptLogs
from flametest.model.result import Check, ScenarioResult
from flametest.model.verdict import Bound, Criterion, Limit, Verdict, judge, worst
from flametest.model.writes import Attempt

__all__ = ["LIMITABLE", "ScenarioSpec", "measure_scenario", "summarise"]

LIMITABLE = (*CRITERIA, WRITES_LIMIT.criterion, ISOLATION_LIMIT.criterion)
"""Every criterion that a limit may be set for."""

_NO_WRITES = WriteRecord()
_NO_LOGS = KeptLogs()
_OF_THE_SYSTEM = ("steady_again", "hypothesis_held")  # checks that can fail a scenario, and do not only cast doubt


@dataclass(frozen=True, slots=True)
class ScenarioSpec:
    """What a scenario was meant to be, as far as the record does not say it.

    Attributes:
        name: the experiment file's stem.
        title: the experiment's title.
        description: the experiment's description.
        workload: name of the Deployment or StatefulSet under fault.
        limits: the limits that gate it, at most one a criterion.
        objectives: the service level that is asked for.
        journal: the Chaos Toolkit journal's file, relative to the run's folder; empty without one.
        unreadable: why the record is not whole; empty when it is.
    """

    name: str
    title: str
    description: str
    workload: str
    limits: tuple[Limit, ...] = ()
    objectives: Objectives = field(default_factory=Objectives)
    journal: str = ""
    unreadable: str = ""

    def __post_init__(self) -> None:
        """Refuse limits that nothing could be judged by.

        Raises:
            ValueError: a limit names no criterion, or two name the same.
        """
        names = [limit.criterion for limit in self.limits]
        for name in names:
            if name not in LIMITABLE:
                raise ValueError(f"limit {name!r} of {self.name}: expected one of {', '.join(LIMITABLE)}")
            if names.count(name) > 1:
                raise ValueError(f"limit {name!r} of {self.name}: expected one, found {names.count(name)}")


def measure_scenario(
    history: History,
    samples: Samples,
    spec: ScenarioSpec,
    writes: WriteRecord = _NO_WRITES,
    kept: KeptLogs = _NO_LOGS,
) -> ScenarioResult:
    """Return one scenario's figures, checks and verdict.

    Args:
        history: the scenario's own events.
        samples: its samples, of all lanes.
        spec: what it was meant to be.
        writes: what the ledger wrote, and what was read back; looked at when the history tells of a ledger.
        kept: log lines of its failed and slow requests.
    """
    measured = figures(history, samples, spec.workload, spec.objectives)
    ledger = durability(history, writes)
    probed = _criteria(measured, spec.limits)  # what the experiment's own hypothesis can ask for
    checked = _record_checks(spec) + checks(history, samples, measured, probed, spec.objectives)
    isolated = isolation_criterion(history, spec.limits)
    criteria = probed + tuple(one for one in (ledger and _writes_criterion(ledger, spec.limits), isolated) if one)
    criteria, checked = unless_contradicted(criteria, checked)
    upstream = upstream_requests(history, samples, _through_entry(history, writes), measured.phases)
    recorded = Recorded(measured, samples, ledger, felt_words(measured), upstream, tuple(history.of(ProberEnded)))
    injected = measured.axis.t0_ns is not None
    verdicts = [*(one.verdict for one in criteria), *(one.verdict for one in checked)]
    return ScenarioResult(
        name=spec.name,
        title=spec.title,
        description=spec.description,
        sentence=_sentence(history, measured, criteria, checked) + _isolation_ending(isolated) + _writes_ending(ledger),
        verdict=worst(verdicts) if injected else Verdict.INCONCLUSIVE,
        fault=measured.axis.fault,
        targets=measured.axis.targets,
        workload=spec.workload,
        fault_uncertainty_seconds=measured.axis.uncertainty_seconds,
        duration_seconds=max(0.0, (measured.axis.end_ns - measured.axis.start_ns) / 1e9),
        criteria=criteria,
        checks=checked,
        outage=measured.outage,
        stages=measured.stages,
        steady=measured.steady,
        availability=measured.availability,
        latency=measured.latency,
        latency_limit_ms=_latency_limit_ms(spec),
        distribution=measured.distribution,
        phases=tuple(
            (phase, measured.axis.seconds(start), measured.axis.seconds(end)) for phase, start, end in measured.phases
        ),
        marks=marks(measured),
        series=series(measured, spec.objectives),
        findings=findings(recorded, criteria, checked, what_was_done(measured)) if injected else (),
        journal=spec.journal,
        durability=ledger,
        durability_note=omitted_reason(history),
        density=density(measured),
        answers=measured.answers if injected else (),
        upstream=upstream,
        faults=measured.faults,
        edges=tuple(
            EdgeCount(event.edge, one.rule, one.passed, one.matched, one.hit)
            for event in history.of(EdgeCounted)
            for one in event.rules
        ),
        paths=failure_paths(history, samples, writes.attempts, kept, slow_ms=SLOW_MS, t0_ns=measured.axis.t0_ns),
    )


def _criteria(measured: Figures, limits: Sequence[Limit]) -> tuple[Criterion, ...]:
    by_name = {limit.criterion: limit for limit in limits}
    return tuple(
        _criterion(name, measured.by_name[name], by_name.get(name), measured.axis.t0_ns is not None)
        for name in CRITERIA
    )


def _criterion(name: str, figure: Figure, limit: Limit | None, injected: bool) -> Criterion:
    """Judge one figure; what a system does without a fault is shown, and judges nothing."""
    title, unit = CRITERIA[name]
    if not injected:
        verdict = Verdict.PASSED if limit is None else Verdict.INCONCLUSIVE
        reason = "nothing was injected, so there is nothing to judge"
        return Criterion(name, title, unit, None, None, limit, verdict, reason)
    verdict = _judge(figure, limit)
    reason = reason_sentence(name, figure, limit, verdict)
    return Criterion(name, title, unit, figure.value, figure.uncertainty, limit, verdict, reason, figure.above)


def _record_checks(spec: ScenarioSpec) -> tuple[Check, ...]:
    """Return the check of a record that is broken; first, since every other doubt follows from it."""
    if not spec.unreadable:
        return ()
    return (Check("record_whole", "The record can be read", Verdict.INCONCLUSIVE, spec.unreadable),)


def _writes_criterion(kept: Durability, limits: Sequence[Limit]) -> Criterion:
    """Judge the writes; also of a scenario that injected nothing, since nothing may be lost then either."""
    name, title, unit = WRITES_CRITERION
    limit = next((one for one in limits if one.criterion == name), WRITES_LIMIT)
    figure = write_figure(kept)
    verdict = judge(figure.value, limit)
    reason = f"not measured: {figure.note}" if figure.value is None else figure.note
    if figure.value is None or limit.value:
        reason += f"; {limit.value:g} were allowed"
    return Criterion(name, title, unit, figure.value, None, limit, verdict, reason)


def _through_entry(history: History, writes: WriteRecord) -> tuple[Attempt, ...]:
    """Return the ledger's requests that reached the pods by the entry; statements to a database do not."""
    return writes.attempts if all(event.through_entry for event in history.of(LedgerStarted)) else ()


def _judge(figure: Figure, limit: Limit | None) -> Verdict:
    """Judge a figure.

    One without an end in sight fails once it is known to exceed its limit, and never passes; nor does one whose limit
    is finer than its resolution, which fails only with its whole bracket beyond the limit. A limit of 0 asks that
    nothing be found, which can be told.
    """
    if limit is None:
        return judge(figure.value, limit)
    is_too_fine = figure.value is not None and 0 < limit.value < figure.resolution
    if figure.above is None and not is_too_fine:
        return judge(figure.value, limit)
    least = figure.above if figure.above is not None else (figure.value or 0.0) - (figure.uncertainty or 0.0)
    exceeds = limit.bound is Bound.AT_MOST and not limit.holds(least)
    return Verdict.FAILED if exceeds else Verdict.INCONCLUSIVE


def _without_fault(history: History) -> str:
    """Return the outcome of a scenario in which nothing was injected."""
    if not list(history):
        return "not begun before the run ended"
    reason = stopping_reason(history)
    if not reason:
        return "nothing was injected, so nothing was tested"
    # An action that failed may have done a part: evicted some pods of a node, and not the last one.
    is_said = reason.endswith("nothing was injected") or "so the experiment proves nothing" in reason
    return reason if is_said else f"{reason}; nothing was injected"


def _sentence(history: History, measured: Figures, criteria: tuple[Criterion, ...], checked: tuple[Check, ...]) -> str:
    """Return the outcome in plain words; a doubt stands before it, and another limit that was missed at its end."""
    if measured.axis.t0_ns is None:
        return _without_fault(history)
    stopped = "".join(f"{one.words}; " for one in history.of(HarmLimitPassed)[:1])
    sentence = stopped + outcome_sentence(measured, criteria, what_was_done(measured))
    told = {"outage_seconds", "recovery_seconds", WRITES_LIMIT.criterion}
    missed = [one for one in criteria if one.verdict is Verdict.FAILED and one.name not in told]
    broken = [one for one in checked if one.verdict is Verdict.FAILED and one.name in _OF_THE_SYSTEM]
    if any(one.verdict is Verdict.FAILED for one in criteria):  # which is why the hypothesis did not hold
        broken = [one for one in broken if one.name != "hypothesis_held"]
    doubted = [one for one in checked if one.verdict is Verdict.INCONCLUSIVE]
    doubted.sort(key=lambda one: one.name not in CONTRADICTIONS)  # what follows from one tells less than it does
    doubts = [f"{decapitalised(one.title)}: {one.detail}" for one in doubted]
    doubts += [told_of(one) for one in criteria if one.verdict is Verdict.INCONCLUSIVE]
    if missed:
        return f"{sentence}; {told_of(missed[0])}"
    if broken:
        return f"{sentence}; {broken[0].detail}"
    if doubts and not stopped and not any(one.verdict is Verdict.FAILED for one in criteria):
        return f"in doubt ({doubts[0]}); {sentence}"
    return sentence


def _writes_ending(kept: Durability | None) -> str:
    if kept is None or (kept.problem and kept.anomalies == 0):
        return ""
    return f"; {write_words(kept)}"


def _isolation_ending(isolated: Criterion | None) -> str:
    """Return what an intruder met, unless the sentence tells it already because it is wrong."""
    return f"; {isolated.reason}" if isolated is not None and isolated.verdict is Verdict.PASSED else ""


def _latency_limit_ms(spec: ScenarioSpec) -> float:
    """Return the limit that the latency chart draws: the scenario's own, else the objective."""
    own = [limit.value for limit in spec.limits if limit.criterion == "p95_ms"]
    return own[0] if own else spec.objectives.p95_ms
