"""Whether a system can fit: what its manifests ask for, against what the nodes have and others have asked for already.

Sums only: a pod that is too large for every single node, or kept away from nodes by a rule, is the scheduler's to tell.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flametest.clusters.protocol import ClusterError
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError, KubeError
from flametest.kube.resources import NODES, PODS, Object
from flametest.manifests import Manifest

__all__ = ["Amount", "Capacity", "measure_capacity", "requested_by", "requested_by_pod"]

_FORBIDDEN = 403
_PAGE_SECONDS = 15.0  # nobody waits for long for a figure that no run depends on
_WORKLOADS = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController")


@dataclass(frozen=True, slots=True)
class Amount:
    """Processor time in cores, and memory in bytes."""

    cores: float = 0.0
    memory_bytes: float = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.cores + other.cores, self.memory_bytes + other.memory_bytes)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.cores - other.cores, self.memory_bytes - other.memory_bytes)

    def __mul__(self, count: int) -> "Amount":
        return Amount(self.cores * count, self.memory_bytes * count)

    def larger(self, other: "Amount") -> "Amount":
        """Return the larger of each."""
        return Amount(max(self.cores, other.cores), max(self.memory_bytes, other.memory_bytes))

    def fits(self, room: "Amount") -> bool:
        """Return whether there is room for both."""
        return self.cores <= room.cores and self.memory_bytes <= room.memory_bytes

    def __str__(self) -> str:
        return f"{self.cores:.3g} cores and {self.memory_bytes / 2**30:.2f} GiB"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a system asks for, what all nodes have, and what others leave of it; None where that could not be asked.

    ``unknown`` says why not.
    """

    asked: Amount
    allocatable: Amount | None
    free: Amount | None
    unknown: str = "this user may not see"

    def checked(self) -> str:
        """Return a sentence for people, which warns where it will be tight.

        Raises:
            ClusterError: not even empty nodes have room.
        """
        if self.allocatable is None:
            return f"{self.asked} are requested; what the nodes have, {self.unknown}"
        if not self.asked.fits(self.allocatable):
            raise ClusterError(
                f"the manifests ask for {self.asked}, and all nodes together have {self.allocatable}; "
                "nothing was deployed",
                "add nodes, or lower requests and replicas in the manifests",
            )
        if self.free is None:
            return f"{self.asked} are requested, of {self.allocatable}; what others use, {self.unknown}"
        warning = "" if self.asked.fits(self.free) else "WARNING: pods may have to wait for room: "
        return f"{warning}{self.asked} are requested, {self.free} are free"


def measure_capacity(client: KubeClient, namespace: str, manifests: Iterable[Manifest]) -> Capacity:
    """Return what manifests ask for and what there is; what is in ``namespace`` already counts as room for it.

    It is a figure that no run depends on: a list that is refused, or takes long, leaves it unknown.
    """
    asked = requested_by(manifests)
    try:
        nodes = client.api.listed(NODES.path(), seconds=_PAGE_SECONDS).items
    except KubeError as error:
        return Capacity(asked, None, None, _why(error))
    usable = [node for node in nodes if not node.get("spec", {}).get("unschedulable")]
    allocatable = sum((_amount(node.get("status", {}).get("allocatable") or {}) for node in usable), Amount())
    try:
        pods = client.api.listed(PODS.path(), seconds=_PAGE_SECONDS).items
    except KubeError as error:
        return Capacity(asked, allocatable, None, _why(error))
    names = {node["metadata"]["name"] for node in usable}
    used = (
        requested_by_pod(pod["spec"])
        for pod in pods
        if pod["spec"].get("nodeName") in names
        and pod["metadata"]["namespace"] != namespace
        and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    )
    return Capacity(asked, allocatable, allocatable - sum(used, Amount()))


def requested_by(manifests: Iterable[Manifest]) -> Amount:
    """Return what the workloads among manifests ask for, all replicas together."""
    workloads = (one.object.get("spec") or {} for one in manifests if one.kind in _WORKLOADS)
    each = (requested_by_pod(spec["template"]["spec"]) * int(spec.get("replicas", 1)) for spec in workloads)
    return sum(each, Amount())


def requested_by_pod(spec: Object) -> Amount:
    """Return what a pod asks for: its containers together, or an init container that asks for more."""
    containers: Sequence[Mapping[str, Any]] = spec.get("containers") or []
    first: Sequence[Mapping[str, Any]] = spec.get("initContainers") or []
    together = sum((_requests(one) for one in containers), Amount())
    for one in first:
        together = together.larger(_requests(one))
    return together


def _requests(container: Mapping[str, Any]) -> Amount:
    resources = container.get("resources") or {}
    # Where only a limit is set, the API server takes it for the request.
    return _amount((resources.get("limits") or {}) | (resources.get("requests") or {}))


def _amount(quantities: Mapping[str, Any]) -> Amount:
    from kubernetes.utils.quantity import parse_quantity  # noqa: PLC0415 (takes more than a second)

    return Amount(float(parse_quantity(quantities.get("cpu", 0))), float(parse_quantity(quantities.get("memory", 0))))


def _why(error: KubeError) -> str:
    is_forbidden = isinstance(error, ApiRejectedError) and error.code == _FORBIDDEN
    return "this user may not see" if is_forbidden else f"is not known: {error.message}"
