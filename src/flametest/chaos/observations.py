"""Objects of the API as events of the model: what a watch shows becomes what a history keeps. Pure."""

from datetime import datetime
from typing import Any

from flametest.kube.pods import controller_of, restarts
from flametest.kube.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Object,
    Resource,
)
from flametest.kube.watch import Change
from flametest.model.events import EndpointsObserved, EndpointState, Event, OwnerObserved, PodObserved, WorkloadObserved

__all__ = ["WATCHED", "app_of", "observe"]

# Owners come first, so that every pod's workload is known when the pod is listed.
WATCHED: tuple[Resource, ...] = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, REPLICA_SETS, PODS, ENDPOINT_SLICES)

_APP_LABELS = ("app", "app.kubernetes.io/name")
_COUNTS = ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")
_DAEMON_SET_COUNTS = ("currentNumberScheduled", "numberReady", "numberAvailable", "updatedNumberScheduled")


def observe(resource: Resource, change: Change, scenario: str) -> Event:
    """Return the event for a change of an object of one of the `WATCHED` resources."""
    if resource is PODS:
        return _pod(change, scenario)
    if resource is ENDPOINT_SLICES:
        return _endpoints(change, scenario)
    if resource is REPLICA_SETS:
        return _owner(resource, change, scenario)
    return _workload(resource, change, scenario)


def _pod(change: Change, scenario: str) -> PodObserved:
    pod = change.object
    metadata, spec, status = pod["metadata"], pod.get("spec", {}), pod.get("status", {})
    containers = status.get("containerStatuses") or []
    running = sum("running" in (one.get("state") or {}) for one in containers)
    owner = controller_of(pod)
    return PodObserved(
        at=change.at,
        scenario=scenario,
        change=change.kind,
        uid=str(metadata["uid"]),
        name=str(metadata["name"]),
        node=str(spec.get("nodeName") or ""),
        app=app_of(metadata.get("labels")),
        owner_uid=str(owner.get("uid", "")),
        phase=str(status.get("phase") or "Unknown"),
        ready=any(one.get("type") == "Ready" and one.get("status") == "True" for one in status.get("conditions") or []),
        terminating=bool(metadata.get("deletionTimestamp")),
        containers_started=running > 0 and running == len(spec.get("containers") or []),
        restarts=restarts(pod),
        created_wall_s=_wall_seconds(metadata.get("creationTimestamp")),
        ended_because=_last_end(containers),
        hostname=str(spec.get("nodeName" if spec.get("hostNetwork") else "hostname") or ""),
        owner_kind=str(owner.get("kind") or PODS.kind),
    )


def _owner(resource: Resource, change: Change, scenario: str) -> OwnerObserved:
    metadata = change.object["metadata"]
    return OwnerObserved(
        at=change.at,
        scenario=scenario,
        change=change.kind,
        kind=resource.kind,
        name=str(metadata["name"]),
        uid=str(metadata["uid"]),
        owner_uid=str(controller_of(change.object).get("uid", "")),
    )


def _last_end(containers: list[Object]) -> str:
    """Return the reason for which a container ended last, of those that have ended."""
    states = [(one.get(state) or {}).get("terminated") for one in containers for state in ("state", "lastState")]
    ended = [terminated for terminated in states if terminated]
    return str(max(ended, key=lambda one: str(one.get("finishedAt") or "")).get("reason") or "") if ended else ""


def _endpoints(change: Change, scenario: str) -> EndpointsObserved:
    metadata = change.object["metadata"]
    return EndpointsObserved(
        at=change.at,
        scenario=scenario,
        change=change.kind,
        service=str((metadata.get("labels") or {}).get("kubernetes.io/service-name", "")),
        slice_name=str(metadata["name"]),
        endpoints=tuple(
            _endpoint(address, endpoint)
            for endpoint in change.object.get("endpoints") or []
            for address in endpoint.get("addresses") or []
        ),
    )


def _endpoint(address: str, endpoint: Object) -> EndpointState:
    # The API's own reading of conditions that are left out: unknown is ready, and serving follows ready.
    conditions = endpoint.get("conditions") or {}
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving")
    target = endpoint.get("targetRef") or {}
    return EndpointState(
        address=address,
        pod_uid=str(target.get("uid") or ""),
        pod_name=str(target.get("name") or ""),
        ready=ready,
        serving=ready if serving is None else bool(serving),
        terminating=conditions.get("terminating") is True,
    )


def _workload(resource: Resource, change: Change, scenario: str) -> WorkloadObserved:
    metadata, spec = change.object["metadata"], change.object.get("spec", {})
    selected = (spec.get("selector") or {}).get("matchLabels")
    desired, replicas, ready, available, updated = _counts(resource, change.object)
    return WorkloadObserved(
        at=change.at,
        scenario=scenario,
        change=change.kind,
        kind=resource.kind,
        name=str(metadata["name"]),
        app=app_of(selected) or app_of(metadata.get("labels")),
        uid=str(metadata["uid"]),
        desired=desired,
        replicas=replicas,
        ready=ready,
        available=available,
        updated=updated,
    )


def _counts(resource: Resource, workload: Object) -> tuple[int, int, int, int, int]:
    """Return how many pods are desired, there, ready, available and of the newest revision."""
    spec, status = workload.get("spec", {}), workload.get("status", {})
    if resource is DAEMON_SETS:  # the nodes decide how many are desired
        desired = int(status.get("desiredNumberScheduled") or 0)
        counts = [int(status.get(name) or 0) for name in _DAEMON_SET_COUNTS]
    else:
        desired = int(spec.get("replicas", 1))
        counts = [int(status.get(name) or 0) for name in _COUNTS]
    replicas, ready, available, updated = counts
    return desired, replicas, ready, available, updated


def app_of(labels: Any) -> str:
    """Return the app that labels name; empty when they name none."""
    found = (labels or {}).get
    return next((str(found(name)) for name in _APP_LABELS if found(name)), "")


def _wall_seconds(timestamp: Any) -> float:
    return datetime.fromisoformat(str(timestamp)).timestamp() if timestamp else 0.0
