"""Wait until every Deployment and StatefulSet of a namespace is ready, or say which pods are not, and why.

`readiness` and `explain` are pure; `wait_ready` polls two lists. A workload is ready when its controller has seen
the newest specification and all its replicas are updated and ready, so that a rollout that is under way counts as
not ready though its old pods still serve.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from flametest.kube.errors import NotReadyError
from flametest.kube.resources import DEPLOYMENTS, EVENTS, PODS, STATEFUL_SETS, Object, Reader

__all__ = ["Readiness", "explain", "readiness", "wait_ready", "workloads_of"]

POLL_SECONDS = 0.15  # two small lists: a few milliseconds of the API server's time each
REASONS_MAX = 12  # what a person reads on a terminal; the rest is counted
EVENTS_PER_POD_MAX = 2


@dataclass(frozen=True, slots=True)
class Readiness:
    """How far a Deployment or StatefulSet is.

    Attributes:
        kind: Deployment or StatefulSet.
        name: its name.
        desired: replicas wanted.
        ready: replicas that are ready, of any revision.
        updated: replicas of the newest revision.
        settled: whether the controller has acted on the newest specification and no surplus pod is left.
    """

    kind: str
    name: str
    desired: int
    ready: int
    updated: int
    settled: bool

    @property
    def complete(self) -> bool:
        """Return whether all replicas are ready and of the newest revision."""
        return self.settled and self.ready >= self.desired and self.updated >= self.desired

    def __str__(self) -> str:
        return f"{self.name} {min(self.ready, self.updated)}/{self.desired}"


def readiness(workload: Object) -> Readiness:
    """Return how far a Deployment or StatefulSet is, from its specification and status."""
    metadata, spec, status = workload["metadata"], workload.get("spec", {}), workload.get("status", {})
    desired = int(spec.get("replicas", 1))
    return Readiness(
        kind=str(workload.get("kind", "")),
        name=str(metadata["name"]),
        desired=desired,
        ready=int(status.get("readyReplicas", 0)),
        updated=int(status.get("updatedReplicas", 0)),
        settled=int(status.get("observedGeneration", 0)) >= int(metadata.get("generation", 0))
        and int(status.get("replicas", 0)) <= desired,
    )


def wait_ready(
    api: Reader,
    namespace: str,
    timeout_seconds: float,
    saw: Callable[[str], None] | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[Readiness, ...]:
    """Wait until every Deployment and StatefulSet of ``namespace`` is ready, and return how they stand.

    Args:
        api: the cluster.
        namespace: the namespace.
        timeout_seconds: how long to wait at most.
        saw: called with a line such as ``api 2/3, nginx 2/2`` whenever it changes.
        clock: the monotonic clock, in seconds.
        pause: sleeps that many seconds.

    Raises:
        NotReadyError: not all were ready in time, or there is none; the message says which pods and why.
        KubeError: the API is unreachable or refused.
    """
    end = clock() + timeout_seconds
    shown = ""
    while True:
        workloads = workloads_of(api, namespace)
        line = ", ".join(map(str, workloads))
        if saw is not None and line != shown:
            saw(shown := line)
        if workloads and all(one.complete for one in workloads):
            return workloads
        if clock() >= end:
            raise _not_ready(api, namespace, timeout_seconds, workloads)
        pause(POLL_SECONDS)


def explain(pods: Iterable[Object], events: Iterable[Object]) -> list[str]:
    """Return a line for each pod that is not ready: its name, what its containers wait for, its last events."""
    by_pod: dict[str, list[Object]] = {}
    for event in sorted(events, key=_event_time):
        involved = event.get("involvedObject", {})
        if involved.get("kind") == "Pod" and event.get("type") != "Normal":
            by_pod.setdefault(str(involved.get("uid", "")), []).append(event)
    lines = []
    for pod in sorted(pods, key=lambda one: str(one["metadata"]["name"])):
        if _is_ready(pod):
            continue
        told = by_pod.get(str(pod["metadata"].get("uid", "")), [])[-EVENTS_PER_POD_MAX:]
        reasons = _waiting_reasons(pod) + [f"{one.get('reason', '')}: {one.get('message', '')}" for one in told]
        if pod["metadata"].get("deletionTimestamp"):
            reasons.insert(0, "is terminating")
        phase = str(pod.get("status", {}).get("phase", "Unknown"))
        lines.append(f"pod {pod['metadata']['name']} ({phase}): {'; '.join(reasons) or 'no reason is given'}")
    return lines


def workloads_of(api: Reader, namespace: str) -> tuple[Readiness, ...]:
    """Return how each Deployment and StatefulSet of ``namespace`` stands now.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    # The items of a list carry no kind of their own.
    return tuple(
        readiness(item | {"kind": resource.kind})
        for resource in (DEPLOYMENTS, STATEFUL_SETS)
        for item in api.get(resource.path(namespace)).get("items", [])
    )


def _not_ready(api: Reader, namespace: str, timeout_seconds: float, workloads: Sequence[Readiness]) -> NotReadyError:
    if not workloads:
        return NotReadyError(
            f"namespace {namespace!r} holds no Deployment and no StatefulSet after {timeout_seconds:g} s",
            "apply the manifests first",
        )
    pods = api.get(PODS.path(namespace)).get("items", [])
    reasons = explain(pods, api.get(EVENTS.path(namespace)).get("items", []))
    if len(reasons) > REASONS_MAX:
        reasons[REASONS_MAX:] = [f"and {len(reasons) - REASONS_MAX} pods more"]
    late = ", ".join(f"{one.kind} {one}" for one in workloads if not one.complete)
    return NotReadyError(
        "\n  ".join([f"not ready after {timeout_seconds:g} s in namespace {namespace!r}: {late}", *reasons]),
        "mend what the reasons name; pods' logs tell more",
    )


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _waiting_reasons(pod: Object) -> list[str]:
    status = pod.get("status", {})
    reasons = []
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = container.get("state", {}).get("waiting")
        terminated = container.get("lastState", {}).get("terminated")
        if waiting and waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            reasons.append(f"container {container['name']} waits: {_reason(waiting)}")
        elif not container.get("ready") and container.get("state", {}).get("running"):
            reasons.append(f"container {container['name']} runs and is not ready")
        if terminated and not container.get("ready"):
            reasons.append(f"it ended before with exit code {terminated.get('exitCode')}")
    reasons.extend(
        f"{one.get('type')}: {one['message']}"
        for one in status.get("conditions", [])
        if one.get("status") == "False" and one.get("type") == "PodScheduled" and one.get("message")
    )
    return reasons


def _reason(state: Object) -> str:
    message = state.get("message")
    return f"{state['reason']} ({message})" if message else str(state["reason"])


def _event_time(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
