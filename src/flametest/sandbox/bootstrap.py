"""Where the Services that every cluster has lead to: the API, on the first node's address, and the name server.

The Services themselves are made by `flametest.sandbox.apiserver.bootstrap`. They have no selector, so their
endpoints are made here, by the side of what serves them. Pure: `system_endpoints` says what to create.
"""

from flametest.sandbox.objects import Object

__all__ = ["API_INNER_PORT", "DNS_PORT", "system_endpoints"]

API_INNER_PORT = 6443
"""Port of the first node's address on which pods reach the API."""

DNS_PORT = 53

_ENDPOINT_SLICES = "endpointslices.discovery.k8s.io"


def system_endpoints(node_address: str, name_server_address: str) -> list[tuple[str, Object]]:
    """Return (resource, object) pairs: EndpointSlices and Endpoints of the Services ``kubernetes`` and ``kube-dns``."""
    dns = [_port("dns", "UDP", DNS_PORT), _port("dns-tcp", "TCP", DNS_PORT)]
    return [
        *_endpoints("default", "kubernetes", node_address, [_port("https", "TCP", API_INNER_PORT)]),
        *_endpoints("kube-system", "kube-dns", name_server_address, dns),
    ]


def _port(name: str, protocol: str, number: int) -> Object:
    return {"name": name, "protocol": protocol, "port": number}


def _endpoints(namespace: str, service: str, address: str, ports: list[Object]) -> list[tuple[str, Object]]:
    endpoint_slice = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": service,
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True, "serving": True, "terminating": False}}],
        "ports": ports,
    }
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": service,
            "namespace": namespace,
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    }
    return [(_ENDPOINT_SLICES, endpoint_slice), ("endpoints", endpoints)]
