"""The tables behind the charts: the same values in words and numbers, for those who cannot or will not see a line."""

from dataclasses import dataclass

from flametest.model.result import ScenarioResult, Series
from flametest.report.format import count, exact, moment
from flametest.report.svg.thinning import worst_of_each
from flametest.report.svg.waterfall import stage_value

__all__ = ["Table", "latency_table", "pods_table", "rates_table", "stages_table", "steps_table"]

_SPANS_MAX = 240


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
