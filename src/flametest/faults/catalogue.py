"""Every fault by its name, as undo records know it: how to heal what an earlier process has injected."""

from collections.abc import Callable, Mapping

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
from flametest.faults.protocol import Fault, State
from flametest.faults.random_errors import RandomErrors
from flametest.faults.rolling_restart import RollingRestart
from flametest.faults.scaling import Scaling
from flametest.faults.service_removal import ServiceRemoval
from flametest.kube import KubeClient

__all__ = ["FAULTS", "FORMER", "HEALERS"]

FAULTS: tuple[type[Fault], ...] = (
    BadRollout,
    ContainerCrash,
    DependencyOutage,
    DnsOutage,
    Edge,
    MemoryHog,
    CpuHog,
    FullVolume,
    FrozenProcess,
    Intrusion,
    NetworkPartition,
    NewVersion,
    NodeDrain,
    NodeLoss,
    PodDeletion,
    RandomErrors,
    RollingRestart,
    Scaling,
    ServiceRemoval,
)

FORMER: Mapping[str, Callable[[KubeClient, State], str]] = {
    # A proxy of an image of our own, for HTTP only. What it made has the names and labels of an edge's.
    "fault_proxy": Edge.heal,
}
"""Faults of earlier versions, which nothing injects any more, but whose undo records may still be there."""

HEALERS: Mapping[str, Callable[[KubeClient, State], str]] = {
    **{fault.name: fault.heal for fault in FAULTS if fault.lasts},
    **FORMER,
}
