"""Nodes: one whose agent no longer reports is Unknown, and one that is not Ready is tainted.

The agent's Lease in kube-node-lease is its heartbeat. A node without a Lease is judged by its own condition alone.
Heartbeats come every second and silence is taken for loss after five, a tenth of the real defaults: on a real cluster
both are flags, and most of a minute in which nothing happens teaches nobody anything.
Rules: https://kubernetes.io/docs/reference/node/node-status/ and the real node lifecycle controller.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Change, Failure, Key, Note, Plan, Update, UpdateStatus
from flametest.sandbox.controllers.metadata import condition_of, own_keys, seconds_since, with_spec, with_status
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import format_time

__all__ = ["NodeController", "Observed", "plan"]

LEASES = "leases.coordination.k8s.io"
LEASE_NAMESPACE = "kube-node-lease"

# A tenth of the real controller's default (--node-monitor-grace-period).
_GRACE_SECONDS = 5.0
# While a node is silent it is looked at so often. A look that comes much later than that shows that this process
# itself was held up, agent and all: then silence proves nothing, and the node gets time for another heartbeat.
_LOOK_SECONDS = 1.0
_HELD_UP_SECONDS = 2.5

# The conditions that an agent reports.
_REPORTED_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")

_NOT_READY = "node.kubernetes.io/not-ready"
_UNREACHABLE = "node.kubernetes.io/unreachable"
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_OWN_TAINTS = (_NOT_READY, _UNREACHABLE, _UNSCHEDULABLE)


@dataclass(frozen=True, slots=True)
class Observed:
    """A node, its Lease (None: none), the present time, and how long ago the node was looked at before."""

    node: Object
    lease: Object | None
    now: datetime
    unseen_seconds: float = 0.0


def plan(observed: Observed) -> Plan:
    """Return what a node's silence, or its return, changes in its conditions and taints."""
    node = observed.node
    changes: list[Change] = []
    silence_seconds = _silence_seconds(observed)
    held_up = observed.unseen_seconds > _HELD_UP_SECONDS
    lost = silence_seconds is not None and silence_seconds >= _GRACE_SECONDS and not held_up
    if lost and (condition_of(node, "Ready") or {}).get("status") != "Unknown":
        node = with_status(node, _unknown_status(node, observed.now))
        message = f"Node {node['metadata']['name']} status is now: NodeNotReady"
        changes += [UpdateStatus("nodes", node), Note(node, "NodeNotReady", message)]
    taints = _taints(node, observed.now)
    if taints != ((node.get("spec") or {}).get("taints") or []):
        changes.append(Update("nodes", with_spec(node, taints=taints)))
    if silence_seconds is None or lost:
        return Plan(tuple(changes))
    # Not sooner than there could be a heartbeat.
    left = _LOOK_SECONDS if held_up else _GRACE_SECONDS - silence_seconds
    return Plan(tuple(changes), min(left, _LOOK_SECONDS))


def _silence_seconds(observed: Observed) -> float | None:
    renewed = (observed.lease or {}).get("spec", {}).get("renewTime")
    return seconds_since(renewed, observed.now) if renewed else None


def _unknown_status(node: Object, now: datetime) -> Object:
    status: Object = node.get("status") or {}
    return {**status, "conditions": [_unknown(each, now) for each in status.get("conditions") or []]}


def _unknown(condition: Object, now: datetime) -> Object:
    if condition["type"] not in _REPORTED_CONDITIONS:
        return condition
    return {
        **condition,
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
        "lastTransitionTime": format_time(now),
    }


def _taints(node: Object, now: datetime) -> list[Object]:
    spec: Object = node.get("spec") or {}
    held: list[Object] = spec.get("taints") or []
    ready = (condition_of(node, "Ready") or {}).get("status", "Unknown")
    wanted = {"False": [_NOT_READY], "Unknown": [_UNREACHABLE]}.get(ready, [])
    pairs = [(key, effect) for key in wanted for effect in ("NoSchedule", "NoExecute")]
    if spec.get("unschedulable"):
        pairs.append((_UNSCHEDULABLE, "NoSchedule"))
    kept = [each for each in held if each["key"] not in _OWN_TAINTS or (each["key"], each["effect"]) in pairs]
    have = {(each["key"], each["effect"]) for each in kept}
    missing = [pair for pair in pairs if pair not in have]
    added = [{"key": key, "effect": effect, "timeAdded": format_time(now)} for key, effect in missing]
    return [*kept, *added]


class NodeController:
    """Feeds `plan` from the cache."""

    name = "node-controller"
    watches = ("nodes", LEASES)

    def __init__(self) -> None:
        self._seen: dict[str, datetime] = {}

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the node itself, or that of a Lease."""
        if transition.resource == "nodes":
            return own_keys(transition)
        reference = transition.reference
        return (Key("", reference.name),) if reference.namespace == LEASE_NAMESPACE else ()

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one node; none for one that is gone."""
        node = cache.get("nodes", "", key.name)
        if node is None:
            self._seen.pop(key.name, None)
            return Plan()
        before, self._seen[key.name] = self._seen.get(key.name, now), now
        unseen_seconds = (now - before).total_seconds()
        return plan(Observed(node, cache.get(LEASES, LEASE_NAMESPACE, key.name), now, unseen_seconds))
