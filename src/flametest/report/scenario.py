"""One scenario as the page shows it: its charts, its tables and its figures for experts."""

from dataclasses import dataclass

from flametest.model.measures import AnswerCount, Availability, LatencySummary, Outage
from flametest.model.result import Result, ScenarioResult, Series
from flametest.report.faults import fault_tables
from flametest.report.figures import Shown, show
from flametest.report.format import NO_OUTAGE, NOT_MEASURED, count, exact, figure, signed_seconds
from flametest.report.repeated import repeated_words
from flametest.report.served import PHASE_WORDS, ServedTable, brief_served, edges_table, served_tables, upstream_table
from flametest.report.svg.budget import draw_budget
from flametest.report.svg.cloud import draw_cloud
from flametest.report.svg.compact import draw_compact
from flametest.report.svg.faults import draw_faults
from flametest.report.svg.frame import Frame, frame_of
from flametest.report.svg.latency import draw_latency
from flametest.report.svg.level import draw_level
from flametest.report.svg.podlives import PODS_MAX, draw_pod_lives
from flametest.report.svg.rates import draw_rates
from flametest.report.svg.steps import draw_steps
from flametest.report.svg.trials import draw_trials
from flametest.report.svg.waterfall import draw_compact_waterfall, draw_waterfall
from flametest.report.tables import (
    Table,
    brief_tables,
    cloud_table,
    latency_table,
    level_table,
    pods_table,
    rates_table,
    stages_table,
    steps_table,
)
from flametest.report.trials import TrialsView, trials_view

__all__ = ["Detail", "Drawing", "MarkText", "ScenarioView", "view"]

_MOMENT_ERROR = "Uncertainty of the injection's moment"
_RESOLUTION = "Resolution of the outage"
_EFFECT = "Its effect"
_FIRST_ATTEMPT = "First attempt"
# Of a compact page: every figure there has its own error, and the effects stand together under the checks.
_LEFT_OUT = frozenset({_MOMENT_ERROR, _RESOLUTION, _EFFECT})


@dataclass(frozen=True, slots=True)
class Detail:
    """How finely a page is drawn, so that one of many scenarios keeps its size.

    Attributes:
        points_max: points of a line.
        columns_max: columns of the request cloud.
        rows_max: rows of a table behind a chart.
        has_narrow: whether charts are drawn a second time for phones; otherwise the wide ones scroll there.
        has_bars: whether shares in tables have a bar beside their figure.
        is_compact: whether a scenario's charts are one small drawing, and its tables brief.
        path_lines: log lines of each hop of a failed request.
        path_characters: characters of each.
        has_descriptions: whether each scenario tells what it teaches, as its experiment does too.
    """

    points_max: int
    columns_max: int
    rows_max: int
    has_narrow: bool
    has_bars: bool
    is_compact: bool = False
    has_descriptions: bool = True
    path_lines: int = 2
    path_characters: int = 240


@dataclass(frozen=True, slots=True)
class Drawing:
    """One chart as escaped SVG, for a wide page and for a phone; ``narrow`` is empty where the detail leaves it out."""

    name: str
    anchor: str
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
        has_description: whether it tells what it teaches.
        criteria: its criteria as texts.
        marks: its marks as texts.
        drawings: the charts on the common axis, uppermost first; empty without a series.
        waterfall: the recovery; None without a stage.
        tables: the tables behind the charts.
        latency: latency percentiles by phase.
        served: who served.
        upstream: what arrived inside; None when no pod counted.
        edges: what disturbed edges did to users; None where none was disturbed.
        brief_served: who served in one table; None where ``served`` shows it.
        has_bars: whether its shares have bars.
        figures: further figures, as pairs of a term and its text.
        faults: each of several faults by itself; empty where there was one.
        trials: all repeats; None when there was one.
        trials_drawing: their chart; None likewise.
        pods_left_out: pods that the chart of their lives leaves out.
        is_thinned: whether lines have fewer points than the series.
    """

    anchor: str
    scenario: ScenarioResult
    has_description: bool
    criteria: tuple[Shown, ...]
    marks: tuple[MarkText, ...]
    drawings: tuple[Drawing, ...]
    waterfall: Drawing | None
    tables: tuple[Table, ...]
    latency: Table | None
    served: tuple[ServedTable, ...]
    upstream: Table | None
    edges: Table | None
    brief_served: Table | None
    has_bars: bool
    figures: tuple[tuple[str, str], ...]
    faults: tuple[Table, ...]
    trials: TrialsView | None
    trials_drawing: Drawing | None
    pods_left_out: int
    is_thinned: bool

    @property
    def has_changes(self) -> bool:
        """Return whether any criterion changed from the last run."""
        return any(one.change for one in self.criteria)

    @property
    def anchors(self) -> frozenset[str]:
        """Return the identifiers of its parts, for links to them."""
        found = [drawing.anchor for drawing in self.drawings]
        found += [one.anchor for one in (self.waterfall, self.trials_drawing) if one is not None]
        served = self.served or self.brief_served or self.upstream or self.edges
        return frozenset([*found, *([f"{self.anchor}-served"] if served else [])])


def view(result: Result, index: int, detail: Detail) -> ScenarioView:
    """Return how the scenario at ``index`` is shown."""
    scenario = result.scenarios[index]
    anchor = f"scenario-{index + 1}"
    series = scenario.series
    return ScenarioView(
        anchor=anchor,
        scenario=scenario,
        has_description=detail.has_descriptions,
        criteria=tuple(show(result, scenario, criterion) for criterion in scenario.criteria),
        marks=tuple(MarkText(mark.number, mark.label, signed_seconds(mark.seconds)) for mark in scenario.marks),
        drawings=_drawings(scenario, anchor, detail),
        waterfall=_waterfall(scenario, anchor, detail),
        tables=(brief_tables if detail.is_compact else _tables)(scenario, detail.rows_max),
        latency=_latency(scenario.latency),
        served=() if detail.is_compact else served_tables(scenario),
        brief_served=brief_served(scenario) if detail.is_compact else None,
        upstream=upstream_table(scenario, is_brief=detail.is_compact),
        edges=edges_table(scenario),
        has_bars=detail.has_bars,
        figures=tuple(one for one in _figures(scenario) if not detail.is_compact or one[0] not in _LEFT_OUT),
        faults=fault_tables(scenario),
        trials=trials_view(scenario),
        trials_drawing=_trials_drawing(scenario, anchor, detail),
        pods_left_out=max(0, len(series.pods) - PODS_MAX) if series is not None else 0,
        is_thinned=series is not None and len(series.offered) > detail.points_max,
    )


def _tables(scenario: ScenarioResult, rows_max: int) -> tuple[Table, ...]:
    """Return the tables behind the charts, in the charts' order."""
    series, found = scenario.series, []
    if series is not None:
        found += [rates_table(series, rows_max), latency_table(series, rows_max)]
        found += [cloud_table(scenario.density)] if scenario.density is not None else []
        found += [steps_table(series), pods_table(series)]
        found += [level_table(series, rows_max)] if series.level else []
    found += [stages_table(scenario)] if scenario.stages else []
    return tuple(found)


def _drawings(scenario: ScenarioResult, anchor: str, detail: Detail) -> tuple[Drawing, ...]:
    series = scenario.series
    if series is None or not series.offered:
        return ()
    if detail.is_compact:
        key = anchor.replace("scenario-", "s")
        drawn = draw_compact(scenario, series, key, points_max=detail.points_max, columns_max=detail.columns_max)
        return (Drawing("charts", f"{anchor}-all", drawn, ""),)
    frame = frame_of(scenario, series, anchor, is_narrow=False, points_max=detail.points_max)
    wide = _stack(scenario, series, frame, detail)
    if not detail.has_narrow:
        return tuple(Drawing(name, f"{anchor}-{name}", drawn, "") for name, drawn in wide.items())
    copy = frame_of(scenario, series, anchor, is_narrow=True, points_max=detail.points_max // 3)
    narrow = _stack(scenario, series, copy, detail, shared_with=frame)
    return tuple(Drawing(name, f"{anchor}-{name}", drawn, narrow[name]) for name, drawn in wide.items())


def _stack(
    scenario: ScenarioResult, series: Series, frame: Frame, detail: Detail, shared_with: Frame | None = None
) -> dict[str, str]:
    """Return the charts of one frame by name, uppermost first; the last one carries the axis."""
    limit_ms, level = scenario.latency_limit_ms, scenario.availability
    has_level, has_budget = bool(series.level), bool(series.budget_used)
    charts = {"rates": draw_rates(series, frame)}
    if scenario.faults:
        charts["faults"] = draw_faults(frame)
    charts["latency"] = draw_latency(series, frame, limit_ms)
    if scenario.density is not None:
        charts["cloud"] = draw_cloud(
            scenario.density, frame, limit_ms, columns_max=detail.columns_max, shared_with=shared_with
        )
    is_last = not (series.pods or has_level or has_budget)
    charts["steps"] = draw_steps(series, frame, scenario.workload, is_last=is_last)
    if series.pods:
        charts["pods"] = draw_pod_lives(series, frame, is_last=not (has_level or has_budget))
    if has_level:
        charts["level"] = draw_level(series, frame, level.lost_area_seconds if level else None, is_last=not has_budget)
    if has_budget:
        charts["budget"] = draw_budget(series, frame, level.objective if level else None)
    return charts


def _waterfall(scenario: ScenarioResult, anchor: str, detail: Detail) -> Drawing | None:
    if not scenario.stages:
        return None
    if detail.is_compact:
        key = anchor.replace("scenario-", "w")
        return Drawing("waterfall", f"{anchor}-waterfall", draw_compact_waterfall(scenario, key), "")
    narrow = draw_waterfall(scenario, anchor, is_narrow=True) if detail.has_narrow else ""
    return Drawing("waterfall", f"{anchor}-waterfall", draw_waterfall(scenario, anchor, is_narrow=False), narrow)


def _trials_drawing(scenario: ScenarioResult, anchor: str, detail: Detail) -> Drawing | None:
    if scenario.trials is None or not scenario.trials.summaries:
        return None
    summaries = scenario.trials.summaries
    narrow = draw_trials(summaries, anchor, is_narrow=True) if detail.has_narrow else ""
    return Drawing("trials", f"{anchor}-trials", draw_trials(summaries, anchor, is_narrow=False), narrow)


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
    return Table("phases", "Latency by phase", ("phase", "samples", "p50", "p95", "p99", "max"), rows)


def _figures(scenario: ScenarioResult) -> list[tuple[str, str]]:
    found = []
    if scenario.first_attempt is not None:
        found.append((_FIRST_ATTEMPT, repeated_words(scenario.first_attempt)))
    if scenario.fault:
        targets = ", ".join(f"{one.kind} {one.namespace}/{one.name}" for one in scenario.targets) or "no target"
        found.append(("Fault", f"{scenario.fault} on {targets}"))
        found.extend((_EFFECT, check.detail) for check in scenario.checks if check.name == "fault_proven")
        found.append((_MOMENT_ERROR, figure(scenario.fault_uncertainty_seconds, "s")))
    if scenario.outage is not None:
        found.extend(_outage_figures(scenario.outage))
    if scenario.answers:
        found.append(("What users got since", "; ".join(_answer(one) for one in scenario.answers)))
    if scenario.availability is not None:
        found.extend(_availability_figures(scenario.availability))
    steady = scenario.steady
    if steady is not None:
        windows = f"windows of {exact(steady.window_seconds, 's', 1)}, good for {exact(steady.hold_seconds, 's', 1)}"
        ending = f"; not reached: {steady.reason}" if steady.seconds is None and steady.reason else ""
        found.append(("Steady state", f"{windows}; watched for {exact(steady.horizon_seconds, 's', 1)}{ending}"))
    return found


def _answer(answer: AnswerCount) -> str:
    """Return how often one kind of answer came, such as ``68 × status 503 (2.81 %)``."""
    what = f"status {answer.status}" if answer.status else answer.error
    return f"{count(answer.count)} × {what} ({figure(answer.share, 'share')})"


def _outage_figures(outage: Outage) -> list[tuple[str, str]]:
    resolution = f"Δ {exact(outage.resolution_seconds * 1000, 'ms')}, ε {figure(outage.epsilon_seconds * 1000, 'ms')}"
    found = [(_RESOLUTION, resolution)]
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
        assumption = f"of 30 days at the offered rate, objective {exact(availability.objective, 'share')}"
        found.append(("Error budget used", f"{used} {assumption}"))
    return found
