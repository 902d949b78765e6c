"""The status of a Deployment: counts, and the conditions Available, Progressing and ReplicaFailure.

Pure functions, by the rules of the real controller (k8s.io/kubernetes, pkg/controller/deployment).
`kubectl rollout status` reads what is written here.
"""

from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.controllers.metadata import (
    condition_of,
    find_condition,
    seconds_since,
    with_condition,
    without_condition,
)
from flametest.sandbox.controllers.rollout import Fleet, counted, max_unavailable, size_of, wanted_replicas
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import format_time

__all__ = [
    "condition",
    "deadline_seconds",
    "has_deadline",
    "is_complete",
    "pause_conditions",
    "rollout_status",
    "seconds_until_stuck",
    "synced_status",
    "with_progress",
]

# The API's way to say that there is no deadline.
_NO_DEADLINE_SECONDS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Reason:
    status: str
    reason: str
    message: str


def deadline_seconds(deployment: Object) -> int | None:
    """Return within how many seconds a rollout has to get on; None for no deadline."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == _NO_DEADLINE_SECONDS else int(seconds)


def has_deadline(deployment: Object) -> bool:
    """Return whether progress is watched over."""
    return deadline_seconds(deployment) is not None


def condition(kind: str, status: str, reason: str, message: str, now: datetime) -> Object:
    """Return a condition of a Deployment, with both of its times at ``now``."""
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": format_time(now),
        "lastTransitionTime": format_time(now),
        "reason": reason,
        "message": message,
    }


def with_progress(deployment: Object, status: str, reason: str, message: str, now: datetime) -> Object:
    """Return the present status with this Progressing condition."""
    current: Object = deployment.get("status") or {}
    progress = condition("Progressing", status, reason, message, now)
    return {**current, "conditions": with_condition(current.get("conditions") or [], progress)}


def pause_conditions(deployment: Object, now: datetime) -> Object | None:
    """Return the status that tells of a pause or of its end; None if it is told already."""
    progressing = condition_of(deployment, "Progressing") or {}
    paused, told = bool(deployment["spec"].get("paused")), progressing.get("reason") == "DeploymentPaused"
    if not has_deadline(deployment) or progressing.get("reason") == "ProgressDeadlineExceeded" or paused == told:
        return None
    reason, message = ("DeploymentPaused", "paused") if paused else ("DeploymentResumed", "resumed")
    return with_progress(deployment, "Unknown", reason, f"Deployment is {message}", now)


def is_complete(deployment: Object, status: Object) -> bool:
    """Return whether every replica is of the present template and available, and none of another is left."""
    wanted = wanted_replicas(deployment)
    return bool(
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
    )


def synced_status(fleet: Fleet, now: datetime) -> Object:
    """Return the counts and the Available condition; the other conditions stay as they are."""
    deployment, sets = fleet.deployment, fleet.all
    current: Object = deployment.get("status") or {}
    available = counted(sets, "availableReplicas")
    counts = {
        "replicas": counted(sets, "replicas"),
        "updatedReplicas": counted((fleet.new,), "replicas") if fleet.new else 0,
        "readyReplicas": counted(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(sum(size_of(each) for each in sets) - available, 0),
    }
    status: Object = {"observedGeneration": deployment["metadata"].get("generation", 1)}
    status |= {name: count for name, count in counts.items() if count}
    status["terminatingReplicas"] = counted(sets, "terminatingReplicas")
    conditions = with_condition(current.get("conditions") or [], _availability(deployment, available, now))
    status["conditions"] = conditions
    if "collisionCount" in current:
        status["collisionCount"] = current["collisionCount"]
    return status


def _availability(deployment: Object, available: int, now: datetime) -> Object:
    if available >= wanted_replicas(deployment) - max_unavailable(deployment):
        told = _Reason("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        told = _Reason("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    return condition("Available", told.status, told.reason, told.message, now)


def rollout_status(fleet: Fleet, now: datetime) -> Object:
    """Return the status during a rollout: as `synced_status`, with progress, its end, or its failure."""
    deployment, status = fleet.deployment, synced_status(fleet, now)
    if not has_deadline(deployment):
        status["conditions"] = without_condition(status["conditions"], "Progressing")
    elif not _was_completed(deployment, status):
        status["conditions"] = _progressed(fleet, status, now)
    status["conditions"] = _with_replica_failure(fleet, status["conditions"])
    return status


def _was_completed(deployment: Object, status: Object) -> bool:
    current = condition_of(deployment, "Progressing") or {}
    same = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    return bool(same and current.get("reason") == "NewReplicaSetAvailable")


def _progressed(fleet: Fleet, status: Object, now: datetime) -> list[Object]:
    deployment, conditions = fleet.deployment, status["conditions"]
    kind = "Deployment" if fleet.new is None else "ReplicaSet"
    subject = f'{kind} "{(fleet.new or deployment)["metadata"]["name"]}"'
    if is_complete(deployment, status):
        message = f"{subject} has successfully progressed."
        done = condition("Progressing", "True", "NewReplicaSetAvailable", message, now)
        return with_condition(conditions, done)
    if _made_progress(deployment.get("status") or {}, status):
        fresh = condition("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
        current = find_condition(conditions, "Progressing") or {}
        if current.get("status") == "True":
            fresh["lastTransitionTime"] = current["lastTransitionTime"]
        # The time of the update has to move with every step, so the rule of `with_condition` does not serve.
        return [*without_condition(conditions, "Progressing"), fresh]
    if _is_timed_out(deployment, find_condition(conditions, "Progressing"), now):
        message = f"{subject} has timed out progressing."
        late = condition("Progressing", "False", "ProgressDeadlineExceeded", message, now)
        return with_condition(conditions, late)
    return list(conditions)


def _made_progress(before: Object, after: Object) -> bool:
    def of_old_templates(status: Object) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return of_old_templates(after) < of_old_templates(before) or any(
        after.get(field, 0) > before.get(field, 0) for field in grown
    )


def _is_timed_out(deployment: Object, progressing: Object | None, now: datetime) -> bool:
    deadline = deadline_seconds(deployment)
    if deadline is None or progressing is None or progressing.get("reason") == "NewReplicaSetAvailable":
        return False
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return True
    return seconds_since(progressing.get("lastUpdateTime"), now) > deadline


def _with_replica_failure(fleet: Fleet, conditions: list[Object]) -> list[Object]:
    # The new set's failure is the one that people wait for; an old one's only counts when that has none.
    ordered = fleet.old if fleet.new is None else (fleet.new, *fleet.old)
    failures = [failure for each in ordered if (failure := condition_of(each, "ReplicaFailure"))]
    if not failures:
        return without_condition(conditions, "ReplicaFailure")
    told = failures[0]
    moment = told["lastTransitionTime"]
    copied = {**_repeated(told), "lastUpdateTime": moment, "lastTransitionTime": moment}
    return with_condition(conditions, copied)


def _repeated(told: Object) -> Object:
    """Return the parts of a ReplicaSet's condition that a Deployment's repeats."""
    return {key: told[key] for key in ("type", "status", "reason", "message")}


def seconds_until_stuck(deployment: Object, status: Object, now: datetime) -> float | None:
    """Return after how many seconds the progress deadline has to be looked at again; None for never."""
    progressing = find_condition(status.get("conditions"), "Progressing")
    deadline = deadline_seconds(deployment)
    if deadline is None or progressing is None or is_complete(deployment, status):
        return None
    if progressing.get("reason") in ("ProgressDeadlineExceeded", "NewReplicaSetAvailable"):
        return None
    # A little later than the deadline, which is to have passed then; the condition's time is to the second.
    return max(deadline - seconds_since(progressing.get("lastUpdateTime"), now), 0.0) + 0.05
