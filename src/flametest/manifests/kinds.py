"""The kinds that Kubernetes itself defines: which of them have no namespace, and which have to be there before others.

Of other kinds, which come by a CustomResourceDefinition or an API server of their own, only the cluster knows.
Source: `kubectl api-resources` of Kubernetes v1.36.
"""

__all__ = ["is_builtin_group", "is_builtin_kind", "is_cluster_scoped", "precedence"]

_NAMESPACED: dict[str, str] = {
    "v1": "ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod PodTemplate ReplicationController "
    "ResourceQuota Secret Service ServiceAccount",
    "apps/v1": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "autoscaling/v1": "HorizontalPodAutoscaler",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "batch/v1": "CronJob Job",
    "coordination.k8s.io/v1": "Lease",
    "discovery.k8s.io/v1": "EndpointSlice",
    "events.k8s.io/v1": "Event",
    "networking.k8s.io/v1": "Ingress NetworkPolicy",
    "policy/v1": "PodDisruptionBudget",
    "rbac.authorization.k8s.io/v1": "Role RoleBinding",
    "resource.k8s.io/v1": "ResourceClaim ResourceClaimTemplate",
    "storage.k8s.io/v1": "CSIStorageCapacity",
}
_CLUSTER_SCOPED: dict[str, str] = {
    "v1": "Namespace Node PersistentVolume",
    "admissionregistration.k8s.io/v1": "MutatingWebhookConfiguration ValidatingAdmissionPolicy "
    "ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "apiregistration.k8s.io/v1": "APIService",
    "certificates.k8s.io/v1": "CertificateSigningRequest",
    "flowcontrol.apiserver.k8s.io/v1": "FlowSchema PriorityLevelConfiguration",
    "networking.k8s.io/v1": "IPAddress IngressClass ServiceCIDR",
    "node.k8s.io/v1": "RuntimeClass",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding",
    "resource.k8s.io/v1": "DeviceClass ResourceSlice",
    "scheduling.k8s.io/v1": "PriorityClass",
    "storage.k8s.io/v1": "CSIDriver CSINode StorageClass VolumeAttachment VolumeAttributesClass",
}
_FIRST = ("Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "ServiceAccount")


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


_GROUPS = {_group(one) for one in (*_NAMESPACED, *_CLUSTER_SCOPED)} | {"extensions"}
_KINDS = {
    (version, kind) for table in (_NAMESPACED, _CLUSTER_SCOPED) for version in table for kind in table[version].split()
}
_SCOPED = {(_group(version), kind) for version, kinds in _CLUSTER_SCOPED.items() for kind in kinds.split()}


def is_builtin_group(api_version: str) -> bool:
    """Return whether Kubernetes itself defines what the group of ``api_version`` holds."""
    return _group(api_version) in _GROUPS


def is_builtin_kind(api_version: str, kind: str) -> bool:
    """Return whether Kubernetes itself serves this kind in this version."""
    return (api_version, kind) in _KINDS


def is_cluster_scoped(api_version: str, kind: str) -> bool:
    """Return whether objects of a kind that Kubernetes itself defines live in no namespace; False for other kinds."""
    return (_group(api_version), kind) in _SCOPED


def precedence(kind: str) -> int:
    """Return a rank by which to apply objects: what others need in order to be admitted at all comes first."""
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST)
