"""Limits from what was measured: a run that passed tells how far its limits were from it. Pure.

Limits that nobody has measured are guesses, and wide. After a run that passed, each can be as tight as the worst of its
trials, with room for scatter: twice the range of several trials, since the next ones reach a little further, or half
of the figure where one trial says nothing of scatter. None is ever made looser, and none is added where there was none.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from types import MappingProxyType
from typing import Any, cast

import tomlkit
from tomlkit.items import Table

from flametest.model.limits import LimitBook
from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Bound, Criterion, Limit, Verdict
from flametest.starter.errors import StarterError

__all__ = ["Proposal", "Tightening", "propose_limits", "tightened"]

_RANGES = 2.0  # how many ranges of several trials lie between the worst of them and the limit
_SHARE_OF_SEVERAL, _SHARE_OF_ONE = 0.2, 0.5
_DIGITS = 2
# At least so much room, in the criterion's unit: below it, figures differ by what the machine does at the moment.
_LEAST: Mapping[str, float] = MappingProxyType(
    {
        "outage_seconds": 0.5,
        "recovery_seconds": 1.0,
        "steady_seconds": 3.0,
        "availability": 0.001,
        "p95_ms": 50.0,
        "max_over_mean": 0.1,
    }
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A tighter limit of one scenario.

    Attributes:
        scenario: its name.
        criterion: what is limited, such as ``outage_seconds``.
        before: the limit that it has.
        after: the limit that is proposed.
        worst: the worst figure of all trials.
        scatter: the range of their figures; 0 of a single one.
        trials: how many there were.
    """

    scenario: str
    criterion: str
    before: float
    after: float
    worst: float
    scatter: float
    trials: int


@dataclass(frozen=True, slots=True)
class Tightening:
    """What a run proposes: tighter limits, and why scenarios have none."""

    proposals: tuple[Proposal, ...]
    left_out: tuple[str, ...]


def propose_limits(result: Result, book: LimitBook, own: Mapping[str, frozenset[str]]) -> Tightening:
    """Return the limits that a run proposes.

    Args:
        result: the run.
        book: the limits that there are.
        own: the experiments of the project, each with the criteria that its file limits itself; those are left alone.

    Raises:
        StarterError: the run's measurement failed its own checks, so that none of its figures counts.
    """
    doubts = [check.detail for check in result.checks if check.verdict is not Verdict.PASSED]
    if doubts:
        raise StarterError(
            f"the figures of run {result.run_id} do not count: {doubts[0]}", "run again, on a machine that does less"
        )
    proposals: list[Proposal] = []
    left_out: list[str] = []
    for scenario in result.scenarios:
        if scenario.name not in own:
            left_out.append(f"{scenario.name}: the project has no experiment of this name")
            continue
        if scenario.verdict is not Verdict.PASSED:
            left_out.append(f"{scenario.name}: it did not pass ({scenario.verdict})")
            continue
        limits = [one for one in book.of(scenario.name) if one.criterion not in own[scenario.name]]
        found = list(_of_scenario(scenario, limits))
        proposals += found
        if not found:
            left_out.append(f"{scenario.name}: its limits are as tight as what was measured")
    return Tightening(tuple(proposals), tuple(left_out))


def tightened(text: str, proposals: Iterable[Proposal]) -> str:
    """Return the text of a file of limits with other values; comments and order stay.

    A limit that came from the defaults gets a line in the table of its scenario, which is made where there is none.
    """
    document = tomlkit.parse(text)
    for one in proposals:
        value = int(one.after) if float(one.after).is_integer() else one.after
        if one.scenario not in document:
            document.add(tomlkit.nl())
            document.add(one.scenario, tomlkit.table())
        table = document[one.scenario]
        if isinstance(table, Table) and one.criterion not in table:
            document[one.scenario] = made = _with_line(table, one.criterion, value)
            if len(made.value.body) > len(table.value.body) + 1:  # tomlkit sets the next table off by an empty line
                made.value.body.pop()
        else:
            cast(MutableMapping[str, Any], table)[one.criterion] = value
    return tomlkit.dumps(document)


def _with_line(table: Table, criterion: str, value: float) -> Table:
    """Return a table with one more line, below its last one: comments at its end belong to the next table."""
    body = table.value.body
    last = max((index for index, (key, _) in enumerate(body) if key is not None), default=-1)
    lines: list[tuple[Any, Any]] = [*body[: last + 1], (criterion, value), *body[last + 1 :]]
    made = tomlkit.table()
    made.trivia.comment, made.trivia.comment_ws = table.trivia.comment, table.trivia.comment_ws
    for key, item in lines:
        made.add(item) if key is None else made.add(key, item)
    return made


def _of_scenario(scenario: ScenarioResult, limits: Iterable[Limit]) -> Iterator[Proposal]:
    trials = [trial.criteria for trial in scenario.trials.trials] if scenario.trials else [scenario.criteria]
    for limit in limits:
        figures = [one for criteria in trials for one in criteria if one.name == limit.criterion]
        if len(figures) < len(trials) or any(one.value is None or one.above is not None for one in figures):
            continue
        found = _proposal(scenario.name, limit, figures)
        if found is not None:
            yield found


def _proposal(scenario: str, limit: Limit, figures: list[Criterion]) -> Proposal | None:
    """Return a tighter limit; None when the one that there is leaves no more room than it has to."""
    # What is to be large is looked at as what is missing to 1, so that less is always better.
    is_share = limit.bound is Bound.AT_LEAST
    values = [round(1 - (one.value or 0.0), 9) if is_share else one.value or 0.0 for one in figures]
    worst = max(value + (one.uncertainty or 0.0) for value, one in zip(values, figures, strict=True))
    scatter = max(values) - min(values)
    share = _SHARE_OF_SEVERAL if len(values) > 1 else _SHARE_OF_ONE
    room = max(_RANGES * scatter, share * worst, _LEAST.get(limit.criterion, 0.0))
    after = _rounded_up(worst + room)
    after = round(max(0.0, 1 - after), 6) if is_share else after
    if after == limit.value or not Limit(limit.criterion, limit.bound, limit.value).holds(after):
        return None
    shown = min(one.value or 0.0 for one in figures) if is_share else max(values)
    return Proposal(scenario, limit.criterion, limit.value, after, shown, scatter, len(values))


def _rounded_up(value: float) -> float:
    """Return a number of two digits that is not below ``value``."""
    if value <= 0:
        return 0.0
    exact = Decimal(repr(value))
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - _DIGITS + 1), ROUND_CEILING))
