"""Every fault by its name, as undo records know it: how to heal what an earlier process has injected."""

from collections.abc import Callable, Mapping

from flametest.faults.bad_rollout import BadRollout
from flametest.faults.container_crash import ContainerCrash
from flametest.faults.dependency_outage import DependencyOutage
from flametest.faults.dns_outage import DnsOutage
from flametest.faults.edge import Edge
from flametest.faults.intrusion import Intrusion
from flametest.faults.network_partition import NetworkPartition
from flametest.faults.node_drain import NodeDrain
from flametest.faults.node_loss import NodeLoss
from flametest.faults.pod_deletion import PodDeletion
from flametest.faults.protocol import Fault, State
from flametest.faults.random_errors import RandomErrors
from flametest.faults.rolling_restart import RollingRestart
from flametest.faults.scaling import Scaling
from flametest.faults.service_removal import ServiceRemoval
from flametest.kube import KubeClient

__all__ = ["FAULTS", "HEALERS"]

FAULTS: tuple[type[Fault], ...] = (
    BadRollout,
    ContainerCrash,
    DependencyOutage,
    DnsOutage,
    Edge,
    Intrusion,
    NetworkPartition,
    NodeDrain,
    NodeLoss,
    PodDeletion,
    RandomErrors,
    RollingRestart,
    Scaling,
    ServiceRemoval,
)

HEALERS: Mapping[str, Callable[[KubeClient, State], str]] = {fault.name: fault.heal for fault in FAULTS if fault.lasts}
