"""What the scheduler knows when it chooses: nodes with the pods on them, and what pods ask of a node.

Pure functions of JSON objects, which they never change.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from flametest.sandbox.labels import labels_of
from flametest.sandbox.objects import Object
from flametest.sandbox.quantities import parse_quantity

__all__ = ["NodeView", "Requests", "allocatable_of", "host_ports_of", "is_done", "requests_of"]

Requests = dict[str, Decimal]
"""Amounts by resource, in base units."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node and the pods on it that have not ended."""

    node: Object
    pods: tuple[Object, ...] = ()

    @property
    def name(self) -> str:
        """The name of the node."""
        return str(self.node["metadata"]["name"])

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the node."""
        return labels_of(self.node)


def is_done(pod: Object) -> bool:
    """Return whether a pod has ended and so holds nothing of its node any more."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _amounts(resources: Object | None) -> Requests:
    given = (resources or {}).get("requests") or {}
    return {resource: parse_quantity(amount) for resource, amount in given.items()}


def _added(amounts: Iterable[Requests]) -> Requests:
    total: Requests = {}
    for each in amounts:
        for resource, amount in each.items():
            total[resource] = total.get(resource, Decimal(0)) + amount
    return total


def requests_of(pod: Object) -> Requests:
    """Return what a pod asks for: its containers together, or its greediest init container if that asks for more.

    Formula: https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers
    """
    spec = pod["spec"]
    running = [_amounts(container.get("resources")) for container in spec["containers"]]
    peaks: list[Requests] = []
    for container in spec.get("initContainers") or []:
        asked = _amounts(container.get("resources"))
        if container.get("restartPolicy") == "Always":
            running.append(asked)
        else:
            peaks.append(asked)
    total = _added(running)
    for peak in peaks:
        total |= {resource: max(amount, total.get(resource, Decimal(0))) for resource, amount in peak.items()}
    overhead = {resource: parse_quantity(amount) for resource, amount in (spec.get("overhead") or {}).items()}
    return _added([total, overhead])


def allocatable_of(node: Object) -> Requests:
    """Return what a node has to give."""
    status = node.get("status") or {}
    given = status.get("allocatable") or status.get("capacity") or {}
    return {resource: parse_quantity(amount) for resource, amount in given.items()}


def host_ports_of(pod: Object) -> set[tuple[str, str, int]]:
    """Return the ports of the node itself that a pod takes: host address, protocol, number."""
    return {
        (port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"])  # noqa: S104 - any address
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or []
        if port.get("hostPort")
    }
