"""What tests ask for, one function a fault: a name, and how the fault is made once it is known where.

The faults are those of `flametest.faults`, which says of each what it does, how it is proved and how it is healed.
Nothing is imported before a fault is made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from flametest.faults.http_faults import HttpFaults
    from flametest.faults.protocol import Fault
    from flametest.kube import KubeClient

__all__ = [
    "FaultRequest",
    "add_latency",
    "crash_container",
    "delete_pods",
    "disturb_edge",
    "drain_node",
    "fail_requests",
    "no_fault",
    "partition_network",
    "remove_service",
    "restart_rollout",
    "roll_out_bad_image",
    "scale",
    "stop_node",
    "stop_workload",
]

Kind = Literal["Deployment", "StatefulSet"]


@dataclass(frozen=True, slots=True)
class FaultRequest:
    """A fault that a test asks for.

    Attributes:
        workload: the workload whose recovery is measured, unless the test names another.
        make: returns the fault in a namespace; None for a control, which injects nothing.
        nodes: how many nodes it hits; tests that ask for one consent to it.
        name: what the test calls it; empty for a name made of its kind.
    """

    workload: str
    make: "Callable[[KubeClient, str], Fault | None]"
    nodes: int = 0
    name: str = ""

    def named(self, name: str) -> "FaultRequest":
        """Return the same fault under a name, by which a test heals it alone, and tells it from others afterwards."""
        return replace(self, name=name)


def delete_pods(workload: str, *, count: int = 1, grace_seconds: int | None = None) -> FaultRequest:
    """Delete live pods of a workload, drawn at random; ``grace_seconds`` takes the place of their own grace period."""

    def make(client: "KubeClient", namespace: str) -> "Fault":
        from flametest.faults.pod_deletion import PodDeletion  # noqa: PLC0415
        from flametest.faults.selection import PodSelection  # noqa: PLC0415

        selection = PodSelection(namespace, _selector(client, namespace, workload), count=count)
        return PodDeletion(selection, -1 if grace_seconds is None else grace_seconds)

    return FaultRequest(workload, make)


def crash_container(workload: str, *, count: int = 1, container: str = "", signal: str = "TERM") -> FaultRequest:
    """End the first process of a container of pods of a workload by a signal, sent from inside."""

    def make(client: "KubeClient", namespace: str) -> "Fault":
        from flametest.faults.container_crash import ContainerCrash  # noqa: PLC0415
        from flametest.faults.selection import PodSelection  # noqa: PLC0415

        selection = PodSelection(namespace, _selector(client, namespace, workload), count=count)
        return ContainerCrash(selection, container, signal)

    return FaultRequest(workload, make)


def remove_service(service: str, *, workload: str = "") -> FaultRequest:
    """Remove a Service; ``workload`` is what serves behind it, if that has another name."""

    def make(_: "KubeClient", namespace: str) -> "Fault":
        from flametest.faults.service_removal import ServiceRemoval  # noqa: PLC0415

        return ServiceRemoval(namespace, service)

    return FaultRequest(workload or service, make)


def scale(workload: str, replicas: int, *, kind: Kind = "Deployment") -> FaultRequest:
    """Scale a workload."""

    def make(_: "KubeClient", namespace: str) -> "Fault":
        from flametest.faults.scaling import Scaling  # noqa: PLC0415

        return Scaling(namespace, workload, replicas, kind)

    return FaultRequest(workload, make)


def stop_workload(workload: str, *, kind: Kind = "StatefulSet") -> FaultRequest:
    """Take a workload away: scale it to zero, as when a database or a cache is gone."""

    def make(_: "KubeClient", namespace: str) -> "Fault":
        from flametest.faults.dependency_outage import DependencyOutage  # noqa: PLC0415

        return DependencyOutage(namespace, workload, kind)

    return FaultRequest(workload, make)


def partition_network(app: str, port: int, *, workload: str = "") -> FaultRequest:
    """Let nobody connect to a port of the pods with the label ``app``, by a NetworkPolicy."""

    def make(_: "KubeClient", namespace: str) -> "Fault":
        from flametest.faults.network_partition import NetworkPartition  # noqa: PLC0415

        return NetworkPartition(namespace, app, port)

    return FaultRequest(workload or app, make)


def roll_out_bad_image(deployment: str) -> FaultRequest:
    """Roll out an image that does not exist."""

    def make(_: "KubeClient", namespace: str) -> "Fault":
        from flametest.faults.bad_rollout import BadRollout  # noqa: PLC0415

        return BadRollout(namespace, deployment)

    return FaultRequest(deployment, make)


def restart_rollout(deployment: str) -> FaultRequest:
    """Replace every pod, one after another, as ``kubectl rollout restart`` does."""

    def make(_: "KubeClient", namespace: str) -> "Fault":
        from flametest.faults.rolling_restart import RollingRestart  # noqa: PLC0415

        return RollingRestart(namespace, deployment)

    return FaultRequest(deployment, make)


def drain_node(workload: str) -> FaultRequest:
    """Drain a node that carries a live pod of a workload."""

    def make(client: "KubeClient", namespace: str) -> "Fault":
        from flametest.faults.node_drain import NodeDrain  # noqa: PLC0415
        from flametest.faults.nodes import NodeSelection  # noqa: PLC0415

        return NodeDrain(NodeSelection(namespace, label_selector=_selector(client, namespace, workload)))

    return FaultRequest(workload, make, nodes=1)


def stop_node(workload: str) -> FaultRequest:
    """Stop a node that carries a live pod of a workload, from one moment to the next; sandbox only."""

    def make(client: "KubeClient", namespace: str) -> "Fault":
        from flametest.faults.node_loss import NodeLoss  # noqa: PLC0415
        from flametest.faults.nodes import NodeSelection  # noqa: PLC0415

        return NodeLoss(NodeSelection(namespace, label_selector=_selector(client, namespace, workload)))

    return FaultRequest(workload, make, nodes=1)


def fail_requests(service: str, share: float, *, status: int = 500, workload: str = "") -> FaultRequest:
    """Answer a share of a Service's HTTP requests with a status, by a proxy in front of it."""

    def make(_: "KubeClient", namespace: str) -> "Fault":
        from flametest.faults.http_faults import HttpFaults  # noqa: PLC0415

        return _http_edge(namespace, service, HttpFaults(error_rate=share, error_statuses=(status,)))

    return FaultRequest(workload or service, make)


def add_latency(service: str, milliseconds: float, *, jitter_ms: float = 0.0, workload: str = "") -> FaultRequest:
    """Delay a Service's HTTP requests, by a proxy in front of it."""

    def make(_: "KubeClient", namespace: str) -> "Fault":
        from flametest.faults.http_faults import HttpFaults  # noqa: PLC0415

        return _http_edge(namespace, service, HttpFaults(latency_ms=milliseconds, latency_jitter_ms=jitter_ms))

    return FaultRequest(workload or service, make)


def disturb_edge(
    service: str,
    effect: Mapping[str, Any],
    *,
    port: int | str = 0,
    caller: str = "",
    protocol: Literal["tcp", "http"] = "tcp",
    match: Mapping[str, Any] | None = None,
    workload: str = "",
) -> FaultRequest:
    """Disturb what is asked of a Service, of one caller or of all; the arguments are those of ``inject_edge``."""

    def make(_: "KubeClient", namespace: str) -> "Fault":
        from flametest.edgeproxy.rules import Effect, Match, Rule, RuleError, options  # noqa: PLC0415
        from flametest.faults.edge import Edge  # noqa: PLC0415
        from flametest.faults.errors import FaultError  # noqa: PLC0415

        try:
            rule = Rule(options(Effect, effect), options(Match, match or {}), of_caller=bool(caller))
        except RuleError as error:
            raise FaultError(str(error), "fix the arguments of disturb_edge") from error
        return Edge(namespace, service, (rule,), port, protocol, caller)

    return FaultRequest(workload or service, make)


def no_fault(workload: str) -> FaultRequest:
    """Inject nothing, and measure as after a fault: what is felt then, no fault is to blame for."""
    return FaultRequest(workload, lambda _client, _namespace: None)


def _http_edge(namespace: str, service: str, faults: "HttpFaults") -> "Fault":
    from flametest.faults.edge import Edge  # noqa: PLC0415
    from flametest.faults.http_faults import rules_of  # noqa: PLC0415

    faults.check()
    return Edge(namespace, service, rules_of(faults), protocol="http")


def _selector(client: "KubeClient", namespace: str, workload: str) -> str:
    """Return the label selector of a workload, as the API takes it.

    Raises:
        FaultError: there is none of that name.
        KubeError: the API is unreachable or refused.
    """
    from flametest.faults.errors import FaultError  # noqa: PLC0415
    from flametest.kube.resources import DAEMON_SETS, DEPLOYMENTS, STATEFUL_SETS  # noqa: PLC0415
    from flametest.starter.parsing import parse_workload  # noqa: PLC0415

    there: list[str] = []
    for resource in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS):
        for found in client.api.listed(resource.path(namespace)).items:
            if found["metadata"]["name"] == workload:
                return str(parse_workload(found | {"kind": resource.kind}).selector)
            there.append(str(found["metadata"]["name"]))
    raise FaultError(
        f"namespace {namespace!r} holds no Deployment, StatefulSet or DaemonSet {workload!r}",
        f"use one of: {', '.join(sorted(there)) or 'there is none'}",
    )
