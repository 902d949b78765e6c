"""DaemonSets: one pod on every node that will have it.

A pod is bound to its node by a node affinity to the node's name, and the scheduler does the rest. Rules: the real
controller (k8s.io/kubernetes, pkg/controller/daemon). A surge is not done: an update deletes first, then makes again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Change, Create, Delete, Failure, Key, Note, Plan, UpdateStatus
from flametest.sandbox.controllers.history import History, history_of
from flametest.sandbox.controllers.metadata import (
    age_order,
    annotations_of,
    claim,
    controller_reference,
    is_being_deleted,
    key_of,
    keys_of_controllers,
    may_own,
    own_keys,
    reference_of,
    with_status,
)
from flametest.sandbox.controllers.percentages import scaled_value
from flametest.sandbox.controllers.pods import is_available, is_ready, is_terminal, pod_from_template, soonest_seconds
from flametest.sandbox.labels import labels_of
from flametest.sandbox.objects import Object
from flametest.sandbox.placement import selects_node, untolerated_taint

__all__ = ["DaemonSetController", "Observed", "plan"]

RESOURCE = "daemonsets.apps"
REVISIONS = "controllerrevisions.apps"
_HASH_LABEL = "controller-revision-hash"
_GENERATION_LABEL = "pod-template-generation"
_GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"

# What every daemon tolerates, so that it stays where others have to go.
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


@dataclass(frozen=True, slots=True)
class Observed:
    """What a decision about a DaemonSet rests on: it, the nodes, its pods, its ControllerRevisions, the time."""

    daemon_set: Object
    nodes: tuple[Object, ...]
    pods: tuple[Object, ...]
    revisions: tuple[Object, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class _Scene:
    """An `Observed` sorted out: pods by the node that they are on or meant for."""

    owner: Object
    wanted: tuple[str, ...]
    on_node: dict[str, list[Object]]
    history: History
    now: datetime

    @property
    def digest(self) -> str:
        return self.history.update.removeprefix(f"{self.owner['metadata']['name']}-")

    @property
    def min_ready_seconds(self) -> int:
        return int(self.owner["spec"].get("minReadySeconds") or 0)

    def is_available(self, pod: Object) -> bool:
        return not is_being_deleted(pod) and is_available(pod, self.min_ready_seconds, self.now)

    def is_updated(self, pod: Object) -> bool:
        return labels_of(pod).get(_HASH_LABEL) == self.digest


def plan(observed: Observed) -> Plan:
    """Return the changes that bring one pod to each node, and the status."""
    owner = observed.daemon_set
    claimed = claim(owner, owner["spec"]["selector"], "pods", observed.pods)
    history = history_of(owner, observed.revisions, REVISIONS)
    on_node: dict[str, list[Object]] = {}
    for pod in sorted(claimed.objects, key=age_order):
        on_node.setdefault(_node_of(pod), []).append(pod)
    spec = _tolerant(owner["spec"]["template"]["spec"])
    wanted = tuple(node["metadata"]["name"] for node in observed.nodes if _should_run(spec, node))
    scene = _Scene(owner, wanted, on_node, history, observed.now)
    changes: list[Change] = [*claimed.changes, *history.changes]
    if not is_being_deleted(owner):
        changes += _placements(scene, {node["metadata"]["name"]: node for node in observed.nodes}) or _updates(scene)
    status = _status(scene)
    if status != owner.get("status"):
        changes.append(UpdateStatus(RESOURCE, with_status(owner, status)))
    return Plan(tuple(changes), soonest_seconds(claimed.objects, scene.min_ready_seconds, observed.now))


def _tolerant(pod_spec: Object) -> Object:
    added = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in _TOLERATED]
    return {**pod_spec, "tolerations": [*(pod_spec.get("tolerations") or []), *added]}


def _should_run(pod_spec: Object, node: Object) -> bool:
    blocked = untolerated_taint(pod_spec, node, ("NoSchedule", "NoExecute"))
    return selects_node(pod_spec, node) and blocked is None


def _should_stay(pod_spec: Object, node: Object | None) -> bool:
    if node is None:
        return False
    return selects_node(pod_spec, node) and untolerated_taint(pod_spec, node, ("NoExecute",)) is None


def _node_of(pod: Object) -> str:
    """Return the node that a pod is on, or for which it was made."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or []
    fields = [field for term in terms for field in term.get("matchFields") or []]
    return next((field["values"][0] for field in fields if field["key"] == "metadata.name"), "")


def _placements(scene: _Scene, nodes: dict[str, Object]) -> list[Change]:
    changes: list[Change] = []
    spec = _tolerant(scene.owner["spec"]["template"]["spec"])
    for name in sorted({*scene.wanted, *scene.on_node}):
        present = scene.on_node.get(name, [])
        ended = [pod for pod in present if is_terminal(pod) and not is_being_deleted(pod)]
        changes += [_deletion(scene.owner, pod) for pod in ended]
        living = [pod for pod in present if not is_being_deleted(pod) and pod not in ended]
        if not _should_stay(spec, nodes.get(name)):
            changes += [_deletion(scene.owner, pod) for pod in living]
        elif not present and name in scene.wanted:
            changes.append(_creation(scene, name))
        else:
            changes += [_deletion(scene.owner, pod) for pod in living[1:]]
    return changes


def _creation(scene: _Scene, node: str) -> Create:
    owner, metadata = scene.owner, scene.owner["metadata"]
    template = owner["spec"]["template"]
    generation = annotations_of(owner).get(_GENERATION_ANNOTATION, "1")
    pod = pod_from_template(
        template,
        {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": {**labels_of(template), _HASH_LABEL: scene.digest, _GENERATION_LABEL: generation},
            "ownerReferences": [controller_reference(owner)],
        },
    )
    spec = _pinned(_tolerant(pod["spec"]), node)
    failed = Note(owner, "FailedCreate", "Error creating: {error}", "Warning")
    return Create("pods", {**pod, "spec": spec}, Note(owner, "SuccessfulCreate", "Created pod: {name}"), failed)


def _pinned(pod_spec: Object, node: str) -> Object:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    affinity: Object = pod_spec.get("affinity") or {}
    to_nodes = {
        **(affinity.get("nodeAffinity") or {}),
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]},
    }
    return {**pod_spec, "affinity": {**affinity, "nodeAffinity": to_nodes}}


def _deletion(owner: Object, pod: Object) -> Delete:
    note = Note(owner, "SuccessfulDelete", "Deleted pod: {name}")
    return Delete(reference_of("pods", pod), pod["metadata"]["uid"], note)


def _updates(scene: _Scene) -> list[Change]:
    strategy = scene.owner["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return []
    limit = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1)
    budget = scaled_value(limit, len(scene.wanted), round_up=True)
    outdated: list[Object] = []
    for name in scene.wanted:
        pod = next(iter(scene.on_node.get(name, [])), None)
        if pod is None or is_being_deleted(pod):
            budget -= 1
        elif not scene.is_updated(pod):
            # One that serves nobody may go at once; it takes from the budget all the same.
            outdated.append(pod)
        elif not scene.is_available(pod):
            budget -= 1
    outdated.sort(key=scene.is_available)
    return [_deletion(scene.owner, pod) for pod in outdated[: max(budget, 0)]]


def _status(scene: _Scene) -> Object:
    owner = scene.owner
    chosen = [pods[0] for name in scene.wanted if (pods := scene.on_node.get(name))]
    misplaced = sum(bool(pods) for name, pods in scene.on_node.items() if name not in scene.wanted)
    available = sum(scene.is_available(pod) for pod in chosen)
    status: Object = {
        "currentNumberScheduled": len(chosen),
        "numberMisscheduled": misplaced,
        "desiredNumberScheduled": len(scene.wanted),
        "numberReady": sum(is_ready(pod) and not is_being_deleted(pod) for pod in chosen),
        "observedGeneration": owner["metadata"].get("generation", 1),
    }
    counts = {
        "updatedNumberScheduled": sum(scene.is_updated(pod) for pod in chosen),
        "numberAvailable": available,
        "numberUnavailable": len(scene.wanted) - available,
    }
    return status | {name: count for name, count in counts.items() if count}


class DaemonSetController:
    """Feeds `plan` from the cache."""

    name = "daemonset-controller"
    watches = (RESOURCE, "nodes", "pods", REVISIONS)

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the set itself, that of a pod, or all when a node comes, goes or changes what it takes."""
        if transition.resource == RESOURCE:
            return own_keys(transition)
        if transition.resource == "pods":
            return keys_of_controllers(transition, "DaemonSet")
        if transition.resource != "nodes":
            return ()  # Revisions are looked up only.
        # What a node takes is looked at when it comes, goes or changes; a heartbeat changes nothing of that.
        if len(transition.states) == 2 and len({_admission(state) for state in transition.states}) == 1:
            return ()
        return [key_of(each) for each in cache.objects_of(RESOURCE)]

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one DaemonSet; none for one that is gone."""
        owner = cache.get(RESOURCE, key.namespace, key.name)
        if owner is None:
            return Plan()
        pods = tuple(pod for pod in cache.objects_of("pods", key.namespace) if may_own(owner, pod))
        revisions = tuple(cache.owned(REVISIONS, owner["metadata"]["uid"]))
        return plan(Observed(owner, tuple(cache.objects_of("nodes")), pods, revisions, now))


def _admission(node: Object) -> tuple[str, str]:
    """Return what of a node decides which pods it takes; the rest changes with every heartbeat."""
    return repr(sorted(labels_of(node).items())), repr((node.get("spec") or {}).get("taints") or [])
