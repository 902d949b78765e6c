"""Which rights each fault needs, from its targets to its healing: what a preflight asks for, and a Role grants.

Beside `flametest.faults.catalogue`, in one place, because a right that is missing shows only in the middle of a fault
otherwise. Rights are in the namespace of the fault unless they say ``everywhere``; that is the system's, or one that
the experiment names as well.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from flametest.faults.apps import KINDS
from flametest.faults.bad_rollout import BadRollout
from flametest.faults.container_crash import ContainerCrash
from flametest.faults.cpu_hog import CpuHog
from flametest.faults.dependency_outage import DependencyOutage
from flametest.faults.dns_outage import DnsOutage
from flametest.faults.edge import Edge
from flametest.faults.frozen_process import FrozenProcess
from flametest.faults.full_volume import FullVolume
from flametest.faults.intrusion import Intrusion
from flametest.faults.memory_hog import MemoryHog
from flametest.faults.network_partition import NetworkPartition
from flametest.faults.new_version import NewVersion
from flametest.faults.node_drain import NodeDrain
from flametest.faults.node_loss import NodeLoss
from flametest.faults.pod_deletion import PodDeletion
from flametest.faults.protocol import Fault
from flametest.faults.random_errors import RandomErrors
from flametest.faults.rolling_restart import RollingRestart
from flametest.faults.scaling import Scaling
from flametest.faults.service_removal import ServiceRemoval
from flametest.faults.vantage_pod import VANTAGE_RIGHTS
from flametest.faults.workloads import WORKLOADS
from flametest.kube.resources import (
    CLAIMS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
)
from flametest.kube.rights import Right, rights

__all__ = ["NAMESPACE", "RIGHTS", "rights_of"]

# A namespace is in itself: a Role in it can grant this.
NAMESPACE = (Right("namespaces", "", "get"),)
_COMMON = (*NAMESPACE, *rights(PODS, "get", "list"))
# Over a WebSocket exec is a GET; newer API servers ask for the other verb as well.
_EXEC = rights(PODS, "create", "get", subresource="exec")
# Whose a pod is, its owners tell.
_OWNERS = rights(REPLICA_SETS, "list")
_APP = (*(right for kind in KINDS for right in rights(kind, "list")), *_OWNERS)
_EVICTING = rights(PODS, "create", subresource="eviction")
_POD_PROXY = rights(PODS, "create", "delete", "get", subresource="proxy")


def _workload(fault: Any) -> tuple[Right, ...]:
    return rights(WORKLOADS[fault.kind], "get", "list", "patch")


def _outage(fault: Any) -> tuple[Right, ...]:
    return (*_workload(fault), *rights(SERVICES, "list"), *rights(ENDPOINT_SLICES, "list"), *_OWNERS)


def _errors(fault: Any) -> tuple[Right, ...]:
    return (*rights(WORKLOADS[fault.kind], "get", "list"), *_POD_PROXY, *_OWNERS)


def _node(fault: Any) -> tuple[Right, ...]:
    drawing = _APP if fault.selection.app else ()
    return (*rights(NODES, "get", "list", "patch"), *rights(PODS, "list", everywhere=True), *drawing)


def _always(*needed: Right) -> Callable[[Any], tuple[Right, ...]]:
    return lambda _: needed


RIGHTS: Mapping[type[Fault], Callable[[Any], tuple[Right, ...]]] = {
    BadRollout: _always(*rights(DEPLOYMENTS, "get", "list", "patch"), *_OWNERS),
    ContainerCrash: _always(*_EXEC),
    DependencyOutage: _outage,
    DnsOutage: _always(
        *rights(NETWORK_POLICIES, "create", "delete", "get", "list"), *rights(SERVICES, "list"), *_APP, *_EXEC
    ),
    Edge: _always(
        *rights(SERVICES, "create", "delete", "get", "list", "patch"),
        *rights(CONFIG_MAPS, "create", "delete", "get"),
        *rights(DEPLOYMENTS, "create", "delete", "get", "list"),
        *rights(STATEFUL_SETS, "get", "list"),
        *rights(NETWORK_POLICIES, "create", "delete", "get", "list"),
        *rights(ENDPOINT_SLICES, "list"),
        *_OWNERS,
        *_POD_PROXY,
        *_EXEC,
    ),
    CpuHog: _always(*_EXEC),
    FullVolume: _always(*rights(CLAIMS, "get"), *_EXEC),
    MemoryHog: _always(*_EXEC),
    FrozenProcess: _always(*rights(PODS, "patch"), *_EXEC),
    Intrusion: _always(*rights(PODS, "create", "delete"), *rights(NETWORK_POLICIES, "list"), *_APP, *_EXEC),
    NetworkPartition: _always(
        *rights(NETWORK_POLICIES, "patch"),
        *VANTAGE_RIGHTS,
        *_APP,
        *_EXEC,
    ),
    NewVersion: _always(*rights(DEPLOYMENTS, "get", "list", "patch"), *_OWNERS),
    NodeDrain: lambda fault: (*_node(fault), *_EVICTING),
    NodeLoss: _node,
    PodDeletion: _always(*rights(PODS, "delete")),
    RandomErrors: _errors,
    RollingRestart: _always(*rights(DEPLOYMENTS, "get", "list", "patch"), *_OWNERS),
    Scaling: _workload,
    ServiceRemoval: _always(*rights(SERVICES, "create", "delete", "get", "list"), *VANTAGE_RIGHTS),
}
"""By the fault's type, what its options make of it; what all faults need is in `rights_of`."""


def rights_of(fault: Fault, system: str, further: Collection[str] = ()) -> tuple[Right, ...]:
    """Return every right that a fault needs, those of the gate and of its healing included.

    Args:
        fault: the fault.
        system: the namespace of the system under test.
        further: other namespaces in which the experiment may hit something; a drain evicts pods there as well.
    """
    found = [_within(right, _namespace_of(fault), system) for right in (*_COMMON, *RIGHTS[type(fault)](fault))]
    if isinstance(fault, NodeDrain):
        elsewhere = (*NAMESPACE, *_EVICTING)
        found += [_within(right, namespace, system) for namespace in sorted(further) for right in elsewhere]
    return tuple(dict.fromkeys(found))


def _within(right: Right, namespace: str, system: str) -> Right:
    return right if right.everywhere or namespace in ("", system) else replace(right, namespace=namespace)


def _namespace_of(fault: Any) -> str:
    """Return the namespace that a fault is in; empty where it names none."""
    return str(getattr(fault, "namespace", "") or getattr(getattr(fault, "selection", None), "namespace", ""))
