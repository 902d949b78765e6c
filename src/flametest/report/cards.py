"""The four cards under the verdict: the figures that a reader takes away.

A run has several scenarios; a card shows the worst of them and says which one it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Bound, Criterion, Verdict
from flametest.report.figures import Shown, show
from flametest.report.format import NOT_MEASURED, count
from flametest.report.writes import WRITES_CRITERION, called

__all__ = ["Card", "cards"]

_SEVERITY = {Verdict.PASSED: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAILED: 2}


@dataclass(frozen=True, slots=True)
class Card:
    """One card; every text but ``title`` and ``value`` may be empty.

    Attributes:
        verdict: the judgement of its criterion; None where nothing was judged.
        limit: the limit in words.
        change: the change from the last run.
        is_figure: whether ``value`` is a figure, which is set larger than words.
        note: what else a reader should know, such as the resolution.
        scenario: index of the scenario it comes from; None without one.
        scenario_name: the name of that scenario.
    """

    title: str
    value: str
    is_figure: bool
    verdict: Verdict | None
    limit: str = ""
    change: str = ""
    note: str = ""
    scenario: int | None = None
    scenario_name: str = ""


def cards(result: Result) -> tuple[Card, ...]:
    """Return the cards: outage, time to steady state, failed of valid requests, writes lost or duplicated."""
    return (
        _card(result, "outage_seconds", "User-visible outage", _outage_note),
        _card(result, "steady_seconds", "Time to steady state", _steady_note),
        _failed_card(result),
        _writes_card(result),
    )


def _card(result: Result, name: str, title: str, note: Callable[[ScenarioResult], str]) -> Card:
    found = _worst(result, name)
    if found is None:
        return Card(title, NOT_MEASURED, False, None, note="no scenario of this run measured it")
    index, shown = found
    scenario = result.scenarios[index]
    return Card(
        title=title,
        value=shown.value[0].upper() + shown.value[1:],
        is_figure=shown.is_figure,
        verdict=shown.criterion.verdict if shown.criterion.limit else None,
        limit=f"limit {shown.limit}" if shown.limit else "",
        change=shown.change,
        note=note(scenario),
        scenario=index,
        scenario_name=scenario.name,
    )


def _failed_card(result: Result) -> Card:
    title = "Failed of valid requests"
    found = _worst(result, "availability")
    scenario = result.scenarios[found[0]] if found else None
    if found is None or scenario is None or scenario.availability is None:
        return Card(title, NOT_MEASURED, False, None, note="no scenario of this run measured it")
    index, shown = found
    availability = scenario.availability
    return Card(
        title=title,
        value=f"{count(availability.bad)} of {count(availability.valid)}",
        is_figure=True,
        verdict=shown.criterion.verdict if shown.criterion.limit else None,
        limit=f"availability {shown.value}, limit {shown.limit}" if shown.limit else f"availability {shown.value}",
        change=shown.change,
        scenario=index,
        scenario_name=scenario.name,
    )


def _writes_card(result: Result) -> Card:
    """Return the card of all scenarios' writes together: what one of them lost stays lost."""
    title = "Writes lost or duplicated"
    kept = [one.durability for one in result.scenarios if one.durability is not None]
    found = _worst(result, WRITES_CRITERION)
    if found is None or not kept:
        reasons = {one.durability_note for one in result.scenarios if one.durability_note}
        reason = f": {reasons.pop()}" if len(reasons) == 1 else ""
        return Card(title, NOT_MEASURED, False, None, note=f"this run kept no ledger of its writes{reason}")
    index, shown = found
    verdict = shown.criterion.verdict
    is_measured = shown.criterion.value is not None
    acknowledged, anomalies = sum(one.acknowledged for one in kept), sum(one.anomalies for one in kept)
    return Card(
        title=title,
        value=f"{count(anomalies)} of {count(acknowledged)}" if is_measured else NOT_MEASURED,
        is_figure=is_measured,
        verdict=verdict,
        limit=f"limit {shown.limit}",
        note=f"acknowledged {called(kept)}, none lost" if verdict is Verdict.PASSED else shown.criterion.reason,
        scenario=None if verdict is Verdict.PASSED else index,
        scenario_name=result.scenarios[index].name,
        change=shown.change,
    )


def _worst(result: Result, name: str) -> tuple[int, Shown] | None:
    """Return the index of the scenario that did worst by the criterion ``name``, and the criterion's texts."""
    found = [
        (index, criterion)
        for index, scenario in enumerate(result.scenarios)
        if (criterion := scenario.criterion(name)) is not None
    ]
    if not found:
        return None
    index, criterion = max(found, key=lambda pair: (*_badness(pair[1]), -pair[0]))
    return index, show(result, result.scenarios[index], criterion)


def _badness(criterion: Criterion) -> tuple[int, bool, float]:
    is_floor = criterion.limit is not None and criterion.limit.bound is Bound.AT_LEAST
    value = criterion.value if criterion.value is not None else 0.0
    return _SEVERITY[criterion.verdict], criterion.value is None, -value if is_floor else value


def _outage_note(scenario: ScenarioResult) -> str:
    outage = scenario.outage
    if outage is None:
        return ""
    if not outage.recovered:
        return "not over when the watch ended: it is longer than this"
    return f"shorter ones than {outage.resolution_seconds * 1000:.0f}\N{NO-BREAK SPACE}ms can be missed"


def _steady_note(scenario: ScenarioResult) -> str:
    steady = scenario.steady
    return steady.reason if steady is not None and steady.seconds is None else ""
