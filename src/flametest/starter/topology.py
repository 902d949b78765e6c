"""Who serves whom, who needs whom, and where users enter. Pure.

What serves follows from labels and is certain. What needs what is read from where a Service's name stands as a host; an
address that an application keeps elsewhere, such as in its code or in a Secret of a cluster, is not seen.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flametest.starter.entry import Entry, find_entry
from flametest.starter.needs import Dependency, Needs, find_needs
from flametest.starter.roles import Role, make_roles
from flametest.starter.system import Service, System, Workload

__all__ = ["Topology", "make_topology", "plain_path"]


@dataclass(frozen=True, slots=True)
class Topology:
    """How the parts of a system hang together.

    Attributes:
        system: the parts.
        services: its Services, by name.
        behind: the Deployments, StatefulSets and DaemonSets that serve for each Service, by its name.
        backed: the names of the Services that have pods of any kind.
        serving: the names of the Services that lead to a workload's pods, by its kind and name.
        needs: what workloads name as hosts.
        users: which workloads name a Service, by its name, a workload once.
        entrance: where users enter, why, and how certain that is.
        paths: what users can ask the entry for, the most telling first; never empty.
        roles: what each workload is to the system, by its kind and name; `role_of` tells it.
    """

    system: System
    services: Mapping[str, Service]
    behind: Mapping[str, tuple[Workload, ...]]
    backed: frozenset[str]
    serving: Mapping[str, tuple[str, ...]]
    needs: Needs
    users: Mapping[str, tuple[Dependency, ...]]
    entrance: Entry
    paths: tuple[str, ...]
    roles: Mapping[str, Role]

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """Return which workload names which Service."""
        return self.needs.dependencies

    @property
    def entry(self) -> Service | None:
        """Return the Service where users enter; None where none can be it."""
        return self.entrance.service

    def service(self, name: str) -> Service:
        """Return the Service of a name."""
        return self.services[name]

    def role_of(self, workload: Workload) -> Role:
        """Return what a workload is to the system."""
        return self.roles[str(workload)]

    def services_of(self, workload: Workload) -> tuple[str, ...]:
        """Return the names of the Services that a workload's pods serve for."""
        return self.serving.get(str(workload), ())

    def serves(self, workload: Workload) -> bool:
        """Return whether any Service sends requests to a workload's pods."""
        return bool(self.services_of(workload))

    def users_of(self, service: str) -> tuple[Dependency, ...]:
        """Return who names a Service, a workload once."""
        return self.users.get(service, ())

    @property
    def entry_workloads(self) -> tuple[Workload, ...]:
        """Return the workloads behind the entry."""
        return self.behind.get(self.entry.name, ()) if self.entry is not None else ()


def make_topology(system: System, entry: str = "") -> Topology:
    """Return how a system hangs together.

    Args:
        system: its parts.
        entry: the Service where users enter; empty to have it found.

    Raises:
        StarterError: no Service has the name ``entry``.
    """
    pods = _Pods((*system.workloads, *system.others))
    every = {service.name: pods.behind(service) for service in system.services}
    own = {str(one) for one in system.workloads}
    behind = {name: tuple(one for one in workloads if str(one) in own) for name, workloads in every.items()}
    needs = find_needs(system, every)
    entrance = find_entry(system, every, needs.dependencies, entry)
    found = entrance.service
    return Topology(
        system=system,
        services={one.name: one for one in system.services},
        behind=behind,
        backed=frozenset(one.name for one in system.services if every[one.name] or _has_running_pods(system, one)),
        serving=_serving(every),
        needs=needs,
        users=_users(needs.dependencies),
        entrance=entrance,
        paths=_paths(system, found, every[found.name] if found else ()),
        roles=make_roles(system, behind, found),
    )


class _Pods:
    """The pods of workloads by their labels, so that a selector is asked of few of them."""

    def __init__(self, workloads: Iterable[Workload]) -> None:
        self._by_label: dict[tuple[str, str], list[Workload]] = {}
        for workload in workloads:
            for label in workload.labels.items():
                self._by_label.setdefault(label, []).append(workload)

    def behind(self, service: Service) -> tuple[Workload, ...]:
        """Return the workloads whose pods a Service selects."""
        wanted = [(one.key, one.values[0]) for one in service.selector.requirements]
        if not wanted or service.kind == "ExternalName":
            return ()
        fewest = min((self._by_label.get(label, []) for label in wanted), key=len)
        return tuple(one for one in fewest if service.selector.matches(one.labels))


def _has_running_pods(system: System, service: Service) -> bool:
    return any(map(service.selector.matches, system.other_pods))


def _serving(behind: Mapping[str, tuple[Workload, ...]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for service, workloads in behind.items():
        for one in workloads:
            found.setdefault(str(one), []).append(service)
    return {workload: tuple(services) for workload, services in found.items()}


def _users(dependencies: Iterable[Dependency]) -> dict[str, tuple[Dependency, ...]]:
    found: dict[str, dict[str, Dependency]] = {}
    for one in dependencies:
        found.setdefault(one.service, {}).setdefault(one.workload.name, one)
    return {service: tuple(users[name] for name in sorted(users)) for service, users in found.items()}


def _paths(system: System, entry: Service | None, workloads: Iterable[Workload]) -> tuple[str, ...]:
    """Return the paths of the entry's Ingress rules, else those its readiness probes ask for, else the root."""
    if entry is None:
        return ("/",)
    routed = [plain_path(route.path) for route in system.routes if route.service == entry.name]
    return tuple(dict.fromkeys(routed or _probed(entry, workloads))) or ("/",)


def plain_path(path: str) -> str:
    """Return an Ingress path without what a controller may take as a regular expression."""
    found = re.match(r"[\w/.~-]*", path)
    return found[0].rstrip(".") if found and found[0].startswith("/") else "/"


def _probed(entry: Service, workloads: Iterable[Workload]) -> Iterator[str]:
    """Yield the readiness paths on ports that the Service leads to; a port for probes alone is not the users'."""
    for workload in workloads:
        for container in workload.containers:
            numbers = {port.name: str(port.number) for port in container.ports if port.name}
            open_ports = {numbers.get(one.target, one.target) for one in entry.ports}
            probe = container.readiness
            if probe is not None and probe.path and numbers.get(probe.port, probe.port) in open_ports:
                yield probe.path
