"""Eviction by taint: a pod leaves a node with a NoExecute taint that it does not tolerate, or not for longer.

A node that falls silent or is not ready bears such a taint; pods tolerate it for 300 s unless they say otherwise,
which admission writes into them. The pod is deleted like any other, so a pod of a node that is really gone stays
Terminating until the node is back or its object is deleted.
Rules: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Delete, Failure, Key, Note, Plan, UpdateStatus
from flametest.sandbox.controllers.metadata import is_being_deleted, key_of, own_keys, reference_of, seconds_since
from flametest.sandbox.controllers.pods import is_terminal, with_disruption
from flametest.sandbox.objects import Object
from flametest.sandbox.placement import tolerates
from flametest.sandbox.timestamps import format_time

__all__ = ["EvictionController", "Observed", "plan"]


@dataclass(frozen=True, slots=True)
class Observed:
    """A pod, the NoExecute taints of its node, and the present time."""

    pod: Object
    taints: tuple[Object, ...]
    now: datetime


def plan(observed: Observed) -> Plan:
    """Return the deletion of a pod whose time on a tainted node is over, or when to look again."""
    pod = observed.pod
    if not observed.taints or is_being_deleted(pod) or is_terminal(pod):
        return Plan()
    stays = [_stay_seconds(pod["spec"].get("tolerations") or [], taint, observed.now) for taint in observed.taints]
    left = min((seconds for seconds in stays if seconds is not None), default=None)
    if left is None or left > 0:
        return Plan(revisit_seconds=left)
    message = "Taint manager: deleting due to NoExecute taint"
    marked = with_disruption(pod, "DeletionByTaintManager", message, observed.now)
    metadata = pod["metadata"]
    note = Note(pod, "TaintManagerEviction", f"Marking for deletion Pod {metadata['namespace']}/{metadata['name']}")
    return Plan((note, UpdateStatus("pods", marked), Delete(reference_of("pods", pod), metadata["uid"])))


def _stay_seconds(tolerations: list[Object], taint: Object, now: datetime) -> float | None:
    """Return how much longer a taint is tolerated; None for ever, 0 or less for no longer.

    Of several tolerations for the taint the shortest counts, and one without a time is for ever.
    """
    matching = [each for each in tolerations if tolerates([each], taint)]
    if not matching:
        return 0.0
    limits = [float(each["tolerationSeconds"]) for each in matching if each.get("tolerationSeconds") is not None]
    return min(limits) - seconds_since(taint.get("timeAdded"), now) if limits else None


class EvictionController:
    """Feeds `plan` from the cache."""

    name = "taint-eviction-controller"
    watches = ("nodes", "pods")

    def __init__(self) -> None:
        # Taints that people set bear no time; theirs is when they were first seen.
        self._since: dict[str, dict[tuple[str, str], str]] = {}

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the pod itself if its node is tainted, or the pods of a node whose taints have changed."""
        if transition.resource == "pods":
            node = _node_of(transition.after, cache)
            return own_keys(transition) if node is not None and _taints(node) else ()
        before, after = _taints(transition.before), _taints(transition.after)
        if before == after:
            return ()
        name = transition.reference.name
        return [key_of(pod) for pod in cache.objects_of("pods") if pod["spec"].get("nodeName") == name]

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one pod; none for one that is gone or on no node."""
        pod = cache.get("pods", key.namespace, key.name)
        node = _node_of(pod, cache)
        return Plan() if pod is None or node is None else plan(Observed(pod, self._timed(node, now), now))

    def _timed(self, node: Object, now: datetime) -> tuple[Object, ...]:
        name, taints = node["metadata"]["name"], _taints(node)
        known = self._since.get(name, {})
        since = {_identity(each): known.get(_identity(each), format_time(now)) for each in taints}
        self._since[name] = since
        return tuple({"timeAdded": since[_identity(each)], **each} for each in taints)


def _identity(taint: Object) -> tuple[str, str]:
    return taint["key"], taint.get("value") or ""


def _node_of(pod: Object | None, cache: Cache) -> Object | None:
    name = ((pod or {}).get("spec") or {}).get("nodeName")
    return cache.get("nodes", "", name) if name else None


def _taints(node: Object | None) -> tuple[Object, ...]:
    taints = ((node or {}).get("spec") or {}).get("taints") or []
    return tuple(taint for taint in taints if taint["effect"] == "NoExecute")
