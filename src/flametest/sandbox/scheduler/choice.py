"""The choice of a node for a pod: filters first, then scores. Pure and deterministic.

Filters, weights and messages are those of the real scheduler v1.36 (k8s.io/kubernetes, pkg/scheduler/framework).
Between nodes of the same score the one with fewer pods is taken, then the first by name, where the real one draws lots.
Pods are not preempted: a pod of higher priority waits like any other.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from flametest.sandbox.objects import Object
from flametest.sandbox.placement import term_selects_node, tolerates
from flametest.sandbox.scheduler.filters import (
    HOPELESS,
    INSUFFICIENT,
    exceeds_node,
    fits_resources,
    has_volumes,
    is_schedulable,
    matches_affinity,
    matches_node_name,
    ports_are_free,
    tolerates_taints,
)
from flametest.sandbox.scheduler.topology import Affinities, Spread
from flametest.sandbox.scheduler.view import NodeView, Requests, allocatable_of, requests_of

__all__ = ["Placement", "Refusal", "choose", "missing_claim"]

_SCORE_MAX = 100.0

# The weights of the real scheduler's default profile.
_TAINTS_WEIGHT, _NODE_AFFINITY_WEIGHT, _SPREAD_WEIGHT, _POD_AFFINITY_WEIGHT, _RESOURCES_WEIGHT = 3, 2, 2, 2, 1

# What a container without requests counts for when nodes are compared (k8s.io/kubernetes, pkg/scheduler/util).
_DEFAULT_REQUESTS: Requests = {"cpu": Decimal("0.1"), "memory": Decimal(200 * 2**20)}


@dataclass(frozen=True, slots=True)
class Placement:
    """The node that was chosen."""

    node: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no node will do, in the words of the real scheduler's FailedScheduling event."""

    message: str


def choose(pod: Object, views: Sequence[NodeView], volumes: Sequence[Object] = ()) -> Placement | Refusal:
    """Return the node for a pod that uses these persistent volumes, or why there is none."""
    if not views:
        return Refusal("no nodes available to schedule pods")
    spread, affinities = Spread(pod, views), Affinities(pod, views)
    reasons = {view.name: _reasons(pod, view, volumes) or _apart(view, spread, affinities) for view in views}
    feasible = [view for view in views if not reasons[view.name]]
    if not feasible:
        hopeless = sum(_is_hopeless(pod, view, reasons[view.name][0]) for view in views)
        return Refusal(_message(list(reasons.values()), hopeless))
    scores = _scores(pod, feasible, spread, affinities)
    best = min(feasible, key=lambda view: (-round(scores[view.name], 6), len(view.pods), view.name))
    return Placement(best.name)


def _reasons(pod: Object, view: NodeView, volumes: Sequence[Object]) -> list[str]:
    """Return why a node is refused: the reasons of the first filter that does."""
    filters: tuple[Callable[[Object, NodeView], str | None], ...] = (
        is_schedulable,
        matches_node_name,
        tolerates_taints,
        matches_affinity,
        ports_are_free,
    )
    for refuse in filters:
        reason = refuse(pod, view)
        if reason:
            return [reason]
    lacking = fits_resources(pod, view)
    if lacking:
        return lacking
    reason = has_volumes(volumes, view)
    return [reason] if reason else []


def _apart(view: NodeView, spread: Spread, affinities: Affinities) -> list[str]:
    """Return why a node is refused because of the pods on others."""
    reason = spread.refusal(view) or affinities.refusal(view)
    return [reason] if reason else []


def missing_claim(name: str, nodes: int) -> Refusal:
    """Return why a pod has no node while a claim that it names does not exist."""
    return Refusal(f'0/{nodes} nodes are available: persistentvolumeclaim "{name}" not found. not found')


def _is_hopeless(pod: Object, view: NodeView, reason: str) -> bool:
    """Return whether removing other pods from a node would not help a pod that it is refused to for this reason."""
    return reason in HOPELESS or (reason.startswith(INSUFFICIENT) and exceeds_node(pod, view))


def _message(reasons: Sequence[Sequence[str]], hopeless: int) -> str:
    nodes = len(reasons)
    counts = Counter(reason for each in reasons for reason in each)
    preemption = Counter(
        {
            "Preemption is not helpful for scheduling": hopeless,
            "No preemption victims found for incoming pod": nodes - hopeless,
        }
    )
    available = f"0/{nodes} nodes are available: "
    claims = "no new claims to deallocate"  # of devices, which it tells of every pod
    return f"{available}{_histogram(counts)}. {claims}, preemption: {available}{_histogram(preemption)}."


def _histogram(counts: Counter[str]) -> str:
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items() if count))


def _scores(pod: Object, views: Sequence[NodeView], spread: Spread, affinities: Affinities) -> dict[str, float]:
    totals = dict.fromkeys((view.name for view in views), 0.0)
    parts = (
        (_TAINTS_WEIGHT, _inverted([float(_shunned(pod, view)) for view in views])),
        (_NODE_AFFINITY_WEIGHT, _stretched([float(_liking(pod, view)) for view in views])),
        (_SPREAD_WEIGHT, _inverted([spread.cost(view) for view in views])),
        (_POD_AFFINITY_WEIGHT, _stretched([float(affinities.score(view)) for view in views])),
        (_RESOURCES_WEIGHT, [_room(pod, view) for view in views]),
    )
    for weight, scores in parts:
        for view, score in zip(views, scores, strict=True):
            totals[view.name] += weight * score
    return totals


def _inverted(costs: Sequence[float | None]) -> list[float]:
    """Return 100 for the lowest cost and less for higher ones; 0 where there is none."""
    known = [cost for cost in costs if cost is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    if high <= 0.0:
        return [0.0 if cost is None else _SCORE_MAX for cost in costs]
    return [0.0 if cost is None else _SCORE_MAX * (high + low - cost) / high for cost in costs]


def _stretched(scores: Sequence[float]) -> list[float]:
    """Return the scores from 0 for the lowest to 100 for the highest; 0 for all where they are the same."""
    low, high = min(scores), max(scores)
    return [_SCORE_MAX * (score - low) / (high - low) if high > low else 0.0 for score in scores]


def _shunned(pod: Object, view: NodeView) -> int:
    taints = (view.node.get("spec") or {}).get("taints") or []
    tolerations = pod["spec"].get("tolerations") or []
    return sum(taint["effect"] == "PreferNoSchedule" and not tolerates(tolerations, taint) for taint in taints)


def _liking(pod: Object, view: NodeView) -> int:
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or []
    return sum(int(each["weight"]) for each in preferred if term_selects_node(each["preference"], view.node))


def _room(pod: Object, view: NodeView) -> float:
    """Return how much of a node would stay free, in per cent, as the mean over processor and memory."""
    allocatable = allocatable_of(view.node)
    counted = [_counted(each) for each in (*view.pods, pod)]
    shares = []
    for resource in _DEFAULT_REQUESTS:
        total = allocatable.get(resource, Decimal(0))
        used = sum((each[resource] for each in counted), Decimal(0))
        shares.append(max(float((total - used) / total), 0.0) * _SCORE_MAX if total else 0.0)
    return sum(shares) / len(shares)


def _counted(pod: Object) -> Requests:
    requests, containers = requests_of(pod), len(pod["spec"]["containers"])
    return {name: requests.get(name) or default * containers for name, default in _DEFAULT_REQUESTS.items()}
