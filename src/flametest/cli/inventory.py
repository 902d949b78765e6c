"""What ``flametest init`` prints of a system: its parts, roles, needs, entry and weaknesses, as short as they are many.

What is told of more than a few parts in the same words is told once.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flametest.starter import Certainty, Dependency, Severity, Topology, Weakness, Workload

__all__ = ["print_inventory", "some"]

PLAIN_WIDTH = 110  # where there is no terminal whose width could be asked
_NAMED_MAX = 3  # of many parts, those that are called by their names
_ROWS_MAX = 30
_LINES_MAX = 20
_NOTES_MAX = 8

Item = TypeVar("Item")


def print_inventory(topology: Topology, weaknesses: tuple[Weakness, ...], url: str, paths: Sequence[str]) -> None:
    """Print what a system consists of and where it is weak."""
    system = topology.system
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    console.print(f"[bold]{escape(system.origin)}[/bold]")
    for note in system.notes[:_NOTES_MAX]:
        console.print(escape(f"note: {note}"))
    if len(system.notes) > _NOTES_MAX:
        console.print(f"and {len(system.notes) - _NOTES_MAX} more notes; --format json lists all")
    console.print(_parts_table(topology))
    _print_lines(console, _role_lines(topology))
    _print_lines(console, _entry_lines(topology, url, paths))
    _print_lines(console, _need_lines(topology))
    if system.unread:
        console.print(f"not read, since the cluster forbids it: {', '.join(system.unread)}")
    _print_weaknesses(console, weaknesses)


def some(names: Sequence[str], most: int = _NAMED_MAX) -> str:
    """Return the first of some names, and how many there are beyond: ``a, b, c and 61 more``."""
    more = len(names) - most
    return ", ".join(names) if more <= 1 else f"{', '.join(names[:most])} and {more} more"


def _grouped(items: Iterable[Item], key: Callable[[Item], object]) -> list[list[Item]]:
    """Return the items in groups of the same key, in the order of their first ones."""
    found: dict[object, list[Item]] = {}
    for one in items:
        found.setdefault(key(one), []).append(one)
    return list(found.values())


def _print_lines(console: Console, lines: Sequence[str]) -> None:
    for line in lines[:_LINES_MAX]:
        console.print(escape(line))
    if len(lines) > _LINES_MAX:
        console.print(f"and {len(lines) - _LINES_MAX} more lines like these; --format json lists all")


def _parts_table(topology: Topology) -> Table:
    table = _table(columns=("Kind", "Name", "Role", "Pods", "Service", "Readiness", "Liveness", "Budget"))
    rows = [_row(topology, one) for one in topology.system.workloads]
    groups = (
        [[row] for row in rows]
        if len(rows) <= _ROWS_MAX
        else _grouped(rows, lambda row: (row[0], *row[2:4], *row[5:7]))
    )
    for group in groups:
        kind, _, role, pods, _, readiness, liveness, _ = group[0]
        names, services, budgets = ([row[column] for row in group] for column in (1, 4, 7))
        told = some(names) if len(group) == 1 else f"{len(group)}: {some(names)}"
        table.add_row(kind, told, role, pods, some(services), readiness, liveness, some(budgets))
    return table


def _row(topology: Topology, one: Workload) -> tuple[str, ...]:
    budgets = [budget.name for budget in topology.system.budgets if budget.covers(one)]
    return (
        one.kind,
        one.name,
        topology.role_of(one).name.value,
        str(one.replicas),
        ", ".join(topology.services_of(one)) or "-",
        _told(any(container.readiness for container in one.containers)),
        _told(any(container.liveness for container in one.containers)),
        ", ".join(budgets) or "-",
    )


def _role_lines(topology: Topology) -> list[str]:
    """Return why each workload has its role; what differs by names only is told once."""

    def reason(one: Workload) -> object:
        role = topology.role_of(one)
        return role.name, role.certainty, role.reason.replace(one.name, "")

    lines = []
    for group in _grouped(topology.system.workloads, reason):
        role, such = topology.role_of(group[0]), "such as: " if len(group) > 1 else ""
        lines.append(f"role {role.name}: {some([one.name for one in group])} ({such}{role.reason}; {role.certainty})")
    return lines


def _entry_lines(topology: Topology, url: str, paths: Sequence[str]) -> list[str]:
    entrance = topology.entrance
    if entrance.service is None:
        return [f"entry: not known, since {entrance.reason}; name its address with --url"]
    guess = "a guess: " if entrance.certainty is Certainty.GUESSED else ""
    where = f"{url} {' '.join(paths)}" if url else "address not known: name it with --url"
    lines = [f"entry: {entrance.service} ({guess}{entrance.reason}), {where}"]
    if entrance.alternatives:
        lines.append(f"alternatives: {some(entrance.alternatives)}; choose one with --entry")
    return lines


def _need_lines(topology: Topology) -> list[str]:
    found = topology.dependencies
    if len(found) <= _LINES_MAX:
        return [f"needs: {one.workload} asks Service {one.service} ({_where(one)})" for one in found]
    return [
        f"needs: {some([one.workload.name for one in group])} ask{'s' if len(group) == 1 else ''} "
        f"Service {group[0].service} ({'such as ' if len(group) > 1 else ''}{_where(group[0])})"
        for group in sorted(_grouped(found, lambda one: one.service), key=len, reverse=True)
    ]


def _where(one: Dependency) -> str:
    certainty = "" if one.certainty is Certainty.SEEN else f"; {one.certainty}"
    return f"{one.evidence.within}{certainty}"


def _print_weaknesses(console: Console, weaknesses: tuple[Weakness, ...]) -> None:
    if not weaknesses:
        console.print("no weakness that can be seen without an experiment")
        return
    counts = Counter(one.severity for one in weaknesses)
    console.print(f"weaknesses: {', '.join(f'{counts[one]} {one}' for one in Severity if counts[one])}", style="bold")
    table = _table(show_header=False, columns=("Severity", "Weakness"))
    for group in _grouped(weaknesses, lambda one: (one.severity, one.rule, one.advice, one.part.partition(" ")[0])):
        for told in [group] if len(group) > _NAMED_MAX else [[one] for one in group]:
            table.add_row(told[0].severity, _weakness_text(told))
    console.print(table)


def _weakness_text(group: list[Weakness]) -> str:
    one, kind = group[0], group[0].part.partition(" ")[0]
    certainty = "" if one.certainty is Certainty.SEEN else f" ({one.certainty})"
    told = f"{one.evidence} ({one.at.place})" if one.at.place else one.evidence
    if len(group) == 1:
        part, such = one.part, ""
    else:
        names = some([weakness.part.partition(" ")[2] for weakness in group])
        part, such = f"{len(group)} {kind}s ({names})", "such as "
    return f"[bold]{escape(part)}[/bold] {one.rule}{certainty}: {such}{escape(told)}\n-> {escape(one.advice)}"


def _table(*, columns: tuple[str, ...], show_header: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=show_header)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _told(present: bool) -> str:
    return "yes" if present else "NO"
