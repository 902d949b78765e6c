"""The figures for a metrics server: OpenMetrics text, one sample a scenario in the family of each criterion.

The format is that of the OpenMetrics specification 1.0 (families with type, unit and help; base units; `# EOF` at the
end), which Prometheus, its file collector and GitLab read. Figures that were not measured have no sample, as a zero
would be a claim; verdicts are state sets, so that "inconclusive" cannot be mistaken for either of the others.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Criterion, Verdict
from flametest.report.format import plain

__all__ = ["render_openmetrics"]

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_NOT_IN_NAMES = re.compile("[^A-Za-z0-9_]")
# Suffix of a criterion's name, the base unit that stands for it, and the factor between the two.
_UNITS: Mapping[str, tuple[str, str, float]] = {
    "s": ("_seconds", "seconds", 1.0),
    "ms": ("_ms", "seconds", 1e-3),
    "%": ("_percent", "ratio", 1e-2),
    "ratio": ("_ratio", "ratio", 1.0),
}


@dataclass(slots=True)
class _Family:
    """A metric family while it is filled: ``samples`` are pairs of suffix with labels, and value."""

    name: str
    kind: str
    unit: str
    explanation: str
    samples: list[tuple[str, float]] = field(default_factory=list)

    def add(self, value: float, suffix: str = "", **labels: str) -> None:
        """Append a sample."""
        written = ",".join(f'{name}="{plain(text).translate(_ESCAPES)}"' for name, text in labels.items())
        self.samples.append((f"{suffix}{{{written}}}" if labels else suffix, value))

    def lines(self) -> Iterable[str]:
        """Yield the family as text; nothing when it has no sample."""
        if not self.samples:
            return
        yield f"# TYPE {self.name} {self.kind}"
        if self.unit:
            yield f"# UNIT {self.name} {self.unit}"
        yield f"# HELP {self.name} {plain(self.explanation).translate(_ESCAPES)}"
        yield from (f"{self.name}{suffix} {value:.10g}" for suffix, value in self.samples)


def render_openmetrics(result: Result) -> str:
    """Return the result as OpenMetrics text, to be served or stored as application/openmetrics-text."""
    families = [*_run(result), *_criteria(result), *_services(result), *_faults(result), *_writes(result)]
    lines = [line for family in families for line in family.lines()]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _run(result: Result) -> Iterable[_Family]:
    info = _Family("flametest_run", "info", "", "The run that all figures are of.")
    info.add(
        1,
        "_info",
        run=result.run_id,
        cluster=result.cluster,
        namespace=result.namespace,
        suite=result.suite,
        seed=str(result.seed),
    )
    yield info
    started = _Family("flametest_run_start_seconds", "gauge", "seconds", "When the run began, since the epoch.")
    started.add(result.started_wall_s)
    yield started
    took = _Family("flametest_run_duration_seconds", "gauge", "seconds", "How long the run took.")
    took.add(result.duration_seconds)
    yield took
    verdict = _Family("flametest_run_verdict", "stateset", "", "The worst verdict of all scenarios.")
    _add_verdict(verdict, result.verdict)
    yield verdict
    scenarios = _Family("flametest_scenario_verdict", "stateset", "", "The verdict of each scenario.")
    for scenario in result.scenarios:
        _add_verdict(scenarios, scenario.verdict, scenario=scenario.name)
    yield scenarios


def _criteria(result: Result) -> Iterable[_Family]:
    """Yield value, error, limit and verdict of each criterion, by the criterion."""
    families: dict[str, _Family] = {}

    def family(one: Criterion, aspect: str, explanation: str) -> _Family:
        stem, unit, _ = _named(one)
        name = f"flametest_{stem}{aspect}{f'_{unit}' if unit else ''}"
        return families.setdefault(name, _Family(name, "gauge", unit, explanation))

    verdicts = _Family("flametest_criterion_verdict", "stateset", "", "The verdict of each criterion that has a limit.")
    for scenario in result.scenarios:
        for one in scenario.criteria:
            factor = _named(one)[2]
            figures = (
                ("", one.value, one.title),
                ("_uncertainty", one.uncertainty, f"{one.title}: half the width of its bracket"),
                ("_limit", one.limit.value if one.limit else None, f"{one.title}: its limit"),
                ("_above", one.above, f"{one.title}: what it is known to exceed, when it had not ended"),
            )
            for aspect, value, explanation in figures:
                if value is not None:
                    family(one, aspect, f"{explanation}.").add(value * factor, scenario=scenario.name)
            if one.limit is not None:
                _add_verdict(verdicts, one.verdict, scenario=scenario.name, criterion=one.name)
    yield from families.values()
    yield verdicts


def _services(result: Result) -> Iterable[_Family]:
    requests = _Family("flametest_requests", "gauge", "", "Requests after the injection, by their outcome.")
    lost = _Family("flametest_service_lost_seconds", "gauge", "seconds", "Area under full service.")
    budget = _Family("flametest_error_budget_used_ratio", "gauge", "ratio", "Share of the 30 days' error budget used.")
    for scenario in result.scenarios:
        level = scenario.availability
        if level is None:
            continue
        for outcome, number in (("good", level.good), ("bad", level.bad)):
            requests.add(number, scenario=scenario.name, outcome=outcome)
        lost.add(level.lost_area_seconds, scenario=scenario.name)
        if level.error_budget_used is not None:
            budget.add(level.error_budget_used, scenario=scenario.name)
    return (requests, lost, budget)


def _faults(result: Result) -> Iterable[_Family]:
    """Yield the moments of each of several faults, and what users felt of it."""
    injected = _Family("flametest_fault_injected_seconds", "gauge", "seconds", "Injection, since that of the first.")
    healed = _Family("flametest_fault_healed_seconds", "gauge", "seconds", "Healing, since the first injection.")
    felt = _Family("flametest_fault_felt_seconds", "gauge", "seconds", "What users felt, with all that lasted then.")
    proved = _Family("flametest_fault_proved", "gauge", "", "Whether the fault was seen to take effect.")
    for scenario in result.scenarios:
        for one in scenario.faults:
            labels = {"scenario": scenario.name, "fault": one.name}
            injected.add(one.injected_seconds, **labels)
            if one.healed_seconds is not None:
                healed.add(one.healed_seconds, **labels)
            if one.outage is not None:
                felt.add(one.outage.total.midpoint if one.outage.total is not None else 0.0, **labels)
            if one.proved is not None:
                proved.add(float(one.proved), **labels)
    return (injected, healed, felt, proved)


def _writes(result: Result) -> Iterable[_Family]:
    writes = _Family("flametest_writes", "gauge", "", "Writes of the ledger, by what became of them.")
    for scenario in result.scenarios:
        for outcome, number in _outcomes(scenario):
            writes.add(number, scenario=scenario.name, outcome=outcome)
    yield writes


def _outcomes(scenario: ScenarioResult) -> Iterable[tuple[str, int]]:
    kept = scenario.durability
    if kept is None:
        return
    yield from (("acknowledged", kept.acknowledged), ("unknown", kept.unknown))
    yield from (("refused", kept.refused), ("failed", kept.failed))
    if not kept.problem:
        yield from ((rule.name, rule.offences.count) for rule in kept.rules())


def _named(one: Criterion) -> tuple[str, str, float]:
    """Return a criterion's name without its unit, the base unit, and the factor to it."""
    suffix, unit, factor = _UNITS.get(one.unit, ("", "", 1.0))
    return _NOT_IN_NAMES.sub("_", one.name.removesuffix(suffix)), unit, factor


def _add_verdict(family: _Family, verdict: Verdict, **labels: str) -> None:
    for one in Verdict:
        family.add(float(one is verdict), **labels, **{family.name: one.value})
