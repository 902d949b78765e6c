"""Limits by scenario, as experiments/limits.toml and the command line write them: one place for what is promised.

    [default]                 every scenario
    outage_seconds = 3

    [pod-delete-api]          this one; takes the place of the default
    outage_seconds = 1
    p95_ms = false            no limit here

Availability is a lower bound, everything else an upper one. The probe `within_limits` of an experiment and the
report read the same text by the same functions, so stock ``chaos run`` and ``flametest run`` judge by one figure.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flametest.model.errors import FlametestError
from flametest.model.verdict import Bound, Limit

__all__ = [
    "AT_LEAST_CRITERIA",
    "LIMITS_FILE",
    "LimitBook",
    "LimitsError",
    "Override",
    "bound_of",
    "parse_limits",
    "parse_override",
]

LIMITS_FILE = "limits.toml"
AT_LEAST_CRITERIA = frozenset({"availability"})
_DEFAULT = "default"


class LimitsError(FlametestError):
    """A limit that cannot be understood, or that limits nothing."""


@dataclass(frozen=True, slots=True)
class Override:
    """A limit of the command line; ``scenario`` is empty for all scenarios."""

    scenario: str
    criterion: str
    value: float


def bound_of(criterion: str) -> Bound:
    """Return which side of a criterion's limit is the good one."""
    return Bound.AT_LEAST if criterion in AT_LEAST_CRITERIA else Bound.AT_MOST


@dataclass(frozen=True, slots=True)
class LimitBook:
    """All limits of a file.

    Attributes:
        tables: scenario (or ``default``) to criterion to value; None lifts the default.
        source: the file, as reports name it.
    """

    tables: Mapping[str, Mapping[str, float | None]]
    source: str

    def scenarios(self) -> tuple[str, ...]:
        """Return the scenarios that have a table of their own."""
        return tuple(name for name in self.tables if name != _DEFAULT)

    def of(self, scenario: str, own: Iterable[Limit] = (), overrides: Iterable[Override] = ()) -> tuple[Limit, ...]:
        """Return the limits of one scenario: the defaults, its own table, and the command line's in their place.

        Args:
            scenario: its name.
            own: limits that its experiment file states itself; they take the place of the defaults.
            overrides: those of the command line.

        Raises:
            LimitsError: the experiment and the scenario's table state different limits, or an override names this
                scenario and a criterion that has no limit.
        """
        stated = {one.criterion: one for one in own}
        table = self._table(scenario)
        for criterion in stated.keys() & table.keys():
            limit = table[criterion]
            if limit is None or limit.value != stated[criterion].value:
                raise LimitsError(
                    f"{scenario}: {criterion} has one limit in {self.source} and another in {stated[criterion].source}",
                    f"leave it to {self.source}, which is the one place for limits",
                )
        limits = self._table(_DEFAULT) | stated | table
        return tuple(one for one in _overridden(scenario, limits, overrides).values() if one is not None)

    def _table(self, name: str) -> dict[str, Limit | None]:
        where = f"{self.source} [{name}]"
        return {
            criterion: None if value is None else Limit(criterion, bound_of(criterion), value, where)
            for criterion, value in self.tables.get(name, {}).items()
        }


def parse_limits(text: str, source: str, known: Iterable[str]) -> LimitBook:
    """Return the limits of a TOML text.

    Args:
        text: what the file holds.
        source: its name, for messages and reports.
        known: the criteria that there are.

    Raises:
        LimitsError: it is no TOML, or a table holds something else than numbers, or false, by known criteria.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LimitsError(f"{source} is no TOML: {error}", "fix the file at that place") from error
    criteria = frozenset(known)
    tables: dict[str, dict[str, float | None]] = {}
    for scenario, table in document.items():
        if not isinstance(table, dict):
            raise LimitsError(f"{source}: {scenario} is outside any table", "write it below [default]")
        tables[scenario] = {name: _value(source, scenario, name, table[name], criteria) for name in table}
    return LimitBook(tables, source)


def parse_override(text: str) -> Override:
    """Split ``[SCENARIO:]CRITERION=NUMBER`` into its parts.

    Raises:
        LimitsError: the text has another form.
    """
    name, equals, figure = text.partition("=")
    scenario, colon, criterion = name.rpartition(":")
    try:
        value = float(figure)
    except ValueError:
        value = math.nan
    if not equals or not criterion or math.isnan(value) or (colon and not scenario):
        raise LimitsError(
            f"limit {text!r} is not understood", "write --limit outage_seconds=3 or pod-delete-api:outage_seconds=3"
        )
    return Override(scenario, criterion, value)


def _value(source: str, scenario: str, criterion: str, value: object, known: frozenset[str]) -> float | None:
    where = f"{source} [{scenario}]"
    if criterion not in known:
        raise LimitsError(f"{where}: no criterion is called {criterion!r}", f"use one of: {', '.join(sorted(known))}")
    if value is False:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise LimitsError(f"{where}: {criterion} is {value!r}", "write a number, or false for no limit")
    return float(value)


def _overridden(
    scenario: str, limits: dict[str, Limit | None], overrides: Iterable[Override]
) -> dict[str, Limit | None]:
    found = dict(limits)
    for one in overrides:
        if one.scenario not in ("", scenario):
            continue
        if found.get(one.criterion) is None:
            if not one.scenario:
                continue
            named = ", ".join(sorted(name for name, limit in found.items() if limit is not None))
            raise LimitsError(f"{scenario} has no limit called {one.criterion!r}", f"use one of: {named}")
        source = f"--limit {one.criterion}={one.value:g}"
        found[one.criterion] = Limit(one.criterion, bound_of(one.criterion), one.value, source)
    return found
