"""What every cluster has from its start: namespaces, storage, everybody's rights, the Services of API and DNS."""

from flametest.sandbox.apiserver.registry import Registry
from flametest.sandbox.objects import Object

__all__ = ["bootstrap"]

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")

_RBAC = "rbac.authorization.k8s.io"
_EVERYTHING = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]
_PATHS = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version"]
ROLES: dict[str, list[Object]] = {
    "cluster-admin": _EVERYTHING,
    "system:discovery": [{"nonResourceURLs": [*_PATHS, "/version/"], "verbs": ["get"]}],
    "system:basic-user": [
        {
            "apiGroups": ["authorization.k8s.io"],
            "resources": ["selfsubjectaccessreviews"],
            "verbs": ["create"],
        },
        {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
    ],
}
"""Cluster roles that every cluster has, and what they grant; `GRANTS` says to whom."""

STORAGE_CLASSES: tuple[Object, ...] = (
    {
        "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "flametest.dev/folder",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    },
    {
        "metadata": {"name": "local"},
        "provisioner": "flametest.dev/folder",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    },
)
"""What makes volumes for claims: such as any node has, by Minikube's name for it, and such as one node has."""

GRANTS = {
    "cluster-admin": "system:masters",
    "system:discovery": "system:authenticated",
    "system:basic-user": "system:authenticated",
}


def bootstrap(registry: Registry, *, api_address: str = "10.96.0.1", dns_address: str = "10.96.0.10") -> None:
    """Create namespaces, rights, StorageClasses, and the Services ``kubernetes`` and ``kube-dns``.

    Neither Service has a selector: the endpoints of the API and of the DNS are made by whoever serves them.
    """
    for name in NAMESPACES:
        registry.create("namespaces", {"metadata": {"name": name}})
    _grant(registry)
    for storage_class in STORAGE_CLASSES:
        registry.create("storageclasses.storage.k8s.io", storage_class)
    registry.create(
        "services",
        {
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {"clusterIP": api_address, "ports": [{"name": "https", "port": 443, "targetPort": 6443}]},
        },
    )
    registry.create(
        "services",
        {
            "metadata": {
                "name": "kube-dns",
                "namespace": "kube-system",
                "labels": {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"},
            },
            "spec": {
                "clusterIP": dns_address,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                ],
            },
        },
    )


def _grant(registry: Registry) -> None:
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    for name, rules in ROLES.items():
        metadata = {"name": name, "labels": labels}
        registry.create(f"clusterroles.{_RBAC}", {"metadata": metadata, "rules": rules})
        binding = {
            "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": GRANTS[name]}],
        }
        registry.create(f"clusterrolebindings.{_RBAC}", binding)
