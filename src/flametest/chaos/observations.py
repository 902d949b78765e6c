"""Objects of the API as events of the model: what a watch shows becomes what a history keeps. Pure."""

from datetime import datetime
from typing import Any

from flametest.kube.resources import DEPLOYMENTS, ENDPOINT_SLICES, PODS, STATEFUL_SETS, Object, Resource
from flametest.kube.watch import Change
from flametest.model.events import EndpointsObserved, EndpointState, Event, PodObserved, WorkloadObserved

__all__ = ["WATCHED", "app_of", "observe"]

WATCHED: tuple[Resource, ...] = (PODS, ENDPOINT_SLICES, DEPLOYMENTS, STATEFUL_SETS)

_APP_LABELS = ("app", "app.kubernetes.io/name")


def observe(resource: Resource, change: Change, scenario: str) -> Event:
    """Return the event for a change of an object of one of the `WATCHED` resources."""
    if resource is PODS:
        return _pod(change, scenario)
    if resource is ENDPOINT_SLICES:
        return _endpoints(change, scenario)
    return _workload(resource, change, scenario)


def _pod(change: Change, scenario: str) -> PodObserved:
    pod = change.object
    metadata, spec, status = pod["metadata"], pod.get("spec", {}), pod.get("status", {})
    containers = status.get("containerStatuses") or []
    running = sum("running" in (one.get("state") or {}) for one in containers)
    return PodObserved(
        at=change.at,
        scenario=scenario,
        change=change.kind,
        uid=str(metadata["uid"]),
        name=str(metadata["name"]),
        node=str(spec.get("nodeName") or ""),
        app=app_of(metadata.get("labels")),
        owner_uid=_controller_uid(metadata),
        phase=str(status.get("phase") or "Unknown"),
        ready=any(one.get("type") == "Ready" and one.get("status") == "True" for one in status.get("conditions") or []),
        terminating=bool(metadata.get("deletionTimestamp")),
        containers_started=running > 0 and running == len(spec.get("containers") or []),
        restarts=sum(int(one.get("restartCount", 0)) for one in containers),
        created_wall_s=_wall_seconds(metadata.get("creationTimestamp")),
        ended_because=_last_end(containers),
        hostname=str(spec.get("nodeName" if spec.get("hostNetwork") else "hostname") or ""),
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
    status = change.object.get("status", {})
    selected = (spec.get("selector") or {}).get("matchLabels")
    return WorkloadObserved(
        at=change.at,
        scenario=scenario,
        change=change.kind,
        kind=resource.kind,
        name=str(metadata["name"]),
        app=app_of(selected) or app_of(metadata.get("labels")),
        uid=str(metadata["uid"]),
        desired=int(spec.get("replicas", 1)),
        replicas=int(status.get("replicas", 0)),
        ready=int(status.get("readyReplicas", 0)),
        available=int(status.get("availableReplicas", 0)),
        updated=int(status.get("updatedReplicas", 0)),
    )


def app_of(labels: Any) -> str:
    """Return the app that labels name; empty when they name none."""
    found = (labels or {}).get
    return next((str(found(name)) for name in _APP_LABELS if found(name)), "")


def _controller_uid(metadata: Object) -> str:
    owners = metadata.get("ownerReferences") or []
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def _wall_seconds(timestamp: Any) -> float:
    return datetime.fromisoformat(str(timestamp)).timestamp() if timestamp else 0.0
