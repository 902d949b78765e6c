"""What every cluster has from its start: its namespaces and the Services of the API and of the cluster's DNS."""

from flametest.sandbox.apiserver.registry import Registry

__all__ = ["bootstrap"]

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def bootstrap(registry: Registry, *, api_address: str = "10.96.0.1", dns_address: str = "10.96.0.10") -> None:
    """Create the namespaces, the Service ``kubernetes`` and the Service ``kube-dns`` at their known addresses.

    Neither Service has a selector: the endpoints of the API and of the DNS are made by whoever serves them.
    """
    for name in NAMESPACES:
        registry.create("namespaces", {"metadata": {"name": name}})
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
