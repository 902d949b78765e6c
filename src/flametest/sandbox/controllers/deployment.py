"""Deployments: one ReplicaSet a template, and a rollout from the old ones to the new.

`plan` follows the steps of the real controller (k8s.io/kubernetes, pkg/controller/deployment) and stops where that one
would come back after its own write, so that a watch shows the same intermediate states. The arithmetic is in `rollout`,
the conditions in `deployment_status`, names and revisions of ReplicaSets in `revisions`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Change, Create, Delete, Failure, Key, Note, Plan, Update, UpdateStatus
from flametest.sandbox.controllers.deployment_status import (
    has_deadline,
    is_complete,
    pause_conditions,
    rollout_status,
    seconds_until_stuck,
    synced_status,
    with_progress,
)
from flametest.sandbox.controllers.metadata import (
    annotations_of,
    claim,
    condition_of,
    controller_of,
    is_being_deleted,
    keys_of_controllers,
    own_keys,
    reference_of,
    same_selection_keys,
    with_annotations,
    with_spec,
    with_status,
)
from flametest.sandbox.controllers.pods import is_terminal
from flametest.sandbox.controllers.revisions import (
    REVISION_ANNOTATION,
    find_new,
    is_name_taken,
    new_replica_set,
    next_revision,
    refreshed,
    revision_of,
)
from flametest.sandbox.controllers.rollout import (
    Fleet,
    Sizes,
    counted,
    is_rolling,
    is_scaling_event,
    recreate_sizes,
    replicas_annotations,
    rolling_sizes,
    scaled_sizes,
    size_of,
    wanted_replicas,
)
from flametest.sandbox.labels import selects_everything
from flametest.sandbox.objects import Object

__all__ = ["DeploymentController", "Observed", "plan"]

RESOURCE = "deployments.apps"
REPLICA_SETS = "replicasets.apps"


@dataclass(frozen=True, slots=True)
class Observed:
    """What a decision about a Deployment rests on.

    Attributes:
        deployment: the object.
        replica_sets: all ReplicaSets of its namespace.
        pods: the pods of those that it owns.
        now: the present time.
        failure: why the last plan failed; None if it did not.
    """

    deployment: Object
    replica_sets: tuple[Object, ...]
    pods: tuple[Object, ...]
    now: datetime
    failure: Failure | None = None


def plan(observed: Observed) -> Plan:
    """Return the next step of a Deployment."""
    deployment = observed.deployment
    if selects_everything(deployment["spec"].get("selector")):
        message = "This deployment is selecting all pods. A non-empty selector is required."
        return Plan((Note(deployment, "SelectingAll", message, "Warning"),))
    claimed = claim(deployment, deployment["spec"]["selector"], REPLICA_SETS, observed.replica_sets)
    fleet = _fleet(deployment, claimed.objects)
    return _with_first(claimed.changes, _step(observed, fleet))


def _with_first(changes: tuple[Change, ...], rest: Plan) -> Plan:
    return Plan((*changes, *rest.changes), rest.revisit_seconds)


def _fleet(deployment: Object, replica_sets: tuple[Object, ...]) -> Fleet:
    new = find_new(deployment, replica_sets)
    return Fleet(deployment, new, tuple(each for each in replica_sets if each is not new))


def _step(observed: Observed, fleet: Fleet) -> Plan:
    deployment, now = observed.deployment, observed.now
    if is_being_deleted(deployment):
        return _told(fleet, synced_status(fleet, now), now)
    failed = observed.failure.change if observed.failure else None
    if isinstance(failed, Create) and observed.failure is not None:
        told = _creation_failure(observed, failed, observed.failure.message)
        if told is not None:
            return _with_first(told, _rollout_or_scale(observed, fleet))
    pausing = pause_conditions(deployment, now)
    if pausing is not None:
        return Plan((UpdateStatus(RESOURCE, with_status(deployment, pausing)),))
    return _rollout_or_scale(observed, fleet)


def _creation_failure(observed: Observed, failed: Create, error: str) -> tuple[Change, ...] | None:
    """Return the changes that tell of a ReplicaSet that could not be made; None if that is told already."""
    deployment = observed.deployment
    progressing = condition_of(deployment, "Progressing") or {}
    if progressing.get("reason") == "ReplicaSetCreateError" or not has_deadline(deployment):
        return None
    message = f'Failed to create new replica set "{failed.object["metadata"]["name"]}": {error}'
    status = with_progress(deployment, "False", "ReplicaSetCreateError", message, observed.now)
    return (UpdateStatus(RESOURCE, with_status(deployment, status)),)


def _rollout_or_scale(observed: Observed, fleet: Fleet) -> Plan:
    recorded = _recorded(fleet, observed.now)
    if recorded:
        return Plan(recorded)
    if observed.deployment["spec"].get("paused") or is_scaling_event(fleet):
        return _scale(fleet, observed.now)
    if is_rolling(observed.deployment):
        return _roll(observed, fleet)
    return _recreate(observed, fleet)


def _recorded(fleet: Fleet, now: datetime) -> tuple[Change, ...]:
    """Return the writes that note the new ReplicaSet's revision in it and in the Deployment; empty if they stand."""
    if fleet.new is None:
        return ()
    renewed = refreshed(fleet.deployment, fleet.new, next_revision(fleet.old))
    if renewed is not None:
        return (Update(REPLICA_SETS, renewed),)
    changes: list[Change] = []
    deployment = fleet.deployment
    revision = str(revision_of(fleet.new))
    if annotations_of(deployment).get(REVISION_ANNOTATION) != revision:
        deployment = with_annotations(deployment, {**annotations_of(deployment), REVISION_ANNOTATION: revision})
        changes.append(Update(RESOURCE, deployment))
    if has_deadline(deployment) and condition_of(deployment, "Progressing") is None:
        message = f'Found new replica set "{fleet.new["metadata"]["name"]}"'
        status = with_progress(deployment, "True", "FoundNewReplicaSet", message, now)
        changes.append(UpdateStatus(RESOURCE, with_status(deployment, status)))
    return tuple(changes)


def _scale(fleet: Fleet, now: datetime) -> Plan:
    changes = list(_resized(fleet, scaled_sizes(fleet)))
    if fleet.deployment["spec"].get("paused"):
        changes += _cleaned_up(fleet)
    return _with_first(tuple(changes), _told(fleet, synced_status(fleet, now), now))


def _roll(observed: Observed, fleet: Fleet) -> Plan:
    if fleet.new is None:
        return _creation(observed, fleet)
    return _finish(fleet, rolling_sizes(fleet), observed.now)


def _recreate(observed: Observed, fleet: Fleet) -> Plan:
    sizes = recreate_sizes(fleet)
    if not sizes and not _old_pods_run(observed, fleet):
        if fleet.new is None:
            return _creation(observed, fleet)
        sizes = {fleet.new["metadata"]["name"]: wanted_replicas(fleet.deployment)}
    return _finish(fleet, sizes, observed.now)


def _old_pods_run(observed: Observed, fleet: Fleet) -> bool:
    if counted(fleet.old, "replicas"):
        return True
    new_uid = fleet.new["metadata"]["uid"] if fleet.new else ""
    return any(not is_terminal(pod) and (controller_of(pod) or {}).get("uid") != new_uid for pod in observed.pods)


def _finish(fleet: Fleet, sizes: Sizes, now: datetime) -> Plan:
    changes = list(_resized(fleet, sizes))
    if not changes and is_complete(fleet.deployment, fleet.deployment.get("status") or {}):
        changes += _cleaned_up(fleet)
    return _with_first(tuple(changes), _told(fleet, rollout_status(fleet, now), now))


def _creation(observed: Observed, fleet: Fleet) -> Plan:
    deployment = fleet.deployment
    status: Object = deployment.get("status") or {}
    made = new_replica_set(fleet)
    name, size = made["metadata"]["name"], size_of(made)
    if is_name_taken(name, observed.replica_sets):
        collided = {**status, "collisionCount": status.get("collisionCount", 0) + 1}
        return Plan((UpdateStatus(RESOURCE, with_status(deployment, collided)),))
    note = Note(deployment, "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {size}") if size else None
    failure = Note(
        deployment, "ReplicaSetCreateError", f'Failed to create new replica set "{name}": {{error}}', "Warning"
    )
    changes: list[Change] = [Create(REPLICA_SETS, made, note, failure)]
    revision = annotations_of(made)[REVISION_ANNOTATION]
    annotated = with_annotations(deployment, {**annotations_of(deployment), REVISION_ANNOTATION: revision})
    changes.append(Update(RESOURCE, annotated))
    if has_deadline(deployment):
        message = f'Created new replica set "{name}"'
        status = with_progress(deployment, "True", "NewReplicaSetCreated", message, observed.now)
        changes.append(UpdateStatus(RESOURCE, with_status(annotated, status)))
    return Plan(tuple(changes))


def _resized(fleet: Fleet, sizes: Sizes) -> Iterable[Change]:
    annotations = replicas_annotations(fleet.deployment)
    for each in fleet.all:
        name, before = each["metadata"]["name"], size_of(each)
        after = sizes.get(name, before)
        told = {**annotations_of(each), **annotations}
        if name not in sizes or (after == before and told == annotations_of(each)):
            continue
        direction = "up" if after > before else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {after}"
        note = None if after == before else Note(fleet.deployment, "ScalingReplicaSet", message)
        yield Update(REPLICA_SETS, with_spec(with_annotations(each, told), replicas=after), note)


def _cleaned_up(fleet: Fleet) -> list[Change]:
    """Return the deletions of old ReplicaSets beyond the history limit that have no pods left."""
    limit = fleet.deployment["spec"].get("revisionHistoryLimit")
    alive = sorted((each for each in fleet.old if not is_being_deleted(each)), key=revision_of)
    surplus = 0 if limit is None else max(len(alive) - int(limit), 0)
    return [
        Delete(reference_of(REPLICA_SETS, each), each["metadata"]["uid"])
        for each in alive[:surplus]
        if size_of(each) == 0 and not counted((each,), "replicas") and _is_observed(each)
    ]


def _is_observed(obj: Object) -> bool:
    observed = (obj.get("status") or {}).get("observedGeneration", 0)
    return bool(observed >= obj["metadata"].get("generation", 1))


def _told(fleet: Fleet, status: Object, now: datetime) -> Plan:
    deployment = fleet.deployment
    changes: tuple[Change, ...] = ()
    if status != (deployment.get("status") or {}):
        changes = (UpdateStatus(RESOURCE, with_status(deployment, status)),)
    return Plan(changes, seconds_until_stuck(deployment, status, now))


class DeploymentController:
    """Feeds `plan` from the cache."""

    name = "deployment-controller"
    watches = (RESOURCE, REPLICA_SETS, "pods")

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the Deployment itself, that of a ReplicaSet, or, when a pod goes, that of its ReplicaSet."""
        if transition.resource == RESOURCE:
            return own_keys(transition)
        namespace = transition.reference.namespace
        if transition.resource == REPLICA_SETS:
            owners = keys_of_controllers(transition, "Deployment")
            return owners + same_selection_keys(transition, cache.objects_of(RESOURCE, namespace))
        if transition.after is not None and not is_terminal(transition.after):
            return ()
        # Only Recreate waits for the last old pod to be gone; all else shows in the ReplicaSets' status.
        sets = [cache.get(REPLICA_SETS, *_pair(key)) for key in keys_of_controllers(transition, "ReplicaSet")]
        owners = [owner for each in sets if each and (owner := _owner_key(each, namespace))]
        return [key for key in owners if _recreates(cache.get(RESOURCE, *_pair(key)))]

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one Deployment; none for one that is gone."""
        deployment = cache.get(RESOURCE, key.namespace, key.name)
        if deployment is None:
            return Plan()
        owned = cache.owned(REPLICA_SETS, deployment["metadata"]["uid"])
        pods = () if is_rolling(deployment) else (pod for each in owned for pod in _pods_of(each, cache))
        return plan(
            Observed(deployment, tuple(cache.objects_of(REPLICA_SETS, key.namespace)), tuple(pods), now, failure)
        )


def _pair(key: Key) -> tuple[str, str]:
    return key.namespace, key.name


def _owner_key(replica_set: Object, namespace: str) -> Key | None:
    owner = controller_of(replica_set)
    return Key(namespace, owner["name"]) if owner and owner["kind"] == "Deployment" else None


def _recreates(deployment: Object | None) -> bool:
    return deployment is not None and not is_rolling(deployment)


def _pods_of(replica_set: Object, cache: Cache) -> list[Object]:
    return cache.owned("pods", replica_set["metadata"]["uid"])
