"""The weakness of a readiness probe that asks another service, where manifests or sources show it. Pure.

When that service is away, all pods leave their own Service at once: the outage of one part becomes that of all that
need it, and what they could still answer is not answered.
"""

from collections.abc import Iterator
from typing import Any

from flametest.starter.evidence import Certainty
from flametest.starter.handlers import asking_call
from flametest.starter.hosts import hosts_in_command
from flametest.starter.needs import service_of_host
from flametest.starter.proxied import proxied_service
from flametest.starter.system import Container, Probe, Workload
from flametest.starter.topology import Topology
from flametest.starter.weakness import Rule, Severity

__all__ = ["READINESS"]

_ADVICE = (
    "let readiness report the pod's own state only, and answer requests that need a missing part with an error or from "
    "a cache"
)


def asks_another(topology: Topology, one: Workload) -> str:
    """Return which probe names another Service, or reaches one through a proxy."""
    return "; ".join(
        told
        for container in one.containers
        if container.readiness is not None
        for told in _named(topology, one, container, container.readiness)
    )


def asks_in_source(topology: Topology, one: Workload) -> str:
    """Return what the source of an image shows that answers its readiness probe."""
    if asks_another(topology, one):
        return ""
    told = [
        f"readinessProbe of container {container.name} asks for {container.readiness.path}, which calls {call}"
        for container in one.containers
        if container.readiness is not None and container.readiness.path and not container.readiness.host
        if (call := asking_call(container.readiness.path, topology.system.sources.get(container.image, ())))
    ]
    return "; ".join(told)


def _named(topology: Topology, one: Workload, container: Container, probe: Probe) -> Iterator[str]:
    begin = f"readinessProbe of container {container.name}"
    hosts = [probe.host] if probe.host else [mention.host for mention in hosts_in_command(probe.command)]
    for host in dict.fromkeys(hosts):
        service = service_of_host(host, topology.services, topology.system.namespace)
        if service and service not in topology.services_of(one):
            yield f"{begin} asks Service {service}"
    if probe.path and not probe.host:
        service = proxied_service(topology.system, one, probe.path.partition("?")[0])
        if service and service not in topology.services_of(one):
            yield f"{begin} asks for {probe.path}, which is sent on to Service {service}"


def _serving(topology: Topology) -> list[Workload]:
    return [one for one in topology.system.workloads if one.replicas > 0 and topology.serves(one)]


READINESS: tuple[Rule[Any], ...] = (
    Rule("readiness-asks-another", Severity.MEDIUM, _serving, asks_another, _ADVICE),
    Rule("readiness-asks-another", Severity.MEDIUM, _serving, asks_in_source, _ADVICE, Certainty.GUESSED),
)
