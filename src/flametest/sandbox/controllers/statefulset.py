"""StatefulSets: pods with a stable name and claims of their own, made, replaced and deleted in order.

`plan` follows the real controller (k8s.io/kubernetes, pkg/controller/statefulset): one step at a time when ordered, all
at once when Parallel; then, if nothing else is to be done, one pod of an old revision is deleted, from the highest
ordinal down to the partition. What a pod and its claims look like is in `ordinals`, revisions in `history`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Change, Create, Delete, Failure, Key, Note, Plan, UpdateStatus
from flametest.sandbox.controllers.history import History, history_of
from flametest.sandbox.controllers.metadata import (
    claim,
    is_being_deleted,
    keys_of_controllers,
    may_own,
    own_keys,
    reference_of,
    same_selection_keys,
    with_status,
)
from flametest.sandbox.controllers.ordinals import (
    claims_of,
    is_ordered,
    ordinal_of,
    partition_of,
    pod_of,
    revision_label_of,
    wanted_ordinals,
)
from flametest.sandbox.controllers.pods import is_available, is_ready, is_terminal, phase_of, soonest_seconds
from flametest.sandbox.objects import Object

__all__ = ["Observed", "StatefulSetController", "plan"]

RESOURCE = "statefulsets.apps"
REVISIONS = "controllerrevisions.apps"


@dataclass(frozen=True, slots=True)
class Observed:
    """What a decision about a StatefulSet rests on.

    Attributes:
        stateful_set: the object.
        pods: the pods of its namespace that it owns or might adopt.
        claims: the names of the claims of its namespace.
        revisions: its ControllerRevisions.
        now: the present time.
    """

    stateful_set: Object
    pods: tuple[Object, ...]
    claims: frozenset[str]
    revisions: tuple[Object, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class _Scene:
    """An `Observed` sorted out: pods by ordinal, the revisions, and how long a pod has to be ready."""

    owner: Object
    pods: dict[int, Object]
    claims: frozenset[str]
    history: History
    now: datetime

    @property
    def min_ready_seconds(self) -> int:
        return int(self.owner["spec"].get("minReadySeconds") or 0)

    def is_healthy(self, pod: Object) -> bool:
        return not is_being_deleted(pod) and phase_of(pod) == "Running" and self.is_available(pod)

    def is_available(self, pod: Object) -> bool:
        return is_available(pod, self.min_ready_seconds, self.now)


def plan(observed: Observed) -> Plan:
    """Return the next step of a StatefulSet, and its status."""
    owner = observed.stateful_set
    claimed = claim(owner, owner["spec"].get("selector"), "pods", observed.pods)
    pods = {ordinal: pod for pod in claimed.objects if (ordinal := ordinal_of(owner, pod)) is not None}
    history = history_of(owner, observed.revisions, REVISIONS)
    scene = _Scene(owner, pods, observed.claims, history, observed.now)
    changes: list[Change] = [*claimed.changes, *history.changes]
    if not is_being_deleted(owner):
        changes += _scaling(scene)
    status = _status(scene)
    if status != owner.get("status"):
        changes.append(UpdateStatus(RESOURCE, with_status(owner, status)))
    return Plan(tuple(changes), soonest_seconds(pods.values(), scene.min_ready_seconds, observed.now))


def _scaling(scene: _Scene) -> list[Change]:
    changes, waits = _replicas(scene)
    if waits:
        return changes
    condemned, waits = _condemned(scene)
    changes += condemned
    return changes if waits or changes else _updates(scene)


def _replicas(scene: _Scene) -> tuple[list[Change], bool]:
    """Return the changes that make the replicas that are wanted, and whether everything else has to wait."""
    changes: list[Change] = []
    ordered = is_ordered(scene.owner)
    for ordinal in wanted_ordinals(scene.owner):
        pod = scene.pods.get(ordinal)
        if pod is None:
            changes += _creation(scene, ordinal)
        elif is_terminal(pod) and not is_being_deleted(pod):
            changes.append(_deletion(scene.owner, pod))
        elif scene.is_healthy(pod):
            continue
        if ordered:
            return changes, True
    return changes, False


def _creation(scene: _Scene, ordinal: int) -> list[Change]:
    owner, revision = scene.owner, _revision_for(scene, ordinal)
    template = scene.history.template(revision)
    pod = pod_of(owner, template, revision, ordinal)
    name, of = pod["metadata"]["name"], f"in StatefulSet {owner['metadata']['name']}"
    changes: list[Change] = []
    for wanted in claims_of(owner, ordinal):
        claim_name = wanted["metadata"]["name"]
        if claim_name not in scene.claims:
            made = Note(owner, "SuccessfulCreate", f"create Claim {claim_name} Pod {name} {of} success")
            changes.append(Create("persistentvolumeclaims", wanted, made))
    made = Note(owner, "SuccessfulCreate", f"create Pod {name} {of} successful")
    failed = Note(owner, "FailedCreate", f"create Pod {name} {of} failed error: {{error}}", "Warning")
    return [*changes, Create("pods", pod, made, failed)]


def _revision_for(scene: _Scene, ordinal: int) -> str:
    """Return the revision of which a missing pod is made: below the partition, the one that was rolled out before."""
    return scene.history.current if ordinal < partition_of(scene.owner) else scene.history.update


def _deletion(owner: Object, pod: Object) -> Delete:
    message = f"delete Pod {pod['metadata']['name']} in StatefulSet {owner['metadata']['name']} successful"
    return Delete(reference_of("pods", pod), pod["metadata"]["uid"], Note(owner, "SuccessfulDelete", message))


def _condemned(scene: _Scene) -> tuple[list[Change], bool]:
    """Return the deletions of pods beyond the wanted ordinals, and whether updates have to wait."""
    wanted = set(wanted_ordinals(scene.owner))
    ordered = is_ordered(scene.owner)
    surplus = sorted((ordinal for ordinal in scene.pods if ordinal not in wanted), reverse=True)
    unhealthy = [ordinal for ordinal in sorted(scene.pods) if not scene.is_healthy(scene.pods[ordinal])]
    changes: list[Change] = []
    for ordinal in surplus:
        pod = scene.pods[ordinal]
        if not is_being_deleted(pod):
            # An unhealthy pod may go out of turn only if it is the first one that ails.
            if ordered and not scene.is_healthy(pod) and unhealthy[0] != ordinal:
                return changes, True
            changes.append(_deletion(scene.owner, pod))
        if ordered:
            return changes, True
    return changes, bool(surplus)


def _updates(scene: _Scene) -> list[Change]:
    if (scene.owner["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") != "RollingUpdate":
        return []
    for ordinal in sorted(wanted_ordinals(scene.owner), reverse=True):
        pod = scene.pods.get(ordinal)
        if ordinal < partition_of(scene.owner):
            break
        if pod is None or is_being_deleted(pod):
            return []
        if revision_label_of(pod) != scene.history.update:
            return [_deletion(scene.owner, pod)]
        if not scene.is_healthy(pod):
            return []
    return []


def _status(scene: _Scene) -> Object:
    owner, pods, history = scene.owner, list(scene.pods.values()), scene.history
    replicas, ready = len(pods), sum(is_ready(pod) and phase_of(pod) == "Running" for pod in pods)
    living = [pod for pod in pods if not is_being_deleted(pod)]
    current = sum(revision_label_of(pod) == history.current for pod in living)
    updated = sum(revision_label_of(pod) == history.update for pod in living)
    current_revision = history.current
    # A rollout ends when every replica is of the new revision and ready; with a partition it has no such end.
    if updated == replicas == ready and (replicas or history.is_first) and _rolls_by_itself(owner):
        current, current_revision = updated, history.update
    status: Object = {
        "observedGeneration": owner["metadata"].get("generation", 1),
        "replicas": replicas,
        "availableReplicas": sum(scene.is_available(pod) for pod in pods),
        "currentRevision": current_revision,
        "updateRevision": history.update,
        "collisionCount": 0,
    }
    counts = {"readyReplicas": ready, "currentReplicas": current, "updatedReplicas": updated}
    return status | {name: count for name, count in counts.items() if count}


def _rolls_by_itself(owner: Object) -> bool:
    return bool((owner["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


class StatefulSetController:
    """Feeds `plan` from the cache."""

    name = "statefulset-controller"
    watches = (RESOURCE, "pods", "persistentvolumeclaims", REVISIONS)

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the set itself, or those that own or may adopt a pod."""
        if transition.resource == RESOURCE:
            return own_keys(transition)
        if transition.resource != "pods":
            return ()  # Kept in the cache to be looked up; no change of theirs asks for action.
        owners = keys_of_controllers(transition, "StatefulSet")
        return owners + same_selection_keys(transition, cache.objects_of(RESOURCE, transition.reference.namespace))

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one StatefulSet; none for one that is gone."""
        owner = cache.get(RESOURCE, key.namespace, key.name)
        if owner is None:
            return Plan()
        pods = [pod for pod in cache.objects_of("pods", key.namespace) if may_own(owner, pod)]
        claims = frozenset(
            each["metadata"]["name"] for each in cache.objects_of("persistentvolumeclaims", key.namespace)
        )
        revisions = cache.owned(REVISIONS, owner["metadata"]["uid"])
        return plan(Observed(owner, tuple(pods), claims, tuple(revisions), now))
