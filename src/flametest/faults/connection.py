"""Whether a TCP connection can be made from inside a pod: the proof of what no API object shows.

It uses what the pod's image has: python3, nc, or bash. A pod without any of them cannot tell.
"""

from collections.abc import Iterator
from enum import StrEnum

from flametest.kube import KubeClient
from flametest.kube.errors import KubeError
from flametest.kube.execute import execute
from flametest.kube.resources import PODS, Object

__all__ = ["Reach", "reach", "ready_pods", "vantage"]

CONNECT_SECONDS = 2
PODS_TRIED_MAX = 6  # one of each app; more would only cost time

_SCRIPT = f"""
if command -v python3 >/dev/null; then
  exec python3 -c 'import socket, sys
try: socket.create_connection((sys.argv[1], int(sys.argv[2])), {CONNECT_SECONDS}).close()
except OSError: sys.exit(1)' "$1" "$2"
elif command -v nc >/dev/null; then nc -w {CONNECT_SECONDS} "$1" "$2" </dev/null >/dev/null 2>&1 || exit 1
elif command -v bash >/dev/null; then timeout {CONNECT_SECONDS} bash -c ": </dev/tcp/$1/$2" 2>/dev/null || exit 1
else exit 127; fi
"""


class Reach(StrEnum):
    """What became of a connection."""

    CONNECTED = "connected"
    FAILED = "failed"
    UNKNOWN = "unknown"


def reach(client: KubeClient, pod: tuple[str, str], address: str, port: int) -> Reach:
    """Try a connection from inside a pod, given by namespace and name, and return what became of it."""
    try:
        done = execute(client.api, pod, ["sh", "-c", _SCRIPT, "sh", address, str(port)])
    except KubeError:
        return Reach.UNKNOWN
    return {0: Reach.CONNECTED, 1: Reach.FAILED}.get(-1 if done.code is None else done.code, Reach.UNKNOWN)


def vantage(client: KubeClient, namespace: str, address: str, port: int) -> str:
    """Return a pod from which a connection can be made now; empty when none was found.

    A pod that could not connect anyway proves nothing by not connecting later, so this comes before a fault.

    Raises:
        KubeError: the pods cannot be listed.
    """
    pods = list(_one_of_each_app(ready_pods(client, namespace)))[:PODS_TRIED_MAX]
    connected = (pod for pod in pods if reach(client, (namespace, pod), address, port) is Reach.CONNECTED)
    return next(connected, "")


def ready_pods(client: KubeClient, namespace: str) -> list[Object]:
    """Return the pods that are ready and stay, by name.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    pods = client.api.get(PODS.path(namespace)).get("items", [])
    return [pod for pod in pods if _is_ready(pod) and not pod["metadata"].get("deletionTimestamp")]


def _one_of_each_app(pods: list[Object]) -> Iterator[str]:
    seen: set[str] = set()
    for pod in pods:
        app = str((pod["metadata"].get("labels") or {}).get("app", pod["metadata"]["name"]))
        if app not in seen:
            seen.add(app)
            yield str(pod["metadata"]["name"])


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
