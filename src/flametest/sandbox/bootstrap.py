"""Where the Services that every cluster has lead to: the API and the name server, on the first node's address.

The Services themselves are made by `flametest.sandbox.apiserver.bootstrap`. They have no selector, so their
EndpointSlices are made here, by the side of what serves them. Pure: `system_endpoint_slices` says what to create.
"""

from flametest.sandbox.objects import Object

__all__ = ["API_INNER_PORT", "DNS_PORT", "system_endpoint_slices"]

API_INNER_PORT = 6443
"""Port of the first node's address on which pods reach the API."""

DNS_PORT = 53


def system_endpoint_slices(node_address: str) -> list[Object]:
    """Return the EndpointSlices of the Services ``kubernetes`` and ``kube-dns``."""
    return [
        _slice("default", "kubernetes", node_address, [("https", "TCP", API_INNER_PORT)]),
        _slice("kube-system", "kube-dns", node_address, [("dns", "UDP", DNS_PORT), ("dns-tcp", "TCP", DNS_PORT)]),
    ]


def _slice(namespace: str, service: str, address: str, ports: list[tuple[str, str, int]]) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": service,
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True, "serving": True, "terminating": False}}],
        "ports": [{"name": name, "protocol": protocol, "port": port} for name, protocol, port in ports],
    }
