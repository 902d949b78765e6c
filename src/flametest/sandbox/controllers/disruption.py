"""Disruption budgets: how many pods may be evicted now. The API server's eviction reads what is counted here.

Rules: https://kubernetes.io/docs/tasks/run-application/configure-pdb/ and the real controller (k8s.io/kubernetes,
pkg/controller/disruption).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Failure, Key, Plan, UpdateStatus
from flametest.sandbox.controllers.kinds import kind_named
from flametest.sandbox.controllers.metadata import (
    controller_of,
    find_condition,
    is_being_deleted,
    key_of,
    own_keys,
    with_condition,
    with_status,
)
from flametest.sandbox.controllers.percentages import scaled_value
from flametest.sandbox.controllers.pods import is_ready, is_terminal, phase_of
from flametest.sandbox.labels import labels_of, selector_matches
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import format_time, parse_time

__all__ = ["DisruptionController", "Observed", "plan"]

RESOURCE = "poddisruptionbudgets.policy"

# How long an eviction that was granted is counted although its pod's deletion is not seen yet (DeletionTimeout).
_EVICTION_SECONDS_MAX = 120


@dataclass(frozen=True, slots=True)
class Observed:
    """What a budget's status rests on.

    Attributes:
        budget: the object.
        pods: the pods that it selects.
        scale: how many pods their controllers want, together; None where a pod has no controller with a scale.
        now: the present time.
    """

    budget: Object
    pods: tuple[Object, ...]
    scale: int | None
    now: datetime


def plan(observed: Observed) -> Plan:
    """Return the update of a budget's status, if it changed."""
    budget = observed.budget
    status = _status(observed)
    if status == (budget.get("status") or {}):
        return Plan()
    return Plan((UpdateStatus(RESOURCE, with_status(budget, status)),))


def _status(observed: Observed) -> Object:
    before: Object = observed.budget.get("status") or {}
    counted = [pod for pod in observed.pods if not is_terminal(pod)]
    expected, desired = _expectations(observed, len(counted))
    evicted = _pending_evictions(before.get("disruptedPods") or {}, counted, observed.now)
    healthy = sum(_is_healthy(pod) and pod["metadata"]["name"] not in evicted for pod in counted)
    allowed = max(healthy - desired, 0) if expected > 0 else 0
    status: Object = {
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "observedGeneration": observed.budget["metadata"].get("generation", 1),
        "conditions": _conditions(observed, allowed),
    }
    return status | ({"disruptedPods": evicted} if evicted else {})


def _is_healthy(pod: Object) -> bool:
    return is_ready(pod) and not is_being_deleted(pod) and phase_of(pod) == "Running"


def _expectations(observed: Observed, pods: int) -> tuple[int, int]:
    """Return how many pods there should be, and how many of them have to stay healthy."""
    spec: Object = observed.budget.get("spec") or {}
    minimum, maximum = spec.get("minAvailable"), spec.get("maxUnavailable")
    if maximum is not None:
        expected = observed.scale or 0
        return expected, max(expected - scaled_value(maximum, expected, round_up=True), 0)
    if isinstance(minimum, int):
        return pods, minimum
    expected = observed.scale or 0
    return expected, scaled_value(minimum, expected, round_up=True, default=1)


def _pending_evictions(granted: dict[str, str], pods: list[Object], now: datetime) -> dict[str, str]:
    remaining = {pod["metadata"]["name"] for pod in pods if not is_being_deleted(pod)}
    oldest = now - timedelta(seconds=_EVICTION_SECONDS_MAX)
    return {name: since for name, since in granted.items() if name in remaining and parse_time(since) > oldest}


def _conditions(observed: Observed, allowed: int) -> list[Object]:
    current = (observed.budget.get("status") or {}).get("conditions") or []
    generation = observed.budget["metadata"].get("generation", 1)
    condition = {
        "type": "DisruptionAllowed",
        "status": "True" if allowed else "False",
        "observedGeneration": generation,
        "lastTransitionTime": format_time(observed.now),
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
    }
    told = find_condition(current, "DisruptionAllowed") or {}
    if told.get("observedGeneration") != generation and told.get("status") == condition["status"]:
        condition["lastTransitionTime"] = told["lastTransitionTime"]
        return [condition]
    return with_condition(current, condition)


class DisruptionController:
    """Feeds `plan` from the cache."""

    name = "disruption-controller"
    watches = (
        RESOURCE,
        "pods",
        "replicasets.apps",
        "replicationcontrollers",
        "deployments.apps",
        "statefulsets.apps",
    )

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the budget itself, those that select a pod, or all beside a workload whose scale may have changed."""
        if transition.resource == RESOURCE:
            return own_keys(transition)
        budgets = cache.objects_of(RESOURCE, transition.reference.namespace)
        if transition.resource != "pods":
            specs = [state["spec"].get("replicas") for state in transition.states]
            return [key_of(budget) for budget in budgets] if len(set(specs)) > 1 else ()
        return [key_of(each) for each in budgets if any(_selects(each, state) for state in transition.states)]

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one budget; none for one that is gone."""
        budget = cache.get(RESOURCE, key.namespace, key.name)
        if budget is None:
            return Plan()
        pods = tuple(pod for pod in cache.objects_of("pods", key.namespace) if _selects(budget, pod))
        return plan(Observed(budget, pods, _scale(pods, cache), now))


def _selects(budget: Object, pod: Object) -> bool:
    return selector_matches((budget.get("spec") or {}).get("selector"), labels_of(pod))


def _scale(pods: Iterable[Object], cache: Cache) -> int | None:
    scales: dict[str, int] = {}
    for pod in pods:
        workload = _workload_of(pod, cache)
        if workload is None:
            return None
        scales[workload["metadata"]["uid"]] = int(workload["spec"].get("replicas") or 0)
    return sum(scales.values())


def _workload_of(obj: Object, cache: Cache) -> Object | None:
    """Return the topmost controller of a pod that has a scale: the Deployment of a ReplicaSet, if there is one."""
    reference = controller_of(obj)
    kind = None if reference is None else kind_named(reference["apiVersion"], reference["kind"])
    if reference is None or kind is None:
        return None
    found = cache.get(kind.resource, obj["metadata"]["namespace"], reference["name"])
    if found is None or "replicas" not in found["spec"]:
        return None
    return _workload_of(found, cache) or found
