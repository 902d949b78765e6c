"""Arithmetic of a Deployment's rollout: how many replicas each of its ReplicaSets should have next.

Pure functions over `Fleet`, the Deployment with its ReplicaSets. The formulas are those of the real controller
(k8s.io/kubernetes, pkg/controller/deployment: rolling.go, recreate.go, sync.go and util/deployment_util.go).
All return new sizes by name of the ReplicaSet; a name that is absent keeps its size.
"""

from dataclasses import dataclass

from flametest.sandbox.controllers.metadata import age_order, annotations_of
from flametest.sandbox.controllers.percentages import fence_posts
from flametest.sandbox.objects import Object

__all__ = [
    "DESIRED_ANNOTATION",
    "MAX_ANNOTATION",
    "Fleet",
    "Sizes",
    "counted",
    "is_rolling",
    "is_scaling_event",
    "max_surge",
    "max_unavailable",
    "new_size",
    "recreate_sizes",
    "replicas_annotations",
    "rolling_sizes",
    "scaled_sizes",
    "size_of",
    "wanted_replicas",
]

DESIRED_ANNOTATION = "deployment.kubernetes.io/desired-replicas"
MAX_ANNOTATION = "deployment.kubernetes.io/max-replicas"

Sizes = dict[str, int]


@dataclass(frozen=True, slots=True)
class Fleet:
    """A Deployment, the ReplicaSet of its present template (None: not made yet) and those of earlier ones."""

    deployment: Object
    new: Object | None
    old: tuple[Object, ...]

    @property
    def all(self) -> tuple[Object, ...]:
        """All ReplicaSets, the new one last."""
        return self.old if self.new is None else (*self.old, self.new)


def wanted_replicas(deployment: Object) -> int:
    """Return the number of replicas that is wanted."""
    replicas = deployment["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def size_of(replica_set: Object) -> int:
    """Return the number of replicas that a ReplicaSet is to have."""
    return wanted_replicas(replica_set)


def is_rolling(deployment: Object) -> bool:
    """Return whether the strategy is RollingUpdate."""
    return bool((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def _posts(deployment: Object) -> tuple[int, int]:
    options = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    surge, unavailable = options.get("maxSurge", "25%"), options.get("maxUnavailable", "25%")
    return fence_posts(surge, unavailable, wanted_replicas(deployment))


def max_surge(deployment: Object) -> int:
    """Return how many pods there may be too many."""
    return _posts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    """Return how many pods may lack."""
    wanted = wanted_replicas(deployment)
    return min(_posts(deployment)[1], wanted) if is_rolling(deployment) and wanted else 0


def _available(replica_set: Object) -> int:
    return int((replica_set.get("status") or {}).get("availableReplicas") or 0)


def _active(replica_sets: tuple[Object, ...]) -> list[Object]:
    return [each for each in replica_sets if size_of(each) > 0]


def _number(replica_set: Object, annotation: str) -> int | None:
    try:
        return int(annotations_of(replica_set)[annotation])
    except (KeyError, ValueError):
        return None


def is_scaling_event(fleet: Fleet) -> bool:
    """Return whether the Deployment was scaled since its ReplicaSets were last sized."""
    recorded = (_number(each, DESIRED_ANNOTATION) for each in _active(fleet.all))
    return any(number is not None and number != wanted_replicas(fleet.deployment) for number in recorded)


def new_size(fleet: Fleet, current: int) -> int:
    """Return the size that the new ReplicaSet, which has ``current`` replicas, may have now."""
    wanted = wanted_replicas(fleet.deployment)
    if not is_rolling(fleet.deployment):
        return wanted
    pods = sum(size_of(each) for each in fleet.old) + current
    room = wanted + max_surge(fleet.deployment) - pods
    return current if room <= 0 else current + min(room, wanted - current)


def rolling_sizes(fleet: Fleet) -> Sizes:
    """Return the next step of a rolling update: the new set up, or else the old ones down."""
    if fleet.new is None:
        return {}
    wanted, current = wanted_replicas(fleet.deployment), size_of(fleet.new)
    target = wanted if current > wanted else new_size(fleet, current)
    if target != current:
        return {fleet.new["metadata"]["name"]: target}
    return _shrunk_old_sets(fleet, fleet.new)


def _shrunk_old_sets(fleet: Fleet, new: Object) -> Sizes:
    old = sorted(_active(fleet.old), key=age_order)
    min_available = wanted_replicas(fleet.deployment) - max_unavailable(fleet.deployment)
    pods = sum(size_of(each) for each in fleet.all)
    removable = pods - min_available - (size_of(new) - _available(new))
    if not old or removable <= 0:
        return {}
    # Pods that serve nobody go first: they cost no availability.
    sizes: Sizes = {}
    for each in old:
        unhealthy = min(removable - _removed(old, sizes), size_of(each) - _available(each))
        if unhealthy > 0:
            sizes[each["metadata"]["name"]] = size_of(each) - unhealthy
    spare = sum(_available(each) for each in fleet.all) - min_available
    for each in old:
        name = each["metadata"]["name"]
        size = sizes.get(name, size_of(each))
        healthy = min(spare, size)
        if healthy > 0:
            sizes[name] = size - healthy
            spare -= healthy
    return sizes


def _removed(old: list[Object], sizes: Sizes) -> int:
    return sum(size_of(each) - sizes.get(each["metadata"]["name"], size_of(each)) for each in old)


def recreate_sizes(fleet: Fleet) -> Sizes:
    """Return the sizes that end all old replicas; empty when none is left."""
    return {each["metadata"]["name"]: 0 for each in _active(fleet.old)}


def scaled_sizes(fleet: Fleet) -> Sizes:
    """Return the sizes after the Deployment was scaled: in proportion where several ReplicaSets are active.

    The sets that keep their size are named too: their annotations have to learn the new number.
    """
    wanted = wanted_replicas(fleet.deployment)
    single = _single_or_newest(fleet)
    if single is not None:
        return {single["metadata"]["name"]: wanted}
    if _is_saturated(fleet):
        return {each["metadata"]["name"]: 0 for each in _active(fleet.old)}
    return _proportional_sizes(fleet) if is_rolling(fleet.deployment) else {}


def _single_or_newest(fleet: Fleet) -> Object | None:
    active = _active(fleet.all)
    if len(active) == 1:
        return active[0]
    if active:
        return None
    return fleet.new or max(fleet.old, key=age_order, default=None)


def _is_saturated(fleet: Fleet) -> bool:
    new, wanted = fleet.new, wanted_replicas(fleet.deployment)
    return (
        new is not None
        and size_of(new) == wanted
        and _number(new, DESIRED_ANNOTATION) == wanted
        and _available(new) == wanted
    )


def _proportional_sizes(fleet: Fleet) -> Sizes:
    active = _active(fleet.all)
    wanted = wanted_replicas(fleet.deployment)
    allowed = wanted + max_surge(fleet.deployment) if wanted else 0
    to_add = allowed - sum(size_of(each) for each in active)
    by_age = sorted(active, key=age_order, reverse=to_add > 0)
    ordered = sorted(by_age, key=size_of, reverse=True)
    sizes: Sizes = {}
    added = 0
    for each in ordered:
        share = _share(fleet.deployment, each, to_add, added)
        sizes[each["metadata"]["name"]] = size_of(each) + share
        added += share
    largest = ordered[0]["metadata"]["name"]
    # What rounding left over goes to the largest set.
    sizes[largest] = max(sizes[largest] + to_add - added, 0)
    return sizes


def _share(deployment: Object, replica_set: Object, to_add: int, added: int) -> int:
    if to_add == added:
        return 0
    fraction = _fraction(deployment, replica_set)
    return min(fraction, to_add - added) if to_add > 0 else max(fraction, to_add - added)


def _fraction(deployment: Object, replica_set: Object) -> int:
    size, wanted = size_of(replica_set), wanted_replicas(deployment)
    if wanted == 0:
        return -size
    before = _number(replica_set, MAX_ANNOTATION) or int((deployment.get("status") or {}).get("replicas") or 0)
    if not before:
        return 0
    scaled = size * (wanted + max_surge(deployment))
    # To the nearest whole number, halves up, without the inexactness of a float.
    return (2 * scaled + before) // (2 * before) - size


def replicas_annotations(deployment: Object) -> dict[str, str]:
    """Return the annotations that tell a ReplicaSet for which size of the Deployment it was sized."""
    wanted = wanted_replicas(deployment)
    return {DESIRED_ANNOTATION: str(wanted), MAX_ANNOTATION: str(wanted + max_surge(deployment))}


def counted(replica_sets: tuple[Object, ...], field: str) -> int:
    """Return the sum of a count in the status of ReplicaSets."""
    return sum(int((each.get("status") or {}).get(field) or 0) for each in replica_sets)
