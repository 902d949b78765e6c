"""Where users enter a system on a cluster of any kind: the URL of its entry Service, found, and never guessed.

A Service of type LoadBalancer has an address of its own. A NodePort is open on every node, and, where the API server is
on this machine's loopback as with clusters in a container, usually there as well. But nodes' addresses are private, and
loopback is shared by all clusters of a machine, so that anything may answer there: it counts only if it names a pod of
this very namespace as the one that served, as the header X-Served-By does. For other systems the user names the URL.
"""

import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import NODES, PODS, SERVICES, Object

__all__ = ["Candidate", "StayHandler", "candidates", "entry_service", "find_entry"]

CONNECT_SECONDS = 1.0
NODES_TRIED_MAX = 3  # a port is open on all of them; more that do not answer only cost time
SERVED_BY = "X-Served-By"
_LOOPBACK = ("127.", "localhost", "[::1]", "::1")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A URL that may lead to the entry; ``surely`` when the cluster itself has given the address to the Service."""

    url: str
    surely: bool


class StayHandler(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, but raises HTTPError for it: what a redirect leads to may be another system."""

    def redirect_request(self, *_: object) -> None:
        """Ask for nothing more."""


def find_entry(client: KubeClient, namespace: str, entry_port: int) -> str:
    """Return the URL of the system's entry; empty when none can be found that surely is its own.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    service = entry_service(client.api.get(SERVICES.path(namespace)).get("items", []), entry_port)
    if service is None:
        return ""
    nodes = _nodes(client) if _is_node_port(service) else []
    pods = {str(pod["metadata"]["name"]) for pod in client.api.get(PODS.path(namespace)).get("items", [])}
    for candidate in candidates(service, nodes, client.api.server, entry_port):
        if _answers(candidate, pods.__contains__):
            return candidate.url
    return ""


def entry_service(services: Iterable[Object], entry_port: int) -> Object | None:
    """Return the Service by which users enter: that of the node port, else the only one that is open to the outside."""
    outside = [one for one in services if one.get("spec", {}).get("type") in ("NodePort", "LoadBalancer")]
    for one in outside:
        if any(port.get("nodePort") == entry_port for port in one["spec"].get("ports") or []):
            return one
    return outside[0] if len(outside) == 1 else None


def candidates(service: Object, nodes: Iterable[Object], server: str, entry_port: int) -> Iterator[Candidate]:
    """Yield where a Service may be entered, the likeliest first."""
    ports = service["spec"].get("ports") or []
    for one in service.get("status", {}).get("loadBalancer", {}).get("ingress") or []:
        host = one.get("hostname") or one.get("ip")
        if host and ports:
            yield Candidate(_url(str(host), int(ports[0]["port"])), surely=True)
    numbers = [int(port["nodePort"]) for port in ports if port.get("nodePort")]
    if not numbers:
        return
    number = entry_port if entry_port in numbers else numbers[0]
    host = urlsplit(server).hostname or ""
    if host.startswith(_LOOPBACK):
        yield Candidate(_url(host, number), surely=False)
    addresses = [address for node in nodes for address in _addresses(node)]
    for address in addresses[:NODES_TRIED_MAX]:
        yield Candidate(_url(address, number), surely=False)


def _nodes(client: KubeClient) -> list[Object]:
    try:
        return list(client.api.get(NODES.path()).get("items", []))
    except ApiRejectedError:  # not everybody may see nodes
        return []


def _is_node_port(service: Object) -> bool:
    return any(port.get("nodePort") for port in service["spec"].get("ports") or [])


def _addresses(node: Object) -> list[str]:
    """Return a node's best address: one for outsiders if it has any."""
    told = {one["type"]: str(one["address"]) for one in reversed(node.get("status", {}).get("addresses") or [])}
    best = told.get("ExternalIP") or told.get("InternalIP")
    return [best] if best else []


def _url(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}" if port == 80 else f"http://{shown}:{port}"


def _answers(candidate: Candidate, is_pod: Callable[[str], bool]) -> bool:
    parts = urlsplit(candidate.url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), CONNECT_SECONDS):
            pass
        served_by = _served_by(candidate.url)
    except (OSError, urllib.error.URLError):
        return False
    # A pod by another name is another system's, wherever it answers.
    return is_pod(served_by) if served_by else candidate.surely


def _served_by(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), StayHandler)
    try:
        with opener.open(url, timeout=CONNECT_SECONDS * 2) as answer:
            return str(answer.headers.get(SERVED_BY, ""))
    except urllib.error.HTTPError as error:
        with error:
            return str(error.headers.get(SERVED_BY, ""))
