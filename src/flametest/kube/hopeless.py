"""What will not get ready by itself, as far as pods and events tell: an image that never comes, a container that ends
again and again, an object that a pod needs and that is not there. Pure.

Each fault has a patience: for how long it has to be seen before it counts, since much of this passes where something
else is still on its way. How the kubelet words the reasons:
https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/images/types.go and kuberuntime/util
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from flametest.kube.pods import controller_of, is_ready
from flametest.kube.resources import Object

__all__ = ["CRASHES_MAX", "Fault", "Setting", "faults_of_events", "faults_of_job", "faults_of_pod", "part_of"]

CRASHES_MAX = 4  # more than a minute on, whatever it may have waited for has had its time
PATIENCE_SECONDS = 15.0
PULL_PATIENCE_SECONDS = 90.0  # a registry may be slow, or refuse for a moment

_IMPOSSIBLE_IMAGES = ("ErrImageNeverPull", "InvalidImageName", "ErrInvalidImageName")
_PULLS = ("ErrImagePull", "ImagePullBackOff")
_STARTS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError")
_NEVER_RAN = ("StartError", "ContainerCannotRun")
_CRASHED = "CrashLoopBackOff"
_FINAL = re.compile(
    r"not found|no such host|manifest unknown|unauthorized|denied|no match for platform|invalid reference"
)
"""In what registries and runtimes say, the words for what no further attempt changes."""
_REVISION = re.compile(r"(.+)-[a-z0-9]{6,10}")  # how a Deployment names its ReplicaSets
_POD_NAME = re.compile(r"NAME-[a-z0-9]{5}\b")
_CREATORS = ("ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController")


@dataclass(frozen=True, slots=True)
class Setting:
    """What decides whether a fault can still pass.

    Attributes:
        pulls_images: nodes fetch images from registries, so that a pull may succeed later.
        grows: nodes may be added, so that a pod may find its place later.
        crashes_max: how many restarts a container may have, after which it is taken to end for ever.
    """

    pulls_images: bool
    grows: bool
    crashes_max: int = CRASHES_MAX


@dataclass(frozen=True, slots=True)
class Fault:
    """Why something does not get ready.

    Attributes:
        part: what it belongs to, such as ``Deployment web``.
        reason: in words that are equal for equal pods.
        namespace: of the part.
        pod: its name; empty where there is no pod.
        container: the one whose last words tell more; empty when none do.
        restarts: how often that has been restarted; its last words are in the log of its former life then.
        patience_seconds: for how long it has to be seen before it counts.
        told_at: when an event has told it last, as the API writes times; empty for what no event told.
    """

    part: str
    reason: str
    namespace: str = ""
    pod: str = ""
    container: str = ""
    restarts: int = 0
    patience_seconds: float = 0.0
    told_at: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what equal faults have in common."""
        return self.namespace, self.part, self.reason


def part_of(pod: Object) -> str:
    """Return the workload that a pod belongs to, as ``Deployment web``; a pod of its own is one itself."""
    owner, name = controller_of(pod), str(pod["metadata"]["name"])
    if not owner:
        return f"Pod {name}"
    kind, owner_name = str(owner.get("kind")), str(owner.get("name"))
    digest = (pod["metadata"].get("labels") or {}).get("pod-template-hash", "")
    if kind == "ReplicaSet" and digest and owner_name.endswith(f"-{digest}"):
        return f"Deployment {owner_name.removesuffix(f'-{digest}')}"
    return f"{kind} {owner_name}"


def faults_of_pod(pod: Object, setting: Setting) -> Iterator[Fault]:
    """Yield what keeps a pod from getting ready; nothing for one that is ready, or that is on its way."""
    if is_ready(pod) or pod["metadata"].get("deletionTimestamp"):
        return
    place, status = _place(pod), pod.get("status", {})
    for condition in status.get("conditions") or ():
        if condition.get("reason") == "Unschedulable" and not setting.grows:
            yield replace(
                place, reason=f"no node takes it: {condition.get('message')}", patience_seconds=PATIENCE_SECONDS
            )
    containers = _containers(pod)
    for container in containers:
        yield from _faults_of_container(place, container, setting)
    if status.get("phase") == "Failed" and not containers:
        reason = f"the pod has failed: {status.get('reason')} {status.get('message', '')}"
        yield replace(place, reason=reason.strip())


def faults_of_events(events: Iterable[Object], pods: Iterable[Object]) -> Iterator[Fault]:
    """Yield what events tell that no pod does: volumes that name what is not there, and pods that are not admitted."""
    unready = {str(pod["metadata"].get("uid", "")): pod for pod in pods if not is_ready(pod)}
    for event in events:
        involved, message = event.get("involvedObject") or {}, str(event.get("message", ""))
        pod = unready.get(str(involved.get("uid", "")))
        if pod is not None and _lasts(pod, str(event.get("reason")), message):
            told_at = str(event.get("lastTimestamp") or event.get("eventTime") or "")
            yield replace(_place(pod), reason=message, patience_seconds=PATIENCE_SECONDS, told_at=told_at)
        elif event.get("reason") == "FailedCreate" and involved.get("kind") in _CREATORS:
            told = _POD_NAME.sub("POD", message.replace(str(involved.get("name")), "NAME"))
            reason = f"its pods are not admitted: {told}"
            namespace = str(involved.get("namespace", ""))
            yield Fault(_maker(involved), reason, namespace, patience_seconds=PATIENCE_SECONDS)


def faults_of_job(job: Object, pods: Iterable[Object], setting: Setting) -> Iterator[Fault]:
    """Yield why a Job will not complete: it has given up, or its pods end again and again."""
    status, name = job.get("status", {}), str(job["metadata"]["name"])
    ways = (one for one in status.get("conditions") or () if one.get("type") == "Failed")
    failed = next((one for one in ways if one.get("status") == "True"), None)
    if failed is None and int(status.get("failed") or 0) < setting.crashes_max:
        return
    own = (pod for pod in pods if controller_of(pod).get("uid") == job["metadata"].get("uid"))
    ended = [(pod, one, end) for pod in own for one in _containers(pod) if (end := _end(one)).get("exitCode")]
    told = f"it has failed: {failed.get('reason')}" if failed else "its pods end again and again"
    place = Fault(f"Job {name}", told, str(job["metadata"].get("namespace", "")))
    if not ended:
        yield replace(place, reason=f"{told}: {failed.get('message')}" if failed else told)
        return
    pod, container, end = max(ended, key=lambda one: str(one[2].get("finishedAt", "")))
    yield replace(
        place,
        reason=f"{told}; container {container.get('name')} has ended{_exit(end)}",
        pod=str(pod["metadata"]["name"]),
        container=str(container.get("name")),
        restarts=0 if (container.get("state") or {}).get("terminated") else int(container.get("restartCount") or 0),
    )


def _end(container: Object) -> Object:
    """Return how a container has ended last; empty for one that never has."""
    states = (container.get("state") or {}, container.get("lastState") or {})
    return next((one["terminated"] for one in states if one.get("terminated")), {})


def _containers(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _lasts(pod: Object, reason: str, message: str) -> bool:
    """Return whether an event tells of what no further attempt changes, and the pod is still at that."""
    if reason == "FailedMount":
        return "not found" in message and not _has_begun(pod)
    return message.startswith("Failed to pull image") and bool(_FINAL.search(message)) and _pulls(pod)


def _has_begun(pod: Object) -> bool:
    return any(not (one.get("state") or {}).get("waiting") for one in _containers(pod) if one.get("state"))


def _pulls(pod: Object) -> bool:
    waiting = ((one.get("state") or {}).get("waiting") or {} for one in _containers(pod))
    return any(one.get("reason") in _PULLS for one in waiting)


def _maker(involved: Object) -> str:
    """Return the workload that makes pods, by the name that people know."""
    kind, name = str(involved.get("kind")), str(involved.get("name"))
    revision = _REVISION.fullmatch(name) if kind == "ReplicaSet" else None
    return f"Deployment {revision[1]}" if revision else f"{kind} {name}"


def _place(pod: Object) -> Fault:
    metadata = pod["metadata"]
    return Fault(part_of(pod), "", str(metadata.get("namespace", "")), str(metadata["name"]))


def _faults_of_container(place: Fault, container: Object, setting: Setting) -> Iterator[Fault]:
    name, restarts = str(container.get("name")), int(container.get("restartCount") or 0)
    waiting = (container.get("state") or {}).get("waiting") or {}
    ended = (container.get("state") or {}).get("terminated") or {}
    reason = str(waiting.get("reason"))
    told = f"container {name}: {reason}: {waiting.get('message') or 'no reason is given'}"
    if reason in _IMPOSSIBLE_IMAGES:
        yield replace(place, reason=told)
    elif reason in _PULLS:
        told = f"container {name}: image {container.get('image')} cannot be had"
        yield replace(place, reason=told, patience_seconds=PULL_PATIENCE_SECONDS if setting.pulls_images else 0.0)
    elif reason in _STARTS:
        yield replace(place, reason=told, patience_seconds=PATIENCE_SECONDS)
    elif reason == _CRASHED and restarts >= setting.crashes_max:
        last = (container.get("lastState") or {}).get("terminated") or {}
        yield _ending(replace(place, container=name, restarts=restarts), last, "ends again and again")
    elif ended.get("exitCode") and place.part.startswith("Pod "):
        yield _ending(replace(place, container=name), ended, "has ended")


def _ending(fault: Fault, terminated: Object, how: str) -> Fault:
    """Return the fault of a container that has ended: its last words tell more, but of one that never ran."""
    if terminated.get("reason") in _NEVER_RAN:
        why = terminated.get("message") or "no reason is given"
        return replace(fault, reason=f"container {fault.container} cannot be started: {why}", container="")
    return replace(fault, reason=f"container {fault.container} {how}{_exit(terminated)}")


def _exit(terminated: Object) -> str:
    code, reason = terminated.get("exitCode"), terminated.get("reason")
    if code is None:
        return ""
    return f", with exit code {code}" + (f" ({reason})" if reason not in (None, "Error", "Completed") else "")
