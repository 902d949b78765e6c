"""Wait until every workload of a namespace is ready, or say which pods are not, and why.

`readiness` and `explain` are pure; `wait_ready` polls three lists. A workload is ready as ``kubectl rollout status``
counts: its controller has seen the newest specification, its pods are available, and as many of them are of the
newest revision as its strategy will ever make so. A rollout that is under way is not ready though its old pods still
serve; one that waits for somebody (a paused Deployment, the strategy OnDelete, a partition) is not waited for.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from flametest.kube.errors import NotReadyError
from flametest.kube.pages import Lister
from flametest.kube.pods import is_ready
from flametest.kube.resources import DAEMON_SETS, DEPLOYMENTS, EVENTS, PODS, STATEFUL_SETS, Object
from flametest.model.plurals import counted

__all__ = ["Readiness", "explain", "readiness", "wait_ready", "workloads_of"]

POLL_SECONDS = 0.15  # three small lists: a few milliseconds of the API server's time each
REASONS_MAX = 12  # what a person reads on a terminal; the rest is counted
EVENTS_PER_POD_MAX = 2


@dataclass(frozen=True, slots=True)
class Readiness:
    """How far a Deployment, StatefulSet or DaemonSet is.

    Attributes:
        kind: Deployment, StatefulSet or DaemonSet.
        name: its name.
        desired: replicas wanted.
        ready: replicas that serve, of any revision: available ones, of a StatefulSet ready ones, as kubectl counts.
        updated: replicas of the newest revision.
        updated_min: how many of them its strategy will make by itself.
        settled: whether the controller has acted on the newest specification and no surplus pod is left.
    """

    kind: str
    name: str
    desired: int
    ready: int
    updated: int
    updated_min: int
    settled: bool

    @property
    def complete(self) -> bool:
        """Return whether all replicas are ready, and as many as will be are of the newest revision."""
        return self.settled and self.ready >= self.desired and self.updated >= self.updated_min

    def __str__(self) -> str:
        counted = self.ready if self.updated >= self.updated_min else min(self.ready, self.updated)
        return f"{self.name} {counted}/{self.desired}"


def readiness(workload: Object) -> Readiness:
    """Return how far a workload is, from its kind, specification and status.

    Source: https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go; for OnDelete and
    paused, which kubectl refuses to follow or follows for ever, what is ready counts.
    """
    return {STATEFUL_SETS.kind: _stateful_set, DAEMON_SETS.kind: _daemon_set}.get(
        str(workload.get("kind", "")), _deployment
    )(workload)


def _deployment(workload: Object) -> Readiness:
    spec = workload.get("spec", {})
    desired, is_paused = _replicas(spec), bool(spec.get("paused"))
    return Readiness(
        kind=DEPLOYMENTS.kind,
        name=str(workload["metadata"]["name"]),
        desired=desired,
        ready=_count(workload, "availableReplicas"),
        updated=_count(workload, "updatedReplicas"),
        updated_min=0 if is_paused else desired,
        # A rollout that was paused half-way keeps its surplus.
        settled=_is_observed(workload) and (is_paused or _count(workload, "replicas") <= desired),
    )


def _stateful_set(workload: Object) -> Readiness:
    desired = _replicas(workload.get("spec", {}))
    partition = int(_strategy(workload).get("rollingUpdate", {}).get("partition") or 0)
    return Readiness(
        kind=STATEFUL_SETS.kind,
        name=str(workload["metadata"]["name"]),
        desired=desired,
        ready=_count(workload, "readyReplicas"),
        updated=_count(workload, "updatedReplicas"),
        updated_min=0 if _is_on_delete(workload) else max(0, desired - partition),
        settled=_is_observed(workload) and _count(workload, "replicas") <= desired,
    )


def _daemon_set(workload: Object) -> Readiness:
    desired = _count(workload, "desiredNumberScheduled")
    return Readiness(
        kind=DAEMON_SETS.kind,
        name=str(workload["metadata"]["name"]),
        desired=desired,
        ready=_count(workload, "numberAvailable"),
        updated=_count(workload, "updatedNumberScheduled"),
        updated_min=0 if _is_on_delete(workload) else desired,
        settled=_is_observed(workload),
    )


def _replicas(spec: Object) -> int:
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


def _count(workload: Object, name: str) -> int:
    return int(workload.get("status", {}).get(name) or 0)


def _is_observed(workload: Object) -> bool:
    return _count(workload, "observedGeneration") >= int(workload["metadata"].get("generation", 0))


def _strategy(workload: Object) -> Object:
    return workload.get("spec", {}).get("updateStrategy") or {}


def _is_on_delete(workload: Object) -> bool:
    return _strategy(workload).get("type") == "OnDelete"


def wait_ready(
    api: Lister,
    namespace: str,
    timeout_seconds: float,
    saw: Callable[[str], None] | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[Readiness, ...]:
    """Wait until every Deployment, StatefulSet and DaemonSet of ``namespace`` is ready, and return how they stand.

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
    steps: dict[str, str] = {}
    for event in sorted(events, key=_event_time):
        involved = event.get("involvedObject", {})
        if involved.get("kind") == "Pod":
            uid = str(involved.get("uid", ""))
            steps[uid] = str(event.get("message", ""))
            if event.get("type") != "Normal":
                by_pod.setdefault(uid, []).append(event)
    lines = []
    for pod in sorted(pods, key=lambda one: str(one["metadata"]["name"])):
        if is_ready(pod) or _is_done(pod):
            continue
        uid = str(pod["metadata"].get("uid", ""))
        told = by_pod.get(uid, [])[-EVENTS_PER_POD_MAX:]
        reasons = _waiting_reasons(pod) + [f"{one.get('reason', '')}: {one.get('message', '')}" for one in told]
        if pod["metadata"].get("deletionTimestamp"):
            reasons.insert(0, "is terminating")
        phase = str(pod.get("status", {}).get("phase", "Unknown"))
        lines.append(
            f"pod {pod['metadata']['name']} ({phase}): {'; '.join(reasons) or steps.get(uid) or 'no reason is given'}"
        )
    return lines


def workloads_of(api: Lister, namespace: str) -> tuple[Readiness, ...]:
    """Return how each Deployment, StatefulSet and DaemonSet of ``namespace`` stands now.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    # The items of a list carry no kind of their own.
    return tuple(
        readiness(item | {"kind": resource.kind})
        for resource in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
        for item in api.listed(resource.path(namespace)).items
    )


def _not_ready(api: Lister, namespace: str, timeout_seconds: float, workloads: Sequence[Readiness]) -> NotReadyError:
    if not workloads:
        return NotReadyError(
            f"namespace {namespace!r} holds no Deployment, StatefulSet or DaemonSet after {timeout_seconds:g} s",
            "apply the manifests first",
        )
    pods = api.listed(PODS.path(namespace)).items
    reasons = explain(pods, api.listed(EVENTS.path(namespace)).items)
    if len(reasons) > REASONS_MAX:
        reasons[REASONS_MAX:] = [f"and {counted(len(reasons) - REASONS_MAX, 'pod')} more"]
    late = ", ".join(f"{one.kind} {one}" for one in workloads if not one.complete)
    return NotReadyError(
        "\n  ".join([f"not ready after {timeout_seconds:g} s in namespace {namespace!r}: {late}", *reasons]),
        "fix what the reasons name; the pods' logs say more",
    )


def _is_done(pod: Object) -> bool:
    """Return whether a pod, of a Job say, has done its work: it is not Ready any more, and need not be."""
    return str(pod.get("status", {}).get("phase")) == "Succeeded"


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
