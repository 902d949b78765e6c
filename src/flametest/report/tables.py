"""The tables behind the charts: the same values in words and numbers, for those who cannot or will not see a line."""

import math
from dataclasses import dataclass

from flametest.model.result import Density, ScenarioResult, Series
from flametest.report.format import count, exact, figure, moment
from flametest.report.svg.thinning import worst_of_each
from flametest.report.svg.waterfall import stage_value

__all__ = [
    "Table",
    "brief_tables",
    "cloud_table",
    "latency_table",
    "level_table",
    "pods_table",
    "rates_table",
    "stages_table",
    "steps_table",
]

_SPANS_MAX = 240
_BRIEF_MAX = 24
_BAND_ROWS = 4  # rows of the cloud's grid that one row of its table holds


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column of each row is its header.

    Attributes:
        chart: the chart that it stands behind, such as ``rates``.
        caption: what it lists.
        columns: headings.
        rows: texts.
        note: what was left out; empty when it is complete.
    """

    chart: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def rates_table(series: Series, rows_max: int) -> Table:
    """Return offered, good and bad by bin; of long series the bins in which most was bad."""
    kept = worst_of_each(series.bad, rows_max)
    rows = tuple(
        (_bin(series, index), *(f"{values[index]:,.1f}" for values in (series.offered, series.good, series.bad)))
        for index in kept
    )
    columns = ("seconds from injection", "offered/s", "good/s", "bad/s")
    return Table("rates", "Requests per second", columns, rows, _note(series, len(kept), "with most bad requests"))


def latency_table(series: Series, rows_max: int) -> Table:
    """Return the percentiles by bin; of long series the bins with the highest p99."""
    kept = worst_of_each([value or 0.0 for value in series.p99_ms], rows_max)
    lines = (series.p50_ms, series.p95_ms, series.p99_ms)
    rows = tuple((_bin(series, index), *(_milliseconds(values[index]) for values in lines)) for index in kept)
    columns = ("seconds from injection", "p50, ms", "p95, ms", "p99, ms")
    return Table("latency", "Latency", columns, rows, _note(series, len(kept), "with the highest p99"))


def cloud_table(density: Density, band_rows: int = _BAND_ROWS) -> Table:
    """Return how many requests each band of latency holds, the quickest first; bands without one are left out."""
    step = math.log(density.latency_high_ms / density.latency_low_ms) / density.rows
    bands = math.ceil(density.rows / band_rows)
    sums = [[0, 0] for _ in range(bands)]
    for kind, cells in enumerate((density.good, density.bad)):
        for _, row, requests in cells:
            sums[row // band_rows][kind] += requests
    edges = [
        figure(density.latency_low_ms * math.exp(min(band * band_rows, density.rows) * step), "ms")
        for band in range(bands + 1)
    ]
    rows = tuple(
        (f"{edges[band]} to {edges[band + 1]}", count(good), count(bad))
        for band, (good, bad) in enumerate(sums)
        if good or bad
    )
    return Table("cloud", "Every request by its latency", ("latency", "good", "failed"), rows)


def level_table(series: Series, rows_max: int) -> Table:
    """Return service level and error budget of the bins that lost some; of many the worst ones."""
    below = [index for index, share in enumerate(series.level) if share < 1]
    kept = [below[index] for index in worst_of_each([1 - series.level[index] for index in below], rows_max)]
    rows = tuple(
        (
            _bin(series, index),
            figure(series.level[index], "share"),
            figure(series.budget_used[index], "share") if series.budget_used else "–",
        )
        for index in kept
    )
    left_out = (
        f" {count(len(kept))} of {count(len(below))} such bins, the worst of each stretch."
        if below[len(kept) :]
        else ""
    )
    note = f"Bins of {exact(series.bin_seconds, 's')} that are not listed had full service.{left_out}"
    columns = ("seconds from injection", "service level", "error budget used so far")
    return Table("level", "Service level and error budget", columns, rows, note)


def steps_table(series: Series) -> Table:
    """Return each change of desired pods, ready pods and endpoints."""
    lines = (
        ("desired pods", series.desired_pods),
        ("ready pods", series.ready_pods),
        ("ready endpoints", series.ready_endpoints),
    )
    changes = sorted((step.seconds, what, step.value) for what, steps in lines for step in steps)
    rows = tuple((moment(seconds), what, count(value)) for seconds, what, value in changes[:_SPANS_MAX])
    columns = ("seconds from injection", "what", "from then on")
    return Table("steps", "Pods and endpoints", columns, rows, _left_out(len(changes)))


def pods_table(series: Series) -> Table:
    """Return each span of each pod's life."""
    spans = [(pod, span) for pod in series.pods for span in pod.spans]
    rows = tuple(
        (pod.name, pod.uid, pod.node, span.state, moment(span.start_seconds), moment(span.end_seconds))
        for pod, span in spans[:_SPANS_MAX]
    )
    columns = ("pod", "uid", "node", "state", "from, s", "to, s")
    return Table("pods", "Life of each pod", columns, rows, _left_out(len(spans)))


def stages_table(scenario: ScenarioResult) -> Table:
    """Return each stage of the recovery with what was seen."""
    rows = tuple((stage.title, stage_value(scenario, stage), stage.detail) for stage in scenario.stages)
    return Table("waterfall", "Recovery, stage by stage", ("stage", "from injection", "what was seen"), rows)


def brief_tables(scenario: ScenarioResult, rows_max: int) -> tuple[Table, ...]:
    """Return the same values in fewer bytes: one table of all that is counted by time, and a row for each pod."""
    series, found = scenario.series, []
    if series is not None:
        found += [_timed_table(series, rows_max)]
        found += [cloud_table(scenario.density, 2 * _BAND_ROWS)] if scenario.density is not None else []
        found += [_brief_steps(series), _brief_pods(series)]
    found += [stages_table(scenario)] if scenario.stages else []
    return tuple(found)


def _timed_table(series: Series, rows_max: int) -> Table:
    """Return every value by bin, of the bins in which most was bad or slowest."""
    slowest = max((value for value in series.p99_ms if value), default=1.0)
    badness = [bad + (p99 or 0.0) / slowest for bad, p99 in zip(series.bad, series.p99_ms, strict=True)]
    kept = worst_of_each(badness, rows_max)
    shares = [("level, %", series.level), ("budget used, %", series.budget_used)]
    known = [(name, values) for name, values in shares if values]
    rows = tuple(
        (
            _bin(series, index),
            *(f"{values[index]:,.0f}" for values in (series.offered, series.good, series.bad)),
            *(_milliseconds(values[index]) for values in (series.p50_ms, series.p95_ms, series.p99_ms)),
            *(figure(values[index], "share").removesuffix("\N{NO-BREAK SPACE}%") for _, values in known),
        )
        for index in kept
    )
    columns = ("seconds", "offered/s", "good/s", "bad/s", "p50, ms", "p95, ms", "p99, ms", *(name for name, _ in known))
    note = f"Of each stretch the worst {exact(series.bin_seconds, 's')}; all are in result.json."
    return Table("rates", "Requests, latency and service level", columns, rows, note)


def _brief_steps(series: Series) -> Table:
    lines = (
        ("desired pods", series.desired_pods),
        ("ready pods", series.ready_pods),
        ("ready endpoints", series.ready_endpoints),
    )
    rows = tuple(
        (what, "; ".join(f"{moment(step.seconds)}: {count(step.value)}" for step in steps[:_BRIEF_MAX]))
        for what, steps in lines
    )
    return Table("steps", "Pods and endpoints", ("what", "from second: number"), rows)


def _brief_pods(series: Series) -> Table:
    rows = tuple(
        (pod.name, pod.uid[:8], pod.node, "; ".join(f"{moment(one.start_seconds)}: {one.state}" for one in pod.spans))
        for pod in series.pods[:_BRIEF_MAX]
    )
    left_out = f"{count(len(series.pods) - _BRIEF_MAX)} more are in result.json." if series.pods[_BRIEF_MAX:] else ""
    return Table("pods", "Life of each pod", ("pod", "uid", "node", "from second: state"), rows, left_out)


def _bin(series: Series, index: int) -> str:
    return moment(round(series.start_seconds + index * series.bin_seconds, 3))


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"


def _note(series: Series, rows: int, which: str) -> str:
    total = len(series.offered)
    width = f"One row is {exact(series.bin_seconds, 's')} wide."
    if rows >= total:
        return width
    return f"{width} {count(rows)} of {count(total)} rows, of each stretch the one {which}; all are in result.json."


def _left_out(total: int) -> str:
    return f"The first {_SPANS_MAX} of {count(total)}; all are in result.json." if total > _SPANS_MAX else ""
