"""Pods of a node that is not Ready: nobody vouches for them, so they are not Ready either.

Endpoints leave them out then. When the node comes back its agent tells how its pods really are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Change, Failure, Key, Note, Plan, UpdateStatus
from flametest.sandbox.controllers.metadata import condition_of, own_keys, with_status
from flametest.sandbox.controllers.pods import is_ready, is_terminal
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import format_time

__all__ = ["NodePodsController", "Observed", "plan"]


@dataclass(frozen=True, slots=True)
class Observed:
    """A node, the pods that are bound to it, and the present time."""

    node: Object
    pods: tuple[Object, ...]
    now: datetime


def plan(observed: Observed) -> Plan:
    """Return the changes that take readiness from the pods of a node that is not Ready."""
    if (condition_of(observed.node, "Ready") or {}).get("status") == "True":
        return Plan()
    changes: list[Change] = []
    for pod in observed.pods:
        if is_ready(pod) and not is_terminal(pod):
            changes += [
                UpdateStatus("pods", with_status(pod, _unready_status(pod, observed.now))),
                Note(pod, "NodeNotReady", "Node is not ready", "Warning"),
            ]
    return Plan(tuple(changes))


def _unready_status(pod: Object, now: datetime) -> Object:
    since = format_time(now)
    conditions = [
        {**each, "status": "False", "lastTransitionTime": since} if each["type"] == "Ready" else each
        for each in pod["status"]["conditions"]
    ]
    return {**pod["status"], "conditions": conditions}


class NodePodsController:
    """Feeds `plan` from the cache."""

    name = "node-controller"
    watches = ("nodes", "pods")

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the node itself, or that of a pod if it is not Ready."""
        if transition.resource == "nodes":
            return own_keys(transition)
        name = ((transition.after or {}).get("spec") or {}).get("nodeName")
        node = cache.get("nodes", "", name) if name else None
        if name is None or node is None or (condition_of(node, "Ready") or {}).get("status") == "True":
            return ()
        return (Key("", name),)

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one node; none for one that is gone."""
        node = cache.get("nodes", "", key.name)
        if node is None:
            return Plan()
        pods = tuple(pod for pod in cache.objects_of("pods") if pod["spec"].get("nodeName") == key.name)
        return plan(Observed(node, pods, now))
