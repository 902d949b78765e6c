"""What the object of a pod tells: whether it lives and is ready, whose it is, which of its containers is the main one.

Pure: the object may come from a list, a watch or a file.
"""

from flametest.kube.resources import Object

__all__ = [
    "DEFAULT_CONTAINER",
    "controller_of",
    "controller_uid",
    "default_container",
    "is_live",
    "is_ready",
    "is_unschedulable",
    "restarts",
]

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
"""The annotation that names a pod's main container. API servers do not read it: who asks has to name the container."""

_LIVE_PHASES = ("Pending", "Running")


def controller_of(obj: Object) -> Object:
    """Return the owner reference of an object's controller; an empty one without a controller."""
    owners = obj["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})


def controller_uid(obj: Object) -> str:
    """Return the uid of an object's controlling owner; empty without one."""
    return str(controller_of(obj).get("uid", ""))


def is_live(pod: Object) -> bool:
    """Return whether a pod runs or is about to, and nobody has asked for its end.

    One that has done its work or failed is no part of the system any more, and of one whose phase is Unknown nobody
    can tell: its node does not answer.
    """
    phase = pod.get("status", {}).get("phase")
    return phase in _LIVE_PHASES and not pod["metadata"].get("deletionTimestamp")


def is_ready(pod: Object) -> bool:
    """Return whether a pod's Ready condition is true."""
    conditions = pod.get("status", {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def is_unschedulable(pod: Object) -> bool:
    """Return whether the scheduler has found no node that takes a pod."""
    conditions = pod.get("status", {}).get("conditions") or []
    return any(one.get("type") == "PodScheduled" and one.get("reason") == "Unschedulable" for one in conditions)


def restarts(pod: Object) -> int:
    """Return how often a pod's containers were restarted, all together."""
    return sum(int(one.get("restartCount", 0)) for one in pod.get("status", {}).get("containerStatuses") or ())


def default_container(pod: Object) -> str:
    """Return the name of a pod's main container, as kubectl finds it: the annotated one if it is there, else the first.

    Source: https://kubernetes.io/docs/reference/labels-annotations-taints/#kubectl-kubernetes-io-default-container
    """
    names = [str(container["name"]) for container in pod["spec"]["containers"]]
    annotated = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    return str(annotated) if annotated in names else names[0]
