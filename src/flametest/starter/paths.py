"""Which path users ask for that needs a given part, so that a fault in it is felt. Pure.

What a path leads to is known of Ingress rules, of what an nginx at the entry sends on, and of the entry as a whole;
what lies behind, by who needs whom. Whether an answer really waits for a part is for the experiment to say.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flametest.starter.proxied import proxied_paths
from flametest.starter.system import Workload
from flametest.starter.topology import Topology, plain_path

__all__ = ["needed_by", "served_by", "telling_paths", "user_paths"]


@dataclass(frozen=True, slots=True)
class _Way:
    """What requests for a path and all below it get to: a Service, through workloads that send them on."""

    path: str
    service: str
    through: tuple[Workload, ...] = ()

    def leads(self, path: str) -> bool:
        """Return whether requests for ``path`` go this way, unless a longer one does as well."""
        return path == self.path or path.startswith(self.path.rstrip("/") + "/")


def user_paths(topology: Topology) -> tuple[str, ...]:
    """Return what users may ask for, the most telling first: the entry's paths, then those to other Services."""
    return tuple(dict.fromkeys((*topology.paths, *(way.path for way in _ways(topology)))))


def telling_paths(topology: Topology, paths: Iterable[str]) -> dict[str, str]:
    """Return the first of ``paths`` that is seen to need a workload, directly if there is one, by its kind and name.

    Workloads that no path is seen to need are left out.
    """
    taken, asked = _taken(topology, paths), _asked(topology)
    found: dict[str, str] = {}
    for path, way in taken.items():
        for one in topology.behind.get(way.service, ()):
            found.setdefault(str(one), path)
    for path, way in taken.items():
        for name in _needed(topology, asked, way):
            found.setdefault(name, path)
    return found


def served_by(topology: Topology, path: str) -> tuple[Workload, ...]:
    """Return the workloads that answer requests of users for a path, as far as that is seen."""
    return topology.behind.get(_taken(topology, [path])[path].service, ())


def needed_by(topology: Topology, paths: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the workloads, by their kinds and names, that each of ``paths`` is seen to need.

    What passes requests on may ask others beside the Service at the end of a way, such as one that stands in for it;
    those to which another way leads are not among them.
    """
    asked, ends = _asked(topology), {way.service for way in _ways(topology)}
    found: dict[str, frozenset[str]] = {}
    for path, way in _taken(topology, paths).items():
        beside = {one for workload in way.through for one in asked.get(str(workload), ())} - ends
        ways = [way, *(_Way(path, service) for service in sorted(beside))]
        found[path] = frozenset(name for one in ways for name in _needed(topology, asked, one))
    return found


def _taken(topology: Topology, paths: Iterable[str]) -> dict[str, _Way]:
    """Return which way each path goes."""
    ways = sorted(_ways(topology), key=lambda way: len(way.path), reverse=True)
    entry = _Way("/", topology.entry.name if topology.entry is not None else "")
    return {path: next((way for way in ways if way.leads(path)), entry) for path in paths}


def _asked(topology: Topology) -> dict[str, list[str]]:
    """Return the Services that each workload names, by its kind and name."""
    asked: dict[str, list[str]] = {}
    for need in topology.dependencies:
        asked.setdefault(str(need.workload), []).append(need.service)
    return asked


def _ways(topology: Topology) -> Iterator[_Way]:
    """Yield the ways at the hosts by which users reach the entry, those through the entry first."""
    entry, routes = topology.entry, topology.system.routes
    for path, service in proxied_paths(topology.system, topology.entry_workloads):
        yield _Way(path, service, topology.entry_workloads)
    hosts = {route.host for route in routes if entry is not None and route.service == entry.name}
    for route in routes:
        if route.host in hosts:
            yield _Way(plain_path(route.path), route.service)


def _needed(topology: Topology, asked: Mapping[str, list[str]], way: _Way) -> Iterator[str]:
    """Yield the workloads on a way, and all that those at its end need, directly or through others."""
    yield from map(str, way.through)
    services, seen = [way.service], {way.service}
    while services:
        for name in map(str, topology.behind.get(services.pop(), ())):
            yield name
            more = [one for one in asked.get(name, ()) if one not in seen]
            services += more
            seen.update(more)
