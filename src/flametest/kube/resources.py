"""Kinds of objects, their plurals and the paths at which the API serves them.

The kinds that Flametest itself reads are constants; those of manifests are asked from the API's discovery, so that
any kind which the cluster knows can be applied.
"""

from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from flametest.kube.errors import NotFoundError

__all__ = [
    "CONFIG_MAPS",
    "DAEMON_SETS",
    "DEPLOYMENTS",
    "ENDPOINT_SLICES",
    "EVENTS",
    "JOBS",
    "NAMESPACES",
    "NETWORK_POLICIES",
    "NODES",
    "PODS",
    "REPLICATION_CONTROLLERS",
    "REPLICA_SETS",
    "SECRETS",
    "SERVICES",
    "STATEFUL_SETS",
    "Discovery",
    "Object",
    "Reader",
    "Resource",
]

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, as the API serves it.

    Attributes:
        api_version: such as ``v1`` or ``apps/v1``.
        kind: such as ``Deployment``.
        plural: such as ``deployments``.
        namespaced: whether its objects live in namespaces.
    """

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of one object, or without ``name`` of all; without ``namespace`` those of all namespaces."""
        parts = [_group_path(self.api_version)]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        return "/".join(parts)


PODS = Resource("v1", "Pod", "pods")
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
CLAIMS = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
EVENTS = Resource("v1", "Event", "events")
NAMESPACES = Resource("v1", "Namespace", "namespaces", namespaced=False)
NODES = Resource("v1", "Node", "nodes", namespaced=False)
SECRETS = Resource("v1", "Secret", "secrets")
SERVICES = Resource("v1", "Service", "services")
DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments")
STATEFUL_SETS = Resource("apps/v1", "StatefulSet", "statefulsets")
DAEMON_SETS = Resource("apps/v1", "DaemonSet", "daemonsets")
REPLICA_SETS = Resource("apps/v1", "ReplicaSet", "replicasets")
REPLICATION_CONTROLLERS = Resource("v1", "ReplicationController", "replicationcontrollers")
JOBS = Resource("batch/v1", "Job", "jobs")
NETWORK_POLICIES = Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
ENDPOINT_SLICES = Resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
AUTOSCALERS = Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")


class Reader(Protocol):
    """What discovery needs of a client."""

    def get(self, path: str) -> Object:
        """Return the object at ``path``."""


class Discovery:
    """Answers which resource a kind is, from the API's own lists; asks for each group version once."""

    def __init__(self, client: Reader) -> None:
        self._client = client
        self._known: dict[str, dict[str, Resource]] = {}

    def resource(self, api_version: str, kind: str) -> Resource | None:
        """Return the resource of a kind, or None when the cluster does not know it."""
        if api_version not in self._known:
            self._known[api_version] = self._ask(api_version)
        return self._known[api_version].get(kind)

    def forget(self, api_version: str) -> None:
        """Ask again for what a group version holds."""
        self._known.pop(api_version, None)

    def _ask(self, api_version: str) -> dict[str, Resource]:
        try:
            listed = self._client.get(_group_path(api_version))
        except NotFoundError:
            return {}
        return {
            entry["kind"]: Resource(api_version, entry["kind"], entry["name"], entry["namespaced"])
            for entry in listed.get("resources", [])
            if "/" not in entry["name"]  # a subresource, such as pods/log
        }


def _group_path(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
