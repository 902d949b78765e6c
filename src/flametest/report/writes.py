"""The writes of a run as its readers see them: counts by scenario, and what broke a rule, by its ids.

All renderers share this, so that the page, the pull request's summary and JUnit name the same writes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flametest.model.measures import Durability
from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Verdict
from flametest.report.format import count

__all__ = [
    "WRITES_CRITERION",
    "OffenceList",
    "WritesRow",
    "WritesView",
    "called",
    "offence_lists",
    "tally",
    "writes_view",
]

WRITES_CRITERION = "write_anomalies"
_OUTCOMES = ("Acknowledged", "Unknown", "Refused", "Failed")
_RULES = ("lost", "phantom", "duplicated", "stale")  # the general ones; a system's own laws follow


@dataclass(frozen=True, slots=True)
class OffenceList:
    """What broke one rule in one scenario: a title such as "2 lost", the first ids, and how many are not shown."""

    title: str
    ids: tuple[str, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class WritesRow:
    """One scenario; ``cells`` stand under the columns, and are empty when ``note`` says why nothing was judged.

    ``remarks`` are sentences: for what was refused, and the recovery point.
    """

    index: int
    name: str
    verdict: Verdict | None
    cells: tuple[str, ...]
    note: str
    offences: tuple[OffenceList, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WritesView:
    """The section "Writes"; ``totals`` is empty when it would only repeat a single row; ``name`` names the writes."""

    columns: tuple[str, ...]
    rows: tuple[WritesRow, ...]
    totals: tuple[str, ...]
    name: str = "writes"

    @property
    def has_table(self) -> bool:
        """Return whether any scenario's writes were counted."""
        return any(row.cells for row in self.rows)


def writes_view(result: Result) -> WritesView:
    """Return the section for a run; without a scenario it has no rows."""
    counted = [scenario.durability for scenario in result.scenarios if scenario.durability is not None]
    rules = tuple(dict.fromkeys([*_RULES, *(law.name for one in counted for law in one.laws)]))
    rows = tuple(_row(index, scenario, rules) for index, scenario in enumerate(result.scenarios))
    sums = [sum(column) for column in zip(*(_figures(one, rules) for one in counted), strict=True)]
    columns = (*_OUTCOMES, *(rule.capitalize() for rule in rules))
    return WritesView(columns, rows, tuple(map(count, sums)) if len(counted) > 1 else (), called(counted))


def called(counted: Sequence[Durability]) -> str:
    """Return what the writes of several ledgers are called together, such as "orders"."""
    names = {one.name for one in counted}
    return names.pop() if len(names) == 1 else "writes"


def offence_lists(durability: Durability) -> tuple[OffenceList, ...]:
    """Return what broke a rule, the gravest first; rules that were kept are left out."""
    return tuple(
        OffenceList(
            f"{count(rule.offences.count)} {rule.name}",
            rule.offences.first,
            rule.offences.count - len(rule.offences.first),
        )
        for rule in durability.rules()
        if rule.offences.count
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


def _row(index: int, scenario: ScenarioResult, rules: Sequence[str]) -> WritesRow:
    durability = scenario.durability
    if durability is None:
        return WritesRow(index, scenario.name, None, (), scenario.durability_note or "no ledger was kept", ())
    criterion = scenario.criterion(WRITES_CRITERION)
    return WritesRow(
        index=index,
        name=scenario.name,
        verdict=criterion.verdict if criterion is not None else None,
        cells=_cells(durability, rules),
        note=durability.problem,
        offences=offence_lists(durability),
        remarks=tuple(_remarks(durability)),
    )


def _remarks(durability: Durability) -> Iterator[str]:
    if durability.refused_for:
        yield f"{count(durability.refused)} refused for a stated reason, most often {durability.refused_for}"
    point = durability.recovery_point
    if point is not None:
        lost = f"recovery point: {count(point.writes)} acknowledged {durability.name} are lost"
        earliest = (
            f"the earliest of them acknowledged {point.seconds:.2f} s before the fault; everything older was kept"
        )
        yield f"{lost}, {earliest if point.seconds else 'all of them acknowledged after the fault'}"


def _figures(durability: Durability, rules: Sequence[str]) -> tuple[int, ...]:
    one = durability
    broken = {rule.name: rule.offences.count for rule in one.rules()}
    return (one.acknowledged, one.unknown, one.refused, one.failed, *(broken.get(rule, 0) for rule in rules))


def _cells(durability: Durability, rules: Sequence[str]) -> tuple[str, ...]:
    """Return the counts; where nothing could be judged, a zero would look like a finding."""
    texts = tuple(map(count, _figures(durability, rules)))
    is_blind = bool(durability.problem) and durability.anomalies == 0
    seen = len(_OUTCOMES)
    return (*texts[:seen], *("–" for _ in texts[seen:])) if is_blind else texts
