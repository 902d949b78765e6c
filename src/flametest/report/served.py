"""Who served: how requests spread over pods before, during and after the fault, laid out as tables with bars."""

from dataclasses import dataclass

from flametest.model.events import Phase
from flametest.model.measures import Distribution, PodShare, Upstream
from flametest.model.result import ScenarioResult
from flametest.report.format import count, figure, percent
from flametest.report.tables import Table

__all__ = [
    "PHASE_WORDS",
    "ServedCell",
    "ServedRow",
    "ServedTable",
    "brief_served",
    "edges_table",
    "served_tables",
    "upstream_table",
]

PHASE_WORDS: dict[Phase, str] = {Phase.BASELINE: "before", Phase.FAULT: "during", Phase.RECOVERY: "after"}

_CONNECTIONS = {
    "fresh": "Fresh connections (each request its own)",
    "load": "Load (connections are kept, so requests on one are not independent)",
}


@dataclass(frozen=True, slots=True)
class ServedCell:
    """What one pod served in one phase; ``width`` of its bar is 0 to 100, ``rate`` may say why there is none."""

    share: str
    width: str
    requests: str
    rate: str


@dataclass(frozen=True, slots=True)
class ServedRow:
    """One pod; a cell is None in a phase in which it served nothing."""

    pod: str
    node: str
    cells: tuple[ServedCell | None, ...]


@dataclass(frozen=True, slots=True)
class ServedTable:
    """One kind of connections; ``summary`` has a label and one text a phase."""

    title: str
    phases: tuple[str, ...]
    rows: tuple[ServedRow, ...]
    summary: tuple[tuple[str, tuple[str, ...]], ...]


def served_tables(scenario: ScenarioResult) -> tuple[ServedTable, ...]:
    """Return one table for each kind of connections, in the Result's order."""
    kinds = tuple(dict.fromkeys(one.connections for one in scenario.distribution))
    return tuple(_table(kind, tuple(one for one in scenario.distribution if one.connections == kind)) for kind in kinds)


def brief_served(scenario: ScenarioResult) -> Table | None:
    """Return who served as one table, a column for each kind of connections and phase; None without a request."""
    tables = served_tables(scenario)
    if not tables:
        return None
    pods = dict.fromkeys((row.pod, row.node) for table in tables for row in table.rows)
    rows = [(f"{pod} {node}", *(text for table in tables for text in _brief_cells(table, pod))) for pod, node in pods]
    for lines in zip(*(table.summary for table in tables), strict=True):
        # Where pods are is the same whatever connects to them: once is enough.
        repeated = [
            "" if number and texts == lines[0][1] else text for number, (_, texts) in enumerate(lines) for text in texts
        ]
        rows.append((lines[0][0], *repeated))
    kinds = tuple(dict.fromkeys(one.connections for one in scenario.distribution))
    columns = [f"{kind}, {phase}" for kind, table in zip(kinds, tables, strict=True) for phase in table.phases]
    caption = (
        "Share of requests over fresh connections and of the load (its connections are kept), and rate while ready"
    )
    return Table("served", caption, ("pod", *columns), tuple(rows))


def _brief_cells(table: ServedTable, pod: str) -> list[str]:
    row = next((row for row in table.rows if row.pod == pod), None)
    cells = row.cells if row is not None else (None,) * len(table.phases)
    return ["–" if cell is None else f"{cell.share}, {cell.rate}" for cell in cells]


def upstream_table(scenario: ScenarioResult, *, is_brief: bool = False) -> Table | None:
    """Return how many requests arrived at each app for each one that users sent; None when no pod counted.

    A brief one leaves out how many these were, and in what time.
    """
    if not scenario.upstream:
        return None
    known = {(one.app, one.phase): one for one in scenario.upstream}
    apps, phases = sorted({one.app for one in scenario.upstream}), tuple(PHASE_WORDS)
    rows = tuple((app, *(_arrived(known.get((app, phase)), is_brief=is_brief) for phase in phases)) for app in apps)
    caption = "Requests that arrived, as the pods counted them, for each one that users sent"
    return Table("upstream", caption, ("app", *PHASE_WORDS.values()), rows)


def edges_table(scenario: ScenarioResult) -> Table | None:
    """Return what disturbed edges did to users, a row a rule; None where none was disturbed."""
    rows = tuple((one.edge, one.rule, *map(count, (one.passed, one.matched, one.hit))) for one in scenario.edges)
    caption = "Connections or requests at the disturbed edge, as its proxy counted them"
    return Table("edges", caption, ("edge", "what was done", "came", "meant", "hit"), rows) if rows else None


def _arrived(one: Upstream | None, *, is_brief: bool) -> str:
    if one is None or one.per_sent is None:
        return "–"
    if is_brief:
        return figure(one.per_sent, "ratio")
    return f"{figure(one.per_sent, 'ratio')} ({count(one.requests)} in {figure(one.seconds, 's')})"


def _table(kind: str, columns: tuple[Distribution, ...]) -> ServedTable:
    pods = dict.fromkeys(share.pod for column in columns for share in column.shares)
    found = [{share.pod: share for share in column.shares} for column in columns]
    totals = [sum(share.requests for share in column.shares) for column in columns]
    rows = []
    for pod in pods:
        shares = [shares_of.get(pod) for shares_of in found]
        node = next((share.node for share in shares if share), "")
        cells = tuple(_cell(share, total) for share, total in zip(shares, totals, strict=True))
        rows.append(ServedRow(pod, node, cells))
    return ServedTable(
        title=_CONNECTIONS.get(kind, kind),
        phases=tuple(PHASE_WORDS[column.phase] for column in columns),
        rows=tuple(rows),
        summary=(
            ("Pods per node", tuple(_nodes(column) for column in columns)),
            ("Busiest pod over mean (1 is even)", tuple(_ratio(column.max_over_mean) for column in columns)),
            ("Jain's index (1 is even)", tuple(_ratio(column.jain) for column in columns)),
            ("Coefficient of variation (0 is even)", tuple(_ratio(column.variation) for column in columns)),
        ),
    )


def _cell(share: PodShare | None, total: int) -> ServedCell | None:
    if share is None or total == 0:
        return None
    part = share.requests / total
    rate = share.note if share.rate is None else figure(share.rate, "1/s")
    return ServedCell(percent(part), f"{part * 100:.1f}", count(share.requests), rate)


def _nodes(column: Distribution) -> str:
    nodes = sorted(dict.fromkeys(share.node for share in column.shares))
    pods = [sum(1 for share in column.shares if share.node == node) for node in nodes]
    return ", ".join(f"{node or 'no node'}: {number}" for node, number in zip(nodes, pods, strict=True)) or "none"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
