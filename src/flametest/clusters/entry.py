"""Where users enter a system on a cluster of any kind: the URL of its entry Service, found, and never guessed.

A Service of type LoadBalancer has an address of its own. A NodePort is open on every node, and, where the API server is
on this machine's loopback as with clusters in a container, usually there as well. But nodes' addresses are private, and
loopback is shared by all clusters of a machine, so that anything may answer there: it counts only if it names a pod of
this very namespace as the one that served, as the header X-Served-By does. For other systems the user names the URL.
"""

import http.client
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from flametest.clusters.protocol import ClusterError
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import NODES, PODS, SERVICES, Object
from flametest.model.certificates import tls_problem
from flametest.model.proxies import without_secret
from flametest.model.routes import Route, RouteError, said_by_proxy

__all__ = ["Candidate", "EntryAnswer", "ask_entry", "candidates", "entry_service", "find_entry"]

CONNECT_SECONDS = 1.0
NODES_TRIED_MAX = 3  # a port is open on all of them; more that do not answer only cost time
SERVED_BY = "X-Served-By"
_REMEDIES = {
    "authority": "use --ca-file with a file of the authority that signed it, or trust any certificate with --insecure",
    "name": "use --url with a host that the certificate is for, or trust any certificate with --insecure",
    "date": "have it renewed, and check that this machine's clock is right; or trust any certificate with --insecure",
    "client": "users without a client certificate do not get in; name another entry with --url",
    "protocol": "is it spoken to in the clear? name it as http://... with --url",
}
_LOOPBACK = ("127.", "localhost", "[::1]", "::1")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A URL that may lead to the entry; ``surely`` when the cluster itself has given the address to the Service."""

    url: str
    surely: bool


@dataclass(frozen=True, slots=True)
class EntryAnswer:
    """What an entry answered: its status, the pod that served if it says so, and where a redirect leads to."""

    status: int
    served_by: str
    location: str


def ask_entry(url: str, route: Route, seconds: float) -> EntryAnswer | None:
    """Return what the entry itself answers to one request, or None when it does not; no redirect is followed.

    Args:
        url: the entry.
        route: how it is reached.
        seconds: how long each part of the exchange may take.

    Raises:
        ClusterError: its certificate is not to be trusted, or a proxy refuses in its place: waiting will not help.
    """
    try:
        connection, target = route.connection(url, seconds)
    except RouteError as error:
        raise ClusterError(error.message, error.remedy) from error
    try:
        connection.request("GET", target, headers={"User-Agent": "flametest", "Connection": "close"})
        with connection.getresponse() as answer:
            headers = {name.lower(): value for name, value in answer.getheaders()}
    except (OSError, http.client.HTTPException, ValueError) as error:
        problem = tls_problem(error)
        if problem is not None:
            raise ClusterError(f"the entry {url} cannot be trusted: {problem.told}", _REMEDIES[problem.kind]) from error
        if route.proxy and "Tunnel connection failed" in str(error):
            raise _refused_by(route.proxy, url, str(error).partition(": ")[2]) from error
        return None
    finally:
        connection.close()
    if said_by_proxy(answer.status, headers):
        raise _refused_by(route.proxy, url, f"{answer.status} {answer.reason}")
    return EntryAnswer(answer.status, headers.get(SERVED_BY.lower(), ""), headers.get("location", ""))


def _refused_by(proxy: str, url: str, told: str) -> ClusterError:
    name = f"the proxy {without_secret(proxy)}" if proxy else "a proxy"
    return ClusterError(
        f"{name} answers in place of the entry {url}: {told}",
        "except the entry's host by NO_PROXY, or have the proxy let it through",
    )


def find_entry(client: KubeClient, namespace: str, entry_port: int) -> str:
    """Return the URL of the system's entry; empty when none can be found that surely is its own.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    service = entry_service(client.api.listed(SERVICES.path(namespace)).items, entry_port)
    if service is None:
        return ""
    nodes = _nodes(client) if _is_node_port(service) else []
    pods = {str(pod["metadata"]["name"]) for pod in client.api.listed(PODS.path(namespace)).items}
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
        return client.api.listed(NODES.path()).items
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
    except OSError:
        return False
    answer = ask_entry(candidate.url, Route(), CONNECT_SECONDS * 2)
    if answer is None:
        return False
    served_by = answer.served_by
    # A pod by another name is another system's, wherever it answers.
    return is_pod(served_by) if served_by else candidate.surely
