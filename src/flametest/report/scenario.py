"""One scenario as the page shows it: its charts, its tables and its figures for experts."""

from dataclasses import dataclass

from flametest.model.measures import Availability, LatencySummary, Outage
from flametest.model.result import Result, ScenarioResult
from flametest.report.figures import Shown, show
from flametest.report.format import NO_OUTAGE, NOT_MEASURED, count, figure, percent, signed_seconds
from flametest.report.served import PHASE_WORDS, ServedTable, served_tables
from flametest.report.svg.frame import frame_of
from flametest.report.svg.latency import draw_latency
from flametest.report.svg.podlives import PODS_MAX, draw_pod_lives
from flametest.report.svg.rates import draw_rates
from flametest.report.svg.steps import draw_steps
from flametest.report.svg.waterfall import draw_waterfall
from flametest.report.tables import Table, latency_table, pods_table, rates_table, stages_table, steps_table

__all__ = ["Detail", "Drawing", "MarkText", "ScenarioView", "view"]


@dataclass(frozen=True, slots=True)
class Detail:
    """How finely long series are drawn, so that a page of many scenarios keeps its size.

    Attributes:
        points_max: points of a line.
        rows_max: rows of a table behind a chart.
    """

    points_max: int
    rows_max: int

    @classmethod
    def of(cls, scenarios: int) -> "Detail":
        """Return the detail that a page with so many scenarios can afford."""
        drawn = max(1, scenarios)
        return cls(points_max=max(60, min(600, 2400 // drawn)), rows_max=max(20, min(160, 640 // drawn)))


@dataclass(frozen=True, slots=True)
class Drawing:
    """One chart, drawn twice: for a wide and for a narrow page. Both are SVG and already escaped."""

    name: str
    wide: str
    narrow: str


@dataclass(frozen=True, slots=True)
class MarkText:
    """A numbered mark in words."""

    number: int
    label: str
    moment: str


@dataclass(frozen=True, slots=True)
class ScenarioView:
    """What the template reads of a scenario.

    Attributes:
        anchor: its identifier on the page.
        scenario: the scenario itself.
        criteria: its criteria as texts.
        marks: its marks as texts.
        drawings: the charts on the common axis, uppermost first; empty without a series.
        waterfall: the recovery; None without a stage.
        tables: the tables behind the charts.
        latency: latency percentiles by phase.
        served: who served.
        figures: further figures, as pairs of a term and its text.
        pods_left_out: pods that the chart of their lives leaves out.
    """

    anchor: str
    scenario: ScenarioResult
    criteria: tuple[Shown, ...]
    marks: tuple[MarkText, ...]
    drawings: tuple[Drawing, ...]
    waterfall: Drawing | None
    tables: tuple[Table, ...]
    latency: Table | None
    served: tuple[ServedTable, ...]
    figures: tuple[tuple[str, str], ...]
    pods_left_out: int


def view(result: Result, index: int, detail: Detail) -> ScenarioView:
    """Return how the scenario at ``index`` is shown."""
    scenario = result.scenarios[index]
    anchor = f"scenario-{index + 1}"
    series = scenario.series
    return ScenarioView(
        anchor=anchor,
        scenario=scenario,
        criteria=tuple(show(result, scenario, criterion) for criterion in scenario.criteria),
        marks=tuple(MarkText(mark.number, mark.label, signed_seconds(mark.seconds)) for mark in scenario.marks),
        drawings=_drawings(scenario, anchor, detail.points_max),
        waterfall=_waterfall(scenario, anchor),
        tables=(
            (
                rates_table(series, detail.rows_max),
                latency_table(series, detail.rows_max),
                steps_table(series),
                pods_table(series),
            )
            if series is not None
            else ()
        )
        + ((stages_table(scenario),) if scenario.stages else ()),
        latency=_latency(scenario.latency),
        served=served_tables(scenario),
        figures=tuple(_figures(scenario)),
        pods_left_out=max(0, len(series.pods) - PODS_MAX) if series is not None else 0,
    )


def _drawings(scenario: ScenarioResult, anchor: str, points_max: int) -> tuple[Drawing, ...]:
    series = scenario.series
    if series is None or not series.offered:
        return ()
    wide, narrow = (
        frame_of(scenario, series, anchor, is_narrow=is_narrow, points_max=points_max) for is_narrow in (False, True)
    )
    limit_ms = scenario.latency_limit_ms
    has_pods = bool(series.pods)
    found = [
        Drawing("rates", draw_rates(series, wide), draw_rates(series, narrow)),
        Drawing("latency", draw_latency(series, wide, limit_ms), draw_latency(series, narrow, limit_ms)),
        Drawing(
            "steps",
            draw_steps(series, wide, scenario.workload, is_last=not has_pods),
            draw_steps(series, narrow, scenario.workload, is_last=not has_pods),
        ),
    ]
    if has_pods:
        found.append(Drawing("pods", draw_pod_lives(series, wide), draw_pod_lives(series, narrow)))
    return tuple(found)


def _waterfall(scenario: ScenarioResult, anchor: str) -> Drawing | None:
    if not scenario.stages:
        return None
    wide, narrow = (draw_waterfall(scenario, anchor, is_narrow=is_narrow) for is_narrow in (False, True))
    return Drawing("waterfall", wide, narrow)


def _latency(summaries: tuple[LatencySummary, ...]) -> Table | None:
    if not summaries:
        return None
    rows = tuple(
        (
            PHASE_WORDS[one.phase],
            count(one.samples),
            *(
                NOT_MEASURED if value is None else figure(value, "ms")
                for value in (one.p50_ms, one.p95_ms, one.p99_ms, one.max_ms)
            ),
        )
        for one in summaries
    )
    return Table("phases", "Latency by phase", ("phase", "samples", "p50", "p95", "p99", "highest"), rows)


def _figures(scenario: ScenarioResult) -> list[tuple[str, str]]:
    found = []
    if scenario.fault:
        targets = ", ".join(f"{one.kind} {one.namespace}/{one.name}" for one in scenario.targets) or "no target"
        found.append(("Fault", f"{scenario.fault} on {targets}"))
        found.append(("Uncertainty of the injection's moment", figure(scenario.fault_uncertainty_seconds, "s")))
    if scenario.outage is not None:
        found.extend(_outage_figures(scenario.outage))
    if scenario.availability is not None:
        found.extend(_availability_figures(scenario.availability))
    steady = scenario.steady
    if steady is not None:
        windows = f"windows of {figure(steady.window_seconds, 's')}, good for {figure(steady.hold_seconds, 's')}"
        ending = f"; not reached: {steady.reason}" if steady.seconds is None and steady.reason else ""
        found.append(("Steady state", f"{windows}; watched for {figure(steady.horizon_seconds, 's')}{ending}"))
    return found


def _outage_figures(outage: Outage) -> list[tuple[str, str]]:
    resolution = f"Δ {figure(outage.resolution_seconds * 1000, 'ms')}, ε {figure(outage.epsilon_seconds * 1000, 'ms')}"
    found = [("Resolution of the outage", resolution)]
    if outage.total is None or outage.envelope is None:
        return [("Outage", NO_OUTAGE), *found]
    for label, bracket in (("Outage, sum of stretches", outage.total), ("Outage, first to last", outage.envelope)):
        text = figure(bracket.midpoint, "s", uncertainty=bracket.uncertainty or None)
        found.append((label, f"{text} (between {figure(bracket.low, 's')} and {figure(bracket.high, 's')})"))
    found.append(("Stretches", f"{len(outage.stretches)}{'' if outage.recovered else ', the last one had not ended'}"))
    return found


def _availability_figures(availability: Availability) -> list[tuple[str, str]]:
    requests = f"{count(availability.good)} good, {count(availability.bad)} bad of {count(availability.valid)} valid"
    found = [("Requests after the injection", requests)]
    found.append(("Service lost (area under full service)", figure(availability.lost_area_seconds, "s")))
    if availability.error_budget_used is not None:
        used = figure(availability.error_budget_used, "share")
        assumption = f"of 30 days at the offered rate, objective {percent(availability.objective)}"
        found.append(("Error budget used", f"{used} {assumption}"))
    return found
