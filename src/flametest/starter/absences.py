"""Weaknesses of what is named and not there: hosts, ConfigMaps, Secrets, claims, service accounts, Services. Pure.

They are the commonest faults of manifests that somebody else has written. A folder may not hold everything: what is
made by hand, or by an add-on, is not among its manifests, so these are inferred and say where was looked.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flametest.starter.evidence import Certainty
from flametest.starter.system import Reference, Route, System, Workload
from flametest.starter.topology import Topology
from flametest.starter.weakness import Rule, Severity

__all__ = ["ABSENCES"]

_MADE_BY_KUBERNETES = ("kube-root-ca.crt", "default")
_NEVER_STARTS = "pods stay in CreateContainerConfigError or ContainerCreating"


def absent_host(topology: Topology, one: Workload) -> str:
    """Every request to it fails, as no name server knows it."""
    told = [
        f"{absent.evidence.field} names host {absent.host}, but there is no such Service in {_there(topology)}"
        + (f"; did you mean {absent.similar}?" if absent.similar else "")
        for absent in topology.needs.absent.get(str(one), ())
    ]
    return "; ".join(told)


def port_not_served(topology: Topology, one: Workload) -> str:
    """Every connection is refused."""
    return "; ".join(
        f"{found.evidence.field} asks Service {found.service} at port {found.port}, which it does not have"
        for found in topology.needs.of(one)
        if not _has_port(topology, found.service, found.port)
    )


def route_without_service(topology: Topology, route: Route) -> str:
    """Every request for this path fails."""
    names = {one.name for one in topology.system.services}
    if route.service in names or route.service in topology.system.made:
        return ""
    where = f"{route.host}{route.path}"
    return f"it sends {where} to Service {route.service}, which is not in {_there(topology)}"


def absent_config_map(topology: Topology, one: Workload) -> str:
    """Its pods never start."""
    return _absent(topology, one, "ConfigMap", topology.system.config_maps, _NEVER_STARTS)


def absent_secret(topology: Topology, one: Workload) -> str:
    """Its pods never start; of a cluster's Secrets, which are never read, nothing is said."""
    secrets = topology.system.secrets
    return "" if secrets is None else _absent(topology, one, "Secret", secrets, _NEVER_STARTS)


def absent_key(topology: Topology, one: Workload) -> str:
    """Its pods never start."""
    system = topology.system
    maps: dict[str, Mapping[str, Mapping[str, str]]] = {"ConfigMap": system.config_maps, "Secret": system.secrets or {}}
    return "; ".join(
        f"{found.field} wants key {key} of {found.kind} {found.name}, which has no such key"
        for found in one.references
        if not found.is_optional and found.name in maps.get(found.kind, {})
        for key in found.keys
        if key not in maps[found.kind][found.name]
    )


def absent_claim(topology: Topology, one: Workload) -> str:
    """Its pods stay Pending."""
    return _absent(topology, one, "PersistentVolumeClaim", topology.system.claims, "pods stay Pending")


def absent_account(topology: Topology, one: Workload) -> str:
    """No pod of it is admitted."""
    accounts = topology.system.accounts
    return "" if accounts is None else _absent(topology, one, "ServiceAccount", accounts, "no pod is admitted")


def _absent(topology: Topology, one: Workload, kind: str, there: Iterable[str], harm: str) -> str:
    """Return which objects of a kind a workload's pods need that are not there; none where that was not to be seen."""
    if kind in topology.system.unread:
        return ""
    missing: dict[str, Reference] = {}
    for found in one.references:
        if found.kind == kind and not found.is_optional and found.name not in there:
            missing.setdefault(found.name, found)
    told = [
        f"{found.field} names {kind} {name}"
        for name, found in missing.items()
        if name not in _MADE_BY_KUBERNETES and not _is_made(topology.system, name)
    ]
    which = "which is" if len(told) == 1 else "which are"
    return f"{' and '.join(told)}, {which} not in {_there(topology)}: {harm}" if told else ""


def _is_made(system: System, name: str) -> bool:
    """Return whether an add-on may make an object with this name, for an object of its own that it is called after."""
    return any(name.startswith(one) for one in system.made)


def _there(topology: Topology) -> str:
    system = topology.system
    return f"{'the manifests of ' if system.places else ''}namespace {system.namespace}"


def _has_port(topology: Topology, name: str, port: int) -> bool:
    service = topology.service(name)
    # Behind a headless Service pods are asked at their own ports.
    if not port or not service.ports or service.is_headless or service.kind == "ExternalName":
        return True
    return port in {one.number for one in service.ports}


def _all(topology: Topology) -> Iterable[Workload]:
    """Return what is to have pods, of any kind; what is scaled to none has no weakness yet."""
    return [one for one in (*topology.system.workloads, *topology.system.others) if one.replicas]


def _routes(topology: Topology) -> Iterable[Route]:
    return {(one.part, one.host, one.path, one.service): one for one in topology.system.routes}.values()


def _rule(name: str, evidence: Callable[[Topology, Workload], str], advice: str) -> Rule[Any]:
    return Rule(name, Severity.HIGH, _all, evidence, advice, Certainty.INFERRED)


ABSENCES: tuple[Rule[Any], ...] = (
    _rule("absent-host", absent_host, "fix the name, or add the Service"),
    _rule("absent-port", port_not_served, "fix the port, or add it to the Service"),
    _rule("absent-config-map", absent_config_map, "add the ConfigMap, or make the reference optional"),
    _rule("absent-secret", absent_secret, "add the Secret, or say in your instructions how it is made"),
    _rule("absent-key", absent_key, "add the key, or fix its name"),
    _rule("absent-claim", absent_claim, "add the PersistentVolumeClaim"),
    _rule("absent-service-account", absent_account, "add the ServiceAccount"),
    Rule(
        "route-without-service",
        Severity.HIGH,
        _routes,
        route_without_service,
        "fix the backend's name, or add the Service",
        Certainty.INFERRED,
    ),
)
