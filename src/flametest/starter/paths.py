"""Which path users ask for that needs a given part, so that a fault in it is felt. Pure.

What a path leads to is known of Ingress rules, and of the entry as a whole; what lies behind, by who needs whom.
Whether an answer really waits for a part is for the experiment to say.
"""

from collections.abc import Iterable, Iterator

from flametest.starter.system import Workload
from flametest.starter.topology import Topology, plain_path

__all__ = ["telling_path", "user_paths"]


def user_paths(topology: Topology) -> tuple[str, ...]:
    """Return what users can ask for, the most telling first: the entry's paths, then those of other Ingress rules."""
    return tuple(dict.fromkeys((*topology.paths, *(path for path, _ in _routed(topology)))))


def telling_path(topology: Topology, workload: Workload, paths: Iterable[str]) -> str:
    """Return the first of ``paths`` that is seen to need a workload, directly if there is one; empty without any."""
    routed = dict(_routed(topology))
    entry = topology.entry.name if topology.entry is not None else ""
    served = {path: routed.get(path, entry) for path in paths}
    own = topology.services_of(workload)
    direct = next((path for path, service in served.items() if service in own), "")
    return direct or next((path for path, service in served.items() if workload in _needed(topology, service)), "")


def _routed(topology: Topology) -> Iterator[tuple[str, str]]:
    """Yield the path of each rule, and the Service behind it, at the hosts by which users reach the entry."""
    routes = topology.system.routes
    hosts = {route.host for route in routes if topology.entry and route.service == topology.entry.name}
    for route in routes:
        if route.host in hosts:
            yield plain_path(route.path), route.service


def _needed(topology: Topology, service: str) -> list[Workload]:
    """Return the workloads behind a Service, and all that these need, directly or through others."""
    asked: dict[str, list[str]] = {}
    for need in topology.dependencies:
        asked.setdefault(str(need.workload), []).append(need.service)
    found: dict[str, Workload] = {}
    services, seen = [service], {service}
    while services:
        for one in topology.behind.get(services.pop(), ()):
            found[str(one)] = one
            services += [name for name in asked.get(str(one), ()) if name not in seen]
            seen.update(asked.get(str(one), ()))
    return list(found.values())
