"""The system that is searched, in the words of the search: from what `init` finds out about one. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from flametest.search.calls import ACTIONS
from flametest.search.structure import Part, Structure
from flametest.starter import Topology, Workload
from flametest.starter.paths import needed_by
from flametest.starter.roles import RoleName

__all__ = ["part_of_call", "structure_of"]


def structure_of(topology: Topology, paths: Iterable[str]) -> Structure:
    """Return parts, needs and paths of a system; parts go by their workloads' names."""
    workloads = topology.system.workloads
    parts = {
        one.name: Part(one.name, one.replicas, is_cache=topology.role_of(one).name is RoleName.CACHE)
        for one in workloads
        if one.replicas > 0
    }
    needs: dict[str, set[str]] = {name: set() for name in parts}
    for need in topology.dependencies:
        behind = {one.name for one in topology.behind.get(need.service, ())}
        needs.setdefault(need.workload.name, set()).update(behind)
    names = {str(one): one.name for one in workloads}
    on = needed_by(topology, paths)
    return Structure(
        parts,
        {name: frozenset(needed) for name, needed in needs.items()},
        {path: frozenset(names[one] for one in needed if one in names) for path, needed in on.items()},
    )


def part_of_call(topology: Topology, module: str, arguments: Mapping[str, Any]) -> Workload | None:
    """Return the workload that an injecting action hits, by its arguments; None where none can be told.

    An action of Flametest calls its fault by ``name``, one of chaostoolkit-kubernetes what it hits.
    """
    if service := arguments.get("service"):
        return next(iter(topology.behind.get(str(service), ())), None)
    for key in ("workload", "deployment", "app", *(() if module == ACTIONS else ("name",))):
        if found := _named(topology, str(arguments.get(key) or "")):
            return found
    return _selected(topology, str(arguments.get("label_selector") or ""))


def _named(topology: Topology, name: str) -> Workload | None:
    return next((one for one in topology.system.workloads if one.name == name), None)


def _selected(topology: Topology, selector: str) -> Workload | None:
    """Return the workload whose pods carry all labels of a selector of equalities."""
    pairs = [part.partition("=") for part in selector.split(",") if part]
    wanted = {key.strip(): value.lstrip("=").strip() for key, _, value in pairs}
    if not wanted:
        return None
    return next((one for one in topology.system.workloads if wanted.items() <= one.labels.items()), None)
