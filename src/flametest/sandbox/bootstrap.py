"""The objects that every cluster has from its first moment: system namespaces, the API's and the name server's Service.

Pure: `bootstrap_objects` says what to create, in which order; `flametest.sandbox.cluster` creates it.
"""

from flametest.sandbox.objects import Object
from flametest.sandbox.settings import DNS_ADDRESS, KUBERNETES_ADDRESS

__all__ = ["API_INNER_PORT", "DNS_PORT", "bootstrap_objects"]

API_INNER_PORT = 6443
"""Port of the first node's address on which pods reach the API."""

DNS_PORT = 53

_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def bootstrap_objects(node_address: str) -> list[tuple[str, Object]]:
    """Return (resource, object) pairs; ``node_address`` is where API and name server listen inside the cluster."""
    return [
        *(("namespaces", _object("v1", "Namespace", name)) for name in _NAMESPACES),
        *_service(
            "default",
            "kubernetes",
            address=KUBERNETES_ADDRESS,
            labels={"component": "apiserver", "provider": "kubernetes"},
            ports=[("https", "TCP", 443, API_INNER_PORT)],
            endpoint=node_address,
        ),
        *_service(
            "kube-system",
            "kube-dns",
            address=DNS_ADDRESS,
            labels={"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"},
            ports=[("dns", "UDP", 53, DNS_PORT), ("dns-tcp", "TCP", 53, DNS_PORT)],
            endpoint=node_address,
        ),
    ]


def _service(
    namespace: str,
    name: str,
    *,
    address: str,
    labels: dict[str, str],
    ports: list[tuple[str, str, int, int]],
    endpoint: str,
) -> list[tuple[str, Object]]:
    """Return a Service without a selector and the EndpointSlice that leads it to ``endpoint``.

    A port is (name, protocol, port of the Service, port of the endpoint).
    """
    service = _object("v1", "Service", name, namespace)
    service["metadata"]["labels"] = labels
    service["spec"] = {
        "type": "ClusterIP",
        "clusterIP": address,
        "ports": [
            {"name": port_name, "protocol": protocol, "port": port, "targetPort": target}
            for port_name, protocol, port, target in ports
        ],
    }
    endpoint_slice = _object("discovery.k8s.io/v1", "EndpointSlice", name, namespace)
    endpoint_slice["metadata"]["labels"] = {"kubernetes.io/service-name": name}
    endpoint_slice |= {
        "addressType": "IPv4",
        "endpoints": [{"addresses": [endpoint], "conditions": {"ready": True, "serving": True, "terminating": False}}],
        "ports": [
            {"name": port_name, "protocol": protocol, "port": target} for port_name, protocol, _, target in ports
        ],
    }
    return [("services", service), ("endpointslices.discovery.k8s.io", endpoint_slice)]


def _object(api_version: str, kind: str, name: str, namespace: str = "") -> Object:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
