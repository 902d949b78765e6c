"""The entry of a system that was just deployed: where it is, and whether it is this system that answers there.

A node port of this machine may be another program's, or another cluster's. So an answer counts when it names a pod of
the system as the one that served, or when the listener is known to be the cluster's own. Where neither can be told, the
entry is taken, and it is said that nobody has made sure of it.
"""

import os
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from flametest.clusters import ENTRY_PORT, Access, Cluster, ClusterError, running
from flametest.clusters.entry import ask_entry, entry_service
from flametest.kube import KubeClient
from flametest.kube.resources import PODS, SERVICES, Object
from flametest.load.redirects import redirection

__all__ = ["Entry", "await_entry", "located", "own_entry"]

ENTRY_SECONDS = 15.0  # pods are Ready by then; what is left is for the node port to follow
POLL_SECONDS = 0.1
_UNVERIFIED = "which of this machine's programs answers there could not be verified"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where users enter: its URL, empty for none, and what people should know of it."""

    url: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.url} ({self.note})" if self.url and self.note else self.url or self.note


def located(cluster: Cluster) -> Access:
    """Return how the running system is reached, its entry included.

    Raises:
        ClusterError: it is not running, or its entry cannot be found.
    """
    access = running(cluster)
    if not access.url:
        raise ClusterError(
            f"no entry of namespace {access.namespace!r} can be reached from this machine: there is no Service of type "
            "NodePort or LoadBalancer whose address answers with one of its pods",
            "name it with --url; a port forward will do: "
            f"kubectl --context {access.context} --namespace {access.namespace} port-forward service/NAME 8080:80",
        )
    return access


def own_entry(client: KubeClient, access: Access) -> Entry:
    """Return the entry on a cluster of Flametest's own: the node port of the Service by which users enter.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    services = client.api.listed(SERVICES.path(access.namespace)).items
    service = entry_service(services, ENTRY_PORT)
    if service is not None:
        ports = _node_ports(service)
        if ports:
            return Entry(_at(access.url, ENTRY_PORT if ENTRY_PORT in ports else ports[0]))
    several = [f"{one['metadata']['name']} {_at(access.url, port)}" for one in services for port in _node_ports(one)]
    if several:
        return Entry("", f"one of these, name it with --url: {', '.join(several)}")
    return Entry("", "no Service is of type NodePort or LoadBalancer; `kubectl port-forward` reaches any")


def await_entry(client: KubeClient, cluster: Cluster, access: Access, *, needed: bool = True) -> str:
    """Return when the entry answers, and what is to be said about it.

    Args:
        client: the cluster's API.
        cluster: the cluster, which may know whose the listener is.
        access: how it is reached, the entry's URL among it.
        needed: whether it is an error that it does not answer HTTP.

    Raises:
        ClusterError: it does not, with what the cluster says about its Services; or another program has its port.
    """
    end, port = time.monotonic() + ENTRY_SECONDS, _port(access.url)
    pods = {str(pod["metadata"]["name"]) for pod in client.api.listed(PODS.path(access.namespace)).items}
    foreign, route = "", access.route(os.environ)
    while True:
        answer, own = ask_entry(access.url, route, ENTRY_SECONDS), cluster.listens(port)
        if answer is not None and answer.status < 500:
            led = redirection(access.url, answer.status, answer.location)
            if answer.served_by in pods:
                return led
            if not answer.served_by and own is not False:
                return led if own else "; ".join(filter(None, (led, _UNVERIFIED)))
            foreign = f"pod {answer.served_by}" if answer.served_by else "another program"
        warned = client.warnings(access.namespace, "Service")
        taken = own is False and any(one.reason == "NodePortUnavailable" for one in warned)
        if taken or time.monotonic() >= end:
            said = "; ".join(f"Service {one.name}: {one.message}" for one in warned)
            if not needed and not taken and not foreign:
                return "it answers no HTTP request"
            raise _no_entry(access, foreign, said)
        time.sleep(POLL_SECONDS)


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _no_entry(access: Access, foreign: str, said: str) -> ClusterError:
    problem = f"is answered by {foreign}, which is not of this system" if foreign else "does not answer"
    return ClusterError(
        f"the entry {access.url} {problem}{': ' if said else ''}{said}",
        "free its address and port, or fix the entry Service, and try again",
    )


def _node_ports(service: Object) -> list[int]:
    ports = service.get("spec", {}).get("ports") or []
    return [int(one["nodePort"]) for one in ports if one.get("nodePort") and one.get("protocol") != "UDP"]


def _at(url: str, port: int) -> str:
    """Return the URL of another port of the same host; the same URL where it stands for the entry's port already."""
    parts = urlsplit(url)
    return url if port == ENTRY_PORT else f"{parts.scheme}://{parts.hostname}:{port}"
