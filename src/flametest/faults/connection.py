"""Whether a TCP connection can be made from inside a pod: the proof of what no API object shows.

It uses what the image of the pod's main container has: bash, python3, or nc. One without any of them cannot tell, nor
can a pod in which nothing can be run; that is told with its reason, and is no sign that there is no connection.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from flametest.kube import KubeClient
from flametest.kube.errors import KubeError
from flametest.kube.execute import execute
from flametest.kube.pods import controller_uid, is_live, is_ready
from flametest.kube.resources import PODS, Object

__all__ = [
    "CONNECT_SECONDS",
    "Reach",
    "Reached",
    "Vantage",
    "is_probed",
    "reach",
    "ready_pods",
    "try_to_reach",
    "vantage",
]

CONNECT_SECONDS = 2
PODS_TRIED_MAX = 6  # one of each workload; more would only cost time

_NOT_FOUND = 127
# The cheapest first: it runs beside the service and within its limits. A shell costs 4 ms of CPU, Python 36. A bash
# that was built without connections looks for a file, and decides nothing.
_SCRIPT = f"""
if command -v bash >/dev/null && command -v timeout >/dev/null; then
  told=$(timeout {CONNECT_SECONDS} bash -c ": </dev/tcp/$1/$2" 2>&1) && exit 0
  case $told in *'No such file'*) ;; *) exit 1;; esac
fi
if command -v python3 >/dev/null; then
  exec python3 -c 'import socket, sys
try: socket.create_connection((sys.argv[1], int(sys.argv[2])), {CONNECT_SECONDS}).close()
except OSError: sys.exit(1)' "$1" "$2"
elif command -v nc >/dev/null; then nc -w {CONNECT_SECONDS} "$1" "$2" </dev/null >/dev/null 2>&1 || exit 1
else exit {_NOT_FOUND}; fi
"""


class Reach(StrEnum):
    """What became of a connection."""

    CONNECTED = "connected"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reached:
    """What became of a connection.

    Attributes:
        outcome: what became of it.
        reason: why that is unknown; empty when it is known.
        by_anybody: it was made, and so was one to a port that nobody serves: some networks accept connections for every
            address that is not theirs, so that one to where nobody is any more tells nothing.
    """

    outcome: Reach
    reason: str = ""
    by_anybody: bool = False


@dataclass(frozen=True, slots=True)
class Vantage:
    """A pod from which a connection can be made; where there is none, ``pod`` is empty and ``evidence`` says why."""

    pod: str
    evidence: str = ""


def try_to_reach(client: KubeClient, pod: tuple[str, str], address: str, port: int) -> Reached:
    """Try a connection from inside a pod, given by namespace and name, and return what became of it."""
    try:
        done = execute(client.api, pod, ["sh", "-c", _SCRIPT, "sh", address, str(port)])
    except KubeError as error:
        return Reached(Reach.UNKNOWN, error.message)
    if done.refusal:
        return Reached(Reach.UNKNOWN, done.refusal)
    if done.code in (0, 1):
        return Reached(Reach.FAILED if done.code else Reach.CONNECTED)
    if done.code == _NOT_FOUND:
        return Reached(Reach.UNKNOWN, "its image has neither python3 nor nc nor bash")
    ended = "was cut off" if done.code is None else f"ended with {done.code}"
    return Reached(Reach.UNKNOWN, f"the command {ended}: {' '.join(done.output.split()) or 'it said nothing'}")


def reach(client: KubeClient, pod: tuple[str, str], address: str, port: int) -> Reach:
    """Try a connection from inside a pod, given by namespace and name, and return what became of it."""
    return try_to_reach(client, pod, address, port).outcome


def vantage(
    client: KubeClient,
    namespace: str,
    address: str,
    port: int,
    *,
    besides: Collection[str] = (),
    likely: Callable[[Object], bool] = lambda _: True,
) -> Vantage:
    """Return a pod from which a connection can be made now, or why none was found.

    A pod that could not connect anyway proves nothing by not connecting later, so this comes before a fault.

    Args:
        client: the cluster.
        namespace: of the pods that are asked.
        address: to which they are to connect.
        port: at which they are to connect.
        besides: names of pods that are not asked: what is behind a Service may reach itself where no other is let in.
        likely: tells the pods that are asked first, since each that is asked spends some of its processor.

    Raises:
        KubeError: the pods cannot be listed.
    """
    failed, unasked = [], []
    pods = [pod for pod in ready_pods(client, namespace) if pod["metadata"]["name"] not in besides]
    pods.sort(key=lambda pod: not likely(pod))
    for pod in list(_one_of_each_workload(pods))[:PODS_TRIED_MAX]:
        reached = try_to_reach(client, (namespace, pod), address, port)
        if reached.outcome is Reach.CONNECTED:
            return Vantage(pod)
        if reached.outcome is Reach.FAILED:
            failed.append(pod)
        else:
            unasked.append(f"{pod} could not be asked: {reached.reason}")
    told = [f"{', '.join(failed)} could not connect"] if failed else []
    return Vantage("", "; ".join(told + unasked) or "no pod is ready")


def is_probed(pod: Object, port: int) -> bool:
    """Return whether a pod is ready because its node connects to this port, so that something listens there."""
    if not is_ready(pod):
        return False
    for container in pod["spec"]["containers"]:
        probe = container.get("readinessProbe") or {}
        asked = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
        named = (one["containerPort"] for one in container.get("ports") or [] if one.get("name") == asked)
        if asked == port or port in named:
            return True
    return False


def ready_pods(client: KubeClient, namespace: str) -> list[Object]:
    """Return the pods that are ready and stay, by name.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    pods = client.api.listed(PODS.path(namespace)).items
    return [pod for pod in pods if is_ready(pod) and is_live(pod)]


def _one_of_each_workload(pods: list[Object]) -> Iterator[str]:
    seen: set[str] = set()
    for pod in pods:
        owner = controller_uid(pod) or str(pod["metadata"]["uid"])
        if owner not in seen:
            seen.add(owner)
            yield str(pod["metadata"]["name"])
