"""ReplicaSets and ReplicationControllers: so many pods of a template, no more and no fewer.

`plan` decides as the real controller does: adopt and release by selector, make what lacks, delete what is too much
in the order of `ranking`, and count. The status counts the pods as they were before this plan's own changes. A
ReplicationController differs in two things: its selector is a map of labels, and its status knows no pods that end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Change, Create, Delete, Failure, Key, Note, Plan, UpdateStatus
from flametest.sandbox.controllers.metadata import (
    claim,
    controller_of,
    controller_reference,
    is_being_deleted,
    keys_of_controllers,
    may_own,
    own_keys,
    reference_of,
    same_selection_keys,
    with_condition,
    with_spec,
    with_status,
    without_condition,
)
from flametest.sandbox.controllers.pods import (
    is_active,
    is_available,
    is_ready,
    is_terminating,
    pod_from_template,
    soonest_seconds,
)
from flametest.sandbox.controllers.ranking import deletion_order
from flametest.sandbox.labels import includes, labels_of
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import format_time

__all__ = ["Observed", "ReplicaSetController", "ReplicationManager", "plan"]

_REPLICATION_CONTROLLER = "ReplicationController"
_RESOURCES = {"ReplicaSet": "replicasets.apps", _REPLICATION_CONTROLLER: "replicationcontrollers"}

# The real controller's bound on what one pass makes or deletes; the next pass goes on.
_BURST_REPLICAS = 500


@dataclass(frozen=True, slots=True)
class Observed:
    """What a decision about a ReplicaSet rests on.

    Attributes:
        replica_set: the object, which may be a ReplicationController.
        pods: the pods of its namespace that it owns or might adopt.
        related_pods: pods of ReplicaSets with the same controller; how many share a node ranks deletions.
        now: the present time.
        failure: why the last plan failed; None if it did not.
    """

    replica_set: Object
    pods: tuple[Object, ...]
    related_pods: tuple[Object, ...]
    now: datetime
    failure: Failure | None = None


def plan(observed: Observed) -> Plan:
    """Return the changes that bring a ReplicaSet's pods to the number wanted, and its status."""
    owner = observed.replica_set
    terminating = [pod for pod in observed.pods if is_terminating(pod) and _is_owned(pod, owner)]
    claimed = claim(owner, _selector(owner), "pods", [pod for pod in observed.pods if is_active(pod)])
    pods = claimed.objects
    changes: list[Change] = list(claimed.changes)
    # What failed last time is tried again, but only after the status has said so: a failure ends a plan.
    scaling = () if is_being_deleted(owner) else _scaling(observed, pods)
    status = _status(observed, pods, len(terminating))
    status_change = (
        [] if status == owner.get("status") else [UpdateStatus(_RESOURCES[owner["kind"]], with_status(owner, status))]
    )
    changes += [*status_change, *scaling] if observed.failure else [*scaling, *status_change]
    return Plan(tuple(changes), soonest_seconds(pods, _min_ready_seconds(owner), observed.now))


def _selector(owner: Object) -> Object | None:
    selector: Object | None = owner["spec"].get("selector")
    return {"matchLabels": selector or {}} if owner["kind"] == _REPLICATION_CONTROLLER else selector


def _is_owned(pod: Object, owner: Object) -> bool:
    return bool((controller_of(pod) or {}).get("uid") == owner["metadata"]["uid"])


def _min_ready_seconds(owner: Object) -> int:
    return int(owner["spec"].get("minReadySeconds") or 0)


def _replicas(owner: Object) -> int:
    replicas = owner["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def _scaling(observed: Observed, pods: tuple[Object, ...]) -> tuple[Change, ...]:
    owner = observed.replica_set
    lacking = _replicas(owner) - len(pods)
    if lacking > 0:
        return tuple(_creation(owner) for _ in range(min(lacking, _BURST_REPLICAS)))
    surplus = min(-lacking, _BURST_REPLICAS)
    if not surplus:
        return ()
    doomed = deletion_order(pods, observed.related_pods, observed.now)[:surplus]
    return tuple(_deletion(owner, pod) for pod in doomed)


def _creation(owner: Object) -> Create:
    metadata = owner["metadata"]
    pod = pod_from_template(
        owner["spec"]["template"],
        {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "ownerReferences": [controller_reference(owner)],
        },
    )
    return Create(
        "pods",
        pod,
        Note(owner, "SuccessfulCreate", "Created pod: {name}"),
        Note(owner, "FailedCreate", "Error creating: {error}", "Warning"),
    )


def _deletion(owner: Object, pod: Object) -> Delete:
    return Delete(
        reference_of("pods", pod), pod["metadata"]["uid"], Note(owner, "SuccessfulDelete", "Deleted pod: {name}")
    )


def _status(observed: Observed, pods: tuple[Object, ...], terminating: int) -> Object:
    owner = observed.replica_set
    wanted = labels_of(owner["spec"]["template"])
    counts = {
        "fullyLabeledReplicas": sum(includes(labels_of(pod), wanted) for pod in pods),
        "readyReplicas": sum(is_ready(pod) for pod in pods),
        "availableReplicas": sum(is_available(pod, _min_ready_seconds(owner), observed.now) for pod in pods),
    }
    status: Object = {"replicas": len(pods)}
    if owner["kind"] != _REPLICATION_CONTROLLER:
        status["terminatingReplicas"] = terminating
    status |= {name: count for name, count in counts.items() if count}
    status["observedGeneration"] = owner["metadata"].get("generation", 1)
    conditions = _conditions(observed)
    if conditions:
        status["conditions"] = conditions
    return status


def _conditions(observed: Observed) -> list[Object]:
    current = (observed.replica_set.get("status") or {}).get("conditions") or []
    failed = observed.failure.change if observed.failure else None
    if observed.failure is None or not isinstance(failed, Create | Delete):
        return without_condition(current, "ReplicaFailure")
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "lastTransitionTime": format_time(observed.now),
        "reason": "FailedCreate" if isinstance(failed, Create) else "FailedDelete",
        "message": observed.failure.message,
    }
    return with_condition(current, condition)


class ReplicaSetController:
    """Feeds `plan` from the cache."""

    name = "replicaset-controller"
    kind = "ReplicaSet"

    @property
    def watches(self) -> tuple[str, ...]:
        """The resources that it is told about."""
        return (self._resource, "pods")

    @property
    def _resource(self) -> str:
        return _RESOURCES[self.kind]

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the set itself, or those that own or may adopt a pod."""
        if transition.resource == self._resource:
            return own_keys(transition)
        owners = keys_of_controllers(transition, self.kind)
        present = cache.objects_of(self._resource, transition.reference.namespace)
        selecting = (with_spec(each, selector=_selector(each)) for each in present)
        return owners + same_selection_keys(transition, selecting)

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one object; none for one that is gone."""
        owner = cache.get(self._resource, key.namespace, key.name)
        if owner is None:
            return Plan()
        candidates = [pod for pod in cache.objects_of("pods", key.namespace) if may_own(owner, pod)]
        return plan(Observed(owner, tuple(candidates), tuple(_related_pods(owner, cache)), now, failure))


class ReplicationManager(ReplicaSetController):
    """The same for ReplicationControllers."""

    name = "replication-controller"
    kind = _REPLICATION_CONTROLLER


def _related_pods(owner: Object, cache: Cache) -> list[Object]:
    uid = owner["metadata"]["uid"]
    controller = controller_of(owner)
    families = [owner] if controller is None else cache.owned(_RESOURCES[owner["kind"]], controller["uid"])
    uids = {uid, *(family["metadata"]["uid"] for family in families)}
    return [pod for each in sorted(uids) for pod in cache.owned("pods", each) if is_active(pod)]
