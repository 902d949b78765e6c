"""Pods that no agent will ever let go: their node's object is gone, or somebody has declared their node dead.

They are removed at once, without grace: those of a node that was deleted a little after it, so that a node that is
recreated keeps its pods, and those that are being deleted on a node with the taint node.kubernetes.io/out-of-service.
Rules: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Change, Delete, Failure, Key, Plan, UpdateStatus
from flametest.sandbox.controllers.metadata import condition_of, is_being_deleted, own_keys, reference_of
from flametest.sandbox.controllers.pods import is_terminal, with_disruption
from flametest.sandbox.objects import Object

__all__ = ["Observed", "PodGarbageController", "plan"]

# The real collector waits 40 s; shortened like everything about nodes (flametest.sandbox.controllers.nodes).
_QUARANTINE_SECONDS = 4.0
_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


@dataclass(frozen=True, slots=True)
class Observed:
    """The pods bound to one node name, the node (None: gone), for how long it has been gone, and the present time."""

    pods: tuple[Object, ...]
    node: Object | None
    gone_seconds: float
    now: datetime


def plan(observed: Observed) -> Plan:
    """Return the removal of the pods that are lost."""
    if not observed.pods:
        return Plan()
    if observed.node is not None:
        dead = _is_out_of_service(observed.node)
        lost = [pod for pod in observed.pods if dead and is_being_deleted(pod)]
        return Plan(tuple(change for pod in lost for change in _removal(pod)))
    left = _QUARANTINE_SECONDS - observed.gone_seconds
    if left > 0:
        return Plan(revisit_seconds=left)
    message = "PodGC: node no longer exists"
    changes: list[Change] = []
    for pod in observed.pods:
        if not is_terminal(pod):
            marked = with_disruption(pod, "DeletionByPodGC", message, observed.now)
            changes.append(UpdateStatus("pods", {**marked, "status": {**marked["status"], "phase": "Failed"}}))
        changes += _removal(pod)
    return Plan(tuple(changes))


def _removal(pod: Object) -> list[Change]:
    return [Delete(reference_of("pods", pod), pod["metadata"]["uid"], grace_seconds=0)]


def _is_out_of_service(node: Object) -> bool:
    unready = (condition_of(node, "Ready") or {}).get("status") != "True"
    taints = (node.get("spec") or {}).get("taints") or []
    return unready and any(taint["key"] == _OUT_OF_SERVICE for taint in taints)


class PodGarbageController:
    """Feeds `plan` from the cache; remembers since when a node has been gone."""

    name = "pod-garbage-collector"
    watches = ("nodes", "pods")

    def __init__(self) -> None:
        self._gone_since: dict[str, datetime] = {}

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the node itself, or the node name of a pod that may be lost."""
        if transition.resource == "nodes":
            return own_keys(transition)
        pod = transition.after
        name = ((pod or {}).get("spec") or {}).get("nodeName")
        if pod is None or not name:
            return ()
        node = cache.get("nodes", "", name)
        return (Key("", name),) if node is None or (is_being_deleted(pod) and _is_out_of_service(node)) else ()

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for the pods of one node name."""
        node = cache.get("nodes", "", key.name)
        pods = tuple(pod for pod in cache.objects_of("pods") if pod["spec"].get("nodeName") == key.name)
        if node is not None or not pods:
            self._gone_since.pop(key.name, None)
            gone_seconds = 0.0
        else:
            gone_seconds = (now - self._gone_since.setdefault(key.name, now)).total_seconds()
        return plan(Observed(pods, node, gone_seconds, now))
