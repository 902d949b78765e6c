"""Filters: on which nodes a pod may run at all, and in the real scheduler's words why not.

Each filter takes the pod and one node; those that look at other nodes, too, are in `topology`.
"""

from collections.abc import Iterable
from decimal import Decimal

from flametest.sandbox.objects import Object
from flametest.sandbox.placement import selects_node, term_selects_node, tolerates, untolerated_taint
from flametest.sandbox.scheduler.view import NodeView, allocatable_of, host_ports_of, requests_of

__all__ = [
    "HOPELESS",
    "INSUFFICIENT",
    "exceeds_node",
    "fits_resources",
    "has_volumes",
    "is_schedulable",
    "matches_affinity",
    "matches_node_name",
    "ports_are_free",
    "tolerates_taints",
]

_UNSCHEDULABLE = "node(s) were unschedulable"
_NODE_NAME = "node(s) didn't match the requested node name"
_AFFINITY = "node(s) didn't match Pod's node affinity/selector"
_PORTS = "node(s) didn't have free ports for the requested pod ports"
_TAINT = "node(s) had untolerated taint(s)"
_VOLUMES = "node(s) didn't match PersistentVolume's node affinity"

HOPELESS = frozenset({_UNSCHEDULABLE, _NODE_NAME, _AFFINITY, _TAINT, _VOLUMES})
"""Reasons for which removing other pods from the node would not help."""

INSUFFICIENT = "Insufficient"
"""The beginning of the reason that a node lacks a resource."""

_PODS_EFFECTS = ("NoSchedule", "NoExecute")


def is_schedulable(pod: Object, view: NodeView) -> str | None:
    """Refuse a cordoned node."""
    if not (view.node.get("spec") or {}).get("unschedulable"):
        return None
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    return None if tolerates(pod["spec"].get("tolerations") or [], cordon) else _UNSCHEDULABLE


def matches_node_name(pod: Object, view: NodeView) -> str | None:
    """Refuse any node but the one that the pod asks for by name."""
    name = pod["spec"].get("nodeName")
    return _NODE_NAME if name and name != view.name else None


def tolerates_taints(pod: Object, view: NodeView) -> str | None:
    """Refuse a node with a taint that the pod does not tolerate."""
    return _TAINT if untolerated_taint(pod["spec"], view.node, _PODS_EFFECTS) else None


def matches_affinity(pod: Object, view: NodeView) -> str | None:
    """Refuse a node that the node selector or the required node affinity does not take in."""
    return None if selects_node(pod["spec"], view.node) else _AFFINITY


def has_volumes(volumes: Iterable[Object], view: NodeView) -> str | None:
    """Refuse a node that does not have all of these persistent volumes."""
    wanted = [(volume["spec"].get("nodeAffinity") or {}).get("required") for volume in volumes]
    terms = [each.get("nodeSelectorTerms") or [] for each in wanted if each]
    has = all(any(term_selects_node(term, view.node) for term in each) for each in terms)
    return None if has else _VOLUMES


def ports_are_free(pod: Object, view: NodeView) -> str | None:
    """Refuse a node on which another pod has a port of the host that this one wants."""
    wanted = host_ports_of(pod)
    if not wanted:
        return None
    taken = {port for other in view.pods for port in host_ports_of(other)}
    return _PORTS if any(_collide(one, other) for one in wanted for other in taken) else None


def _collide(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    anywhere = "0.0.0.0"  # noqa: S104 - the API's word for any address
    same_address = one[0] == other[0] or anywhere in (one[0], other[0])
    return same_address and one[1:] == other[1:]


def exceeds_node(pod: Object, view: NodeView) -> bool:
    """Return whether a pod asks for more than a node has, whatever else runs there."""
    allocatable = allocatable_of(view.node)
    return any(amount > allocatable.get(resource, Decimal(0)) for resource, amount in requests_of(pod).items())


def fits_resources(pod: Object, view: NodeView) -> list[str]:
    """Return what of a node does not suffice: nothing where the pod fits."""
    allocatable = allocatable_of(view.node)
    reasons = []
    if len(view.pods) + 1 > allocatable.get("pods", Decimal("Infinity")):
        reasons.append("Too many pods")
    used = [requests_of(other) for other in view.pods]
    for resource, amount in sorted(requests_of(pod).items()):
        held = sum((each.get(resource, Decimal(0)) for each in used), Decimal(0))
        if amount and amount + held > allocatable.get(resource, Decimal(0)):
            reasons.append(f"{INSUFFICIENT} {resource}")
    return reasons
