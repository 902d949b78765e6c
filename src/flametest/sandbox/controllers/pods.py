"""What controllers ask about pods: active, ready, available, terminating. Pure functions of pod objects.

Definitions follow the real controllers' (k8s.io/kubernetes, pkg/controller and pkg/api/v1/pod).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from flametest.sandbox.controllers.metadata import condition_of, is_being_deleted, seconds_since
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import format_time

__all__ = [
    "available_in_seconds",
    "is_active",
    "is_available",
    "is_ready",
    "is_terminal",
    "is_terminating",
    "phase_of",
    "pod_from_template",
    "ready_since",
    "restart_count",
    "soonest_seconds",
    "with_disruption",
]


def phase_of(pod: Object) -> str:
    """Return the phase; Pending where none is set yet."""
    return (pod.get("status") or {}).get("phase") or "Pending"


def is_terminal(pod: Object) -> bool:
    """Return whether all containers have ended for good."""
    return phase_of(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    """Return whether the pod counts as a replica: neither ended nor being deleted."""
    return not is_terminal(pod) and not is_being_deleted(pod)


def is_terminating(pod: Object) -> bool:
    """Return whether the pod is being deleted while its containers may still run."""
    return is_being_deleted(pod) and not is_terminal(pod)


def is_ready(pod: Object) -> bool:
    """Return whether the pod's Ready condition is true."""
    return (condition_of(pod, "Ready") or {}).get("status") == "True"


def ready_since(pod: Object) -> str | None:
    """Return the API time since when the pod is ready, or None."""
    condition = condition_of(pod, "Ready")
    return condition.get("lastTransitionTime") if condition and condition["status"] == "True" else None


def available_in_seconds(pod: Object, min_ready_seconds: int, now: datetime) -> float | None:
    """Return after how many seconds a ready pod counts as available (0: it does); None for one that is not ready."""
    if not is_ready(pod):
        return None
    if not min_ready_seconds:
        return 0.0
    return max(min_ready_seconds - seconds_since(ready_since(pod), now), 0.0)


def is_available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    """Return whether the pod has been ready for at least ``min_ready_seconds``."""
    return available_in_seconds(pod, min_ready_seconds, now) == 0.0


def soonest_seconds(pods: Iterable[Object], min_ready_seconds: int, now: datetime) -> float | None:
    """Return after how many seconds the next ready pod becomes available; None if none is on its way there."""
    waits = [available_in_seconds(pod, min_ready_seconds, now) for pod in pods]
    return min((wait for wait in waits if wait), default=None)


def restart_count(pod: Object) -> int:
    """Return the highest restart count of the pod's containers."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return max((status.get("restartCount", 0) for status in statuses), default=0)


def with_disruption(pod: Object, reason: str, message: str, now: datetime) -> Object:
    """Return the pod with the condition that tells why the cluster itself ends it."""
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": format_time(now),
    }
    status = pod.get("status") or {}
    others = [each for each in status.get("conditions") or [] if each["type"] != "DisruptionTarget"]
    return {**pod, "status": {**status, "conditions": [*others, condition]}}


def pod_from_template(template: Mapping[str, Any], metadata: Mapping[str, Any]) -> Object:
    """Return a pod of a template, with the template's labels, annotations and finalizers, and ``metadata`` beside."""
    given = template.get("metadata") or {}
    taken = {key: given[key] for key in ("labels", "annotations", "finalizers") if given.get(key)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**taken, **metadata}, "spec": template["spec"]}
