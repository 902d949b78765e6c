"""Who serves whom, who needs whom, and where users enter. Pure.

What serves follows from labels and is certain. What needs what is read from where a Service's name stands as a host:
in the environment, the command, the arguments and the ConfigMaps of a workload. An address that an application keeps
elsewhere, such as in a Secret, is not seen.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flametest.starter.errors import StarterError
from flametest.starter.roles import Role, make_roles
from flametest.starter.system import Service, System, Workload

__all__ = ["Dependency", "Topology", "make_topology"]

_ENTRY_KINDS = ("LoadBalancer", "NodePort")


@dataclass(frozen=True, slots=True)
class Dependency:
    """A workload that names a Service as a host, and where it does."""

    workload: Workload
    service: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Topology:
    """How the parts of a system hang together.

    Attributes:
        system: the parts.
        behind: the workloads that serve for each Service, by its name.
        dependencies: which workload names which Service.
        entry: the Service where users enter; None without any Service that has pods.
        entry_reason: why it is that one.
        paths: what users can ask the entry for, the most telling first; never empty.
        roles: what each workload is to the system, by its kind and name; `role_of` tells it.
    """

    system: System
    behind: Mapping[str, tuple[Workload, ...]]
    dependencies: tuple[Dependency, ...]
    entry: Service | None
    entry_reason: str
    paths: tuple[str, ...]
    roles: Mapping[str, Role]

    def role_of(self, workload: Workload) -> Role:
        """Return what a workload is to the system."""
        return self.roles[str(workload)]

    def services_of(self, workload: Workload) -> tuple[str, ...]:
        """Return the names of the Services that a workload's pods serve for."""
        return tuple(name for name, workloads in self.behind.items() if workload in workloads)

    def serves(self, workload: Workload) -> bool:
        """Return whether any Service sends requests to a workload's pods."""
        return bool(self.services_of(workload))

    def users_of(self, service: str) -> tuple[Dependency, ...]:
        """Return who names a Service, a workload once."""
        found = {one.workload.name: one for one in reversed(self.dependencies) if one.service == service}
        return tuple(found[name] for name in sorted(found))

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
    behind = {
        service.name: tuple(one for one in system.workloads if service.selector.matches(one.labels))
        for service in system.services
    }
    dependencies = tuple(_dependencies(system, behind))
    found, reason = _named(system, entry) if entry else _found(system, behind, dependencies)
    paths = _paths(system, found, behind.get(found.name, ()) if found else ())
    roles = make_roles(system, behind, found)
    return Topology(system, behind, dependencies, found, reason, paths, roles)


def _dependencies(system: System, behind: Mapping[str, tuple[Workload, ...]]) -> Iterator[Dependency]:
    for service in system.services:
        host = _host(service.name, system.namespace)
        for workload in system.workloads:
            if workload in behind[service.name]:
                continue
            evidence = next((where for where, text in _texts(system, workload) if host.search(text)), "")
            if evidence:
                yield Dependency(workload, service.name, evidence)


def _texts(system: System, workload: Workload) -> Iterator[tuple[str, str]]:
    for container in workload.containers:
        yield from container.texts.items()
    for name in workload.config_maps:
        if name in system.config_maps:
            yield f"ConfigMap {name}", system.config_maps[name]


def _host(service: str, namespace: str) -> re.Pattern[str]:
    """Return what finds a Service's name where a host stands: alone, or with its namespace, a port, or a path."""
    name = rf"{re.escape(service)}(?:\.{re.escape(namespace)}(?:\.svc(?:\.[a-z0-9.-]+)?)?)?"
    return re.compile(rf"(?:^|(?<=[/@\s,;=\"'\[])){name}(?=$|[:/\s,;\"'\]?])", re.MULTILINE)


def _named(system: System, entry: str) -> tuple[Service, str]:
    for service in system.services:
        if service.name == entry:
            return service, "named by --entry"
    there = ", ".join(one.name for one in system.services) or "there is none"
    raise StarterError(f"namespace {system.namespace!r} has no Service {entry!r}", f"use one of: {there}")


def _found(
    system: System, behind: Mapping[str, tuple[Workload, ...]], dependencies: Iterable[Dependency]
) -> tuple[Service | None, str]:
    """Return the likeliest entry: behind an Ingress, else open to the outside, else one that no other part names."""
    candidates = [one for one in system.services if behind[one.name]]
    routed = {route.service for route in system.routes}
    needed = {one.service for one in dependencies}
    for service in candidates:
        if service.name in routed:
            return service, "an Ingress leads to it"
    for kind in _ENTRY_KINDS:
        for service in candidates:
            if service.kind == kind:
                return service, f"its type is {kind}"
    # Databases are seldom asked by users, even where nobody is seen to name them.
    candidates.sort(key=lambda one: all(workload.kind == "StatefulSet" for workload in behind[one.name]))
    for service in candidates:
        if service.name not in needed:
            return service, "no other part names it"
    return (candidates[0], "it has pods, and nothing tells a better one") if candidates else (None, "")


def _paths(system: System, entry: Service | None, workloads: Iterable[Workload]) -> tuple[str, ...]:
    """Return the paths of the entry's Ingress rules, else those its readiness probes ask for, else the root."""
    if entry is None:
        return ("/",)
    routed = [_plain(route.path) for route in system.routes if route.service == entry.name]
    return tuple(dict.fromkeys(routed or _probed(entry, workloads))) or ("/",)


def _plain(path: str) -> str:
    """Return an Ingress path without what a controller may take as a regular expression."""
    found = re.match(r"[\w/.~-]*", path)
    return found[0].rstrip(".") if found and found[0].startswith("/") else "/"


def _probed(entry: Service, workloads: Iterable[Workload]) -> Iterator[str]:
    """Yield the readiness paths on ports that the Service leads to; a port for probes alone is not the users'."""
    for workload in workloads:
        for container in workload.containers:
            numbers = {port.name: str(port.number) for port in container.ports if port.name}
            open_ports = {numbers.get(target, target) for target in entry.ports.values()}
            probe = container.readiness
            if probe is not None and probe.path and numbers.get(probe.port, probe.port) in open_ports:
                yield probe.path
