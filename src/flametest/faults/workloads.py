"""Deployments and StatefulSets as targets: find one, read its count, set its count, list its pods and Services."""

from flametest.faults.errors import FaultError
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.errors import ApiRejectedError
from flametest.kube.pods import controller_uid
from flametest.kube.resources import (
    AUTOSCALERS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Object,
    Resource,
)
from flametest.kube.snapshots import find, is_ending
from flametest.model.events import Target

__all__ = [
    "WORKLOADS",
    "acting_autoscaler",
    "existing",
    "pods_of",
    "ready_endpoints",
    "replicas_of",
    "selects",
    "set_replicas",
    "target_of",
]

_NONE_KNOWN = (403, 404)  # they may not be listed, or there is no such kind

WORKLOADS = {resource.kind: resource for resource in (DEPLOYMENTS, STATEFUL_SETS)}


def existing(client: KubeClient, resource: Resource, namespace: str, name: str) -> Object:
    """Return an object.

    Raises:
        FaultError: its name is empty, it is being deleted, or there is none of that name; the message tells those
            there are.
        KubeError: the API is unreachable or refused.
    """
    if not name:
        raise FaultError(f"the {resource.kind} has no name, so it selects nothing", "name one")
    found = find(client.api, resource, namespace, name)
    if found is None:
        there = [one["metadata"]["name"] for one in client.api.listed(resource.path(namespace)).items]
        place = f"namespace {namespace!r}" if resource.namespaced else "the cluster"
        raise FaultError(
            f"{place} holds no {resource.kind} {name!r}", f"use one of: {', '.join(there) or 'there is none'}"
        )
    if is_ending(found):
        raise FaultError(
            f"{resource.kind} {name} is being deleted by somebody else", "wait until it is gone, deploy it"
        )
    return found | {"kind": resource.kind, "apiVersion": resource.api_version}


def target_of(obj: Object) -> Target:
    """Return an object as a target."""
    metadata = obj["metadata"]
    return Target(str(obj["kind"]), str(metadata.get("namespace", "")), str(metadata["name"]), str(metadata["uid"]))


def replicas_of(workload: Object) -> int:
    """Return how many pods a workload is to have."""
    return int(workload.get("spec", {}).get("replicas", 1))


def set_replicas(client: KubeClient, resource: Resource, target: tuple[str, str], replicas: int) -> None:
    """Set how many pods a workload, by its namespace and name, is to have.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    client.api.send("PATCH", resource.path(*target), {"spec": {"replicas": replicas}}, content_type=MERGE)


def acting_autoscaler(client: KubeClient, workload: Object) -> str:
    """Return the name of the HorizontalPodAutoscaler that sets how many pods a workload has; empty for none.

    One that lacks its metrics, or that no controller looks after, sets nothing. Where autoscalers may not be listed, or
    the cluster knows none, none is found.

    Raises:
        KubeError: the API is unreachable or failed.
    """
    metadata = workload["metadata"]
    try:
        found = client.api.listed(AUTOSCALERS.path(metadata["namespace"])).items
    except ApiRejectedError as error:
        if error.code not in _NONE_KNOWN:
            raise
        return ""
    for one in found:
        target, conditions = one["spec"]["scaleTargetRef"], one.get("status", {}).get("conditions") or []
        is_acting = any(each["type"] == "ScalingActive" and each["status"] == "True" for each in conditions)
        if is_acting and (target["kind"], target["name"]) == (workload["kind"], metadata["name"]):
            return str(one["metadata"]["name"])
    return ""


def selects(selector: Object | None, labels: Object | None) -> bool:
    """Return whether a Service's selector selects pods with these labels; an empty one selects none."""
    found = labels or {}
    return bool(selector) and all(found.get(key) == value for key, value in (selector or {}).items())


def pods_of(client: KubeClient, workload: Object) -> list[Object]:
    """Return the pods that a workload owns, those that are terminating included; others may carry the same labels.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    owners = _owner_uids(client, workload)
    pods = client.api.listed(PODS.path(workload["metadata"]["namespace"])).items
    return [pod for pod in pods if controller_uid(pod) in owners]


def _owner_uids(client: KubeClient, workload: Object) -> frozenset[str]:
    """Return the uids of a workload and, for a Deployment, of its ReplicaSets."""
    uid = str(workload["metadata"]["uid"])
    if workload.get("kind") != DEPLOYMENTS.kind:
        return frozenset((uid,))
    sets = client.api.listed(REPLICA_SETS.path(workload["metadata"]["namespace"])).items
    return frozenset((uid, *(str(one["metadata"]["uid"]) for one in sets if controller_uid(one) == uid)))


def ready_endpoints(client: KubeClient, workload: Object) -> dict[str, int]:
    """Return, for each Service that selects the workload's pods, how many ready endpoints it has of these.

    An endpoint whose pod is gone counts as the workload's own: requests still go there.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    namespace = workload["metadata"]["namespace"]
    labels = workload["spec"]["template"]["metadata"].get("labels")
    owners = _owner_uids(client, workload)
    pods = client.api.listed(PODS.path(namespace)).items
    others = {str(pod["metadata"]["uid"]) for pod in pods if controller_uid(pod) not in owners}
    services = client.api.listed(SERVICES.path(namespace)).items
    counts = {one["metadata"]["name"]: 0 for one in services if selects(one["spec"].get("selector"), labels)}
    for piece in client.api.listed(ENDPOINT_SLICES.path(namespace)).items:
        service = (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
        if service in counts:
            ready = [
                one for one in piece.get("endpoints") or [] if (one.get("conditions") or {}).get("ready") is not False
            ]
            counts[service] += sum((one.get("targetRef") or {}).get("uid") not in others for one in ready)
    return counts
