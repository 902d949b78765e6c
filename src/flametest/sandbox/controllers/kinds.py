"""The kinds that the controllers know: which resource serves a kind, and whether it lives in a namespace.

Owner references name kinds, the state is reached by resources; garbage collection has to
get from one to the other. A kind that is not listed is left alone.
"""

from dataclasses import dataclass

__all__ = ["KINDS", "Kind", "kind_named"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind: its group (empty for core), its name, its resource, and whether it lives in a namespace."""

    group: str
    name: str
    resource: str
    namespaced: bool = True


KINDS = (
    Kind("", "Namespace", "namespaces", namespaced=False),
    Kind("", "Node", "nodes", namespaced=False),
    Kind("", "PersistentVolume", "persistentvolumes", namespaced=False),
    Kind("networking.k8s.io", "IngressClass", "ingressclasses.networking.k8s.io", namespaced=False),
    Kind("scheduling.k8s.io", "PriorityClass", "priorityclasses.scheduling.k8s.io", namespaced=False),
    Kind("storage.k8s.io", "StorageClass", "storageclasses.storage.k8s.io", namespaced=False),
    Kind("rbac.authorization.k8s.io", "ClusterRole", "clusterroles.rbac.authorization.k8s.io", namespaced=False),
    Kind(
        "rbac.authorization.k8s.io",
        "ClusterRoleBinding",
        "clusterrolebindings.rbac.authorization.k8s.io",
        namespaced=False,
    ),
    Kind(
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions.apiextensions.k8s.io",
        namespaced=False,
    ),
    Kind("apps", "Deployment", "deployments.apps"),
    Kind("apps", "StatefulSet", "statefulsets.apps"),
    Kind("apps", "DaemonSet", "daemonsets.apps"),
    Kind("apps", "ReplicaSet", "replicasets.apps"),
    Kind("", "ReplicationController", "replicationcontrollers"),
    Kind("apps", "ControllerRevision", "controllerrevisions.apps"),
    Kind("batch", "CronJob", "cronjobs.batch"),
    Kind("batch", "Job", "jobs.batch"),
    Kind("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers.autoscaling"),
    Kind("policy", "PodDisruptionBudget", "poddisruptionbudgets.policy"),
    Kind("", "Service", "services"),
    Kind("", "Endpoints", "endpoints"),
    Kind("discovery.k8s.io", "EndpointSlice", "endpointslices.discovery.k8s.io"),
    Kind("networking.k8s.io", "NetworkPolicy", "networkpolicies.networking.k8s.io"),
    Kind("networking.k8s.io", "Ingress", "ingresses.networking.k8s.io"),
    Kind("", "Pod", "pods"),
    Kind("", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Kind("", "ConfigMap", "configmaps"),
    Kind("", "Secret", "secrets"),
    Kind("", "LimitRange", "limitranges"),
    Kind("", "ResourceQuota", "resourcequotas"),
    Kind("", "ServiceAccount", "serviceaccounts"),
    Kind("coordination.k8s.io", "Lease", "leases.coordination.k8s.io"),
    Kind("rbac.authorization.k8s.io", "Role", "roles.rbac.authorization.k8s.io"),
    Kind("rbac.authorization.k8s.io", "RoleBinding", "rolebindings.rbac.authorization.k8s.io"),
)

_BY_NAME = {(kind.group, kind.name): kind for kind in KINDS}


def kind_named(api_version: str, name: str) -> Kind | None:
    """Return the kind that an owner reference names, whatever its version; None for one that is not known."""
    group = api_version.rpartition("/")[0]
    return _BY_NAME.get((group, name))
