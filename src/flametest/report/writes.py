"""The writes of a run as its readers see them: counts by scenario, and what broke a rule, by its ids.

All renderers share this, so that the page, the pull request's summary and JUnit name the same orders.
"""

from dataclasses import dataclass

from flametest.model.measures import Durability, Offences
from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Verdict
from flametest.report.format import count

__all__ = ["WRITES_CRITERION", "OffenceList", "WritesRow", "WritesView", "offence_lists", "tally", "writes_view"]

WRITES_CRITERION = "write_anomalies"
_COLUMNS = (
    "Acknowledged",
    "Unknown",
    "Refused",
    "Failed",
    "Lost",
    "Phantom",
    "Duplicated",
    "Oversold",
    "Off the books",
)


@dataclass(frozen=True, slots=True)
class OffenceList:
    """What broke one rule in one scenario: a title such as "2 lost", the first ids, and how many are not shown."""

    title: str
    ids: tuple[str, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class WritesRow:
    """One scenario; ``cells`` stand under the columns, and are empty when ``note`` says why nothing was judged."""

    index: int
    name: str
    verdict: Verdict | None
    cells: tuple[str, ...]
    note: str
    offences: tuple[OffenceList, ...]


@dataclass(frozen=True, slots=True)
class WritesView:
    """The section "Writes"; ``totals`` is empty when it would only repeat a single row."""

    columns: tuple[str, ...]
    rows: tuple[WritesRow, ...]
    totals: tuple[str, ...]

    @property
    def has_table(self) -> bool:
        """Return whether any scenario's writes were counted."""
        return any(row.cells for row in self.rows)


def writes_view(result: Result) -> WritesView:
    """Return the section for a run; without a scenario it has no rows."""
    rows = tuple(_row(index, scenario) for index, scenario in enumerate(result.scenarios))
    counted = [scenario.durability for scenario in result.scenarios if scenario.durability is not None]
    sums = [sum(column) for column in zip(*(_figures(one) for one in counted), strict=True)]
    return WritesView(_COLUMNS, rows, tuple(map(count, sums)) if len(counted) > 1 else ())


def offence_lists(durability: Durability) -> tuple[OffenceList, ...]:
    """Return what broke a rule, the gravest first; rules that were kept are left out."""
    rules: tuple[tuple[str, Offences], ...] = (
        ("lost", durability.lost),
        ("duplicated", durability.duplicated),
        ("oversold", durability.oversold),
        ("phantom", durability.phantom),
        ("off the books", durability.unbalanced),
    )
    return tuple(
        OffenceList(f"{count(found.count)} {name}", found.first, found.count - len(found.first))
        for name, found in rules
        if found.count
    )


def tally(durability: Durability) -> str:
    """Return the counts in a sentence's part, such as "612 acknowledged, 3 unknown, 8 refused (sold_out), 0 failed"."""
    reason = f" ({durability.refused_for})" if durability.refused_for else ""
    parts = (
        f"{count(durability.acknowledged)} acknowledged",
        f"{count(durability.unknown)} unknown",
        f"{count(durability.refused)} refused{reason}",
        f"{count(durability.failed)} failed",
    )
    return ", ".join(parts)


def _row(index: int, scenario: ScenarioResult) -> WritesRow:
    durability = scenario.durability
    if durability is None:
        return WritesRow(index, scenario.name, None, (), scenario.durability_note or "no ledger was kept", ())
    criterion = scenario.criterion(WRITES_CRITERION)
    return WritesRow(
        index=index,
        name=scenario.name,
        verdict=criterion.verdict if criterion is not None else None,
        cells=_cells(durability),
        note=durability.problem,
        offences=offence_lists(durability),
    )


def _figures(durability: Durability) -> tuple[int, ...]:
    one = durability
    rules = (one.lost, one.phantom, one.duplicated, one.oversold, one.unbalanced)
    return (one.acknowledged, one.unknown, one.refused, one.failed, *(rule.count for rule in rules))


def _cells(durability: Durability) -> tuple[str, ...]:
    """Return the counts; where nothing could be judged, a zero would look like a finding."""
    texts = tuple(map(count, _figures(durability)))
    is_blind = bool(durability.problem) and durability.anomalies == 0
    return (*texts[:4], *("–" for _ in texts[4:])) if is_blind else texts
