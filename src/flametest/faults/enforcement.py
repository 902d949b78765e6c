"""Whether this network enforces NetworkPolicies, by trying: not every network plugin does, and none says so.

A pod that only listens is made beside the system, from an image that runs there already; it is connected to, then a
policy that admits nobody is laid on it alone, and it is connected to again. Both are removed on every way out. Should
this process be killed meanwhile, the pod ends by itself after two minutes, and the policy goes with it.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from flametest.faults.connection import Reach, Reached, reach, ready_pods, try_to_reach
from flametest.faults.helper_pod import helper_pod
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError, NotFoundError
from flametest.kube.resources import NETWORK_POLICIES, PODS, Object
from flametest.kube.rights import rights
from flametest.kube.snapshots import find

__all__ = ["TRYING", "Tried", "try_enforcement"]

PORT = 8080
LIFE_SECONDS = 120
READY_SECONDS_MAX = 30.0
ENFORCED_SECONDS_MAX = 15.0
LABEL = "flametest.dev/try"
_SOURCES_MAX = 4
TRYING = (
    *rights(PODS, "create", "delete", "get", "list"),
    *rights(PODS, "create", "get", subresource="exec"),
    *rights(NETWORK_POLICIES, "create", "delete"),
)
"""The rights that trying needs."""

# A shell ends where what it is to become is not there, so that is looked for first.
_LISTEN = f"command -v python3 >/dev/null && exec python3 -m http.server {PORT}; exec nc -lk -p {PORT}"


@dataclass(frozen=True, slots=True)
class Tried:
    """Whether policies are enforced, None where it could not be tried; and what was seen."""

    proved: bool | None
    evidence: str


def try_enforcement(client: KubeClient, namespace: str) -> Tried:
    """Try it in ``namespace``, among pods that run.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    pods = ready_pods(client, namespace)[:_SOURCES_MAX]
    names = [str(pod["metadata"]["name"]) for pod in pods]
    try:
        for image in dict.fromkeys(str(pod["spec"]["containers"][0]["image"]) for pod in pods):
            if (tried := _try_from(client, namespace, image, names)) is not None:
                return tried
    except ApiRejectedError as error:  # a quota, or an admission webhook with rules of its own
        return Tried(None, f"it could not be tried: {error.told}")
    return Tried(None, "it could not be tried: no image of the system can listen, or none of its pods can connect")


def _try_from(client: KubeClient, namespace: str, image: str, pods: list[str]) -> Tried | None:
    """Try it by a listener of one image; None when it does not listen, or nobody can connect to it."""
    with _listener(client, namespace, image) as listener:
        address = wait_for(lambda: _address(client, namespace, listener) or None, READY_SECONDS_MAX)
        source = _source(client, namespace, pods, address or "")
        return _try(client, namespace, listener, source, address) if address and source else None


def _try(client: KubeClient, namespace: str, listener: Object, source: str, address: str) -> Tried:
    name = str(listener["metadata"]["name"])
    client.api.send("POST", NETWORK_POLICIES.path(namespace), _policy(listener))
    last = [Reached(Reach.UNKNOWN)]

    def failed() -> bool:
        last[0] = try_to_reach(client, (namespace, source), address, PORT)
        return last[0].outcome is Reach.FAILED

    if wait_for(failed, ENFORCED_SECONDS_MAX):
        return Tried(True, f"pod {source} could connect to pod {name}, and cannot where a policy admits nobody")
    if last[0].outcome is Reach.UNKNOWN:
        return Tried(None, f"it could not be tried: pod {source} could not be asked to connect: {last[0].reason}")
    return Tried(False, f"this network enforces no NetworkPolicy: pod {source} connects where a policy admits nobody")


def _source(client: KubeClient, namespace: str, pods: list[str], address: str) -> str:
    """Return a pod that can connect now; empty for none."""
    if not address:
        return ""

    def found() -> str | None:
        tried = (pod for pod in pods if reach(client, (namespace, pod), address, PORT) is Reach.CONNECTED)
        return next(tried, None)

    return wait_for(found, ENFORCED_SECONDS_MAX) or ""


def _address(client: KubeClient, namespace: str, listener: Object) -> str:
    pod = find(client.api, PODS, namespace, listener["metadata"]["name"]) or {}
    status = pod.get("status", {})
    return str(status.get("podIP") or "") if status.get("phase") == "Running" else ""


@contextmanager
def _listener(client: KubeClient, namespace: str, image: str) -> Iterator[Object]:
    name = f"flametest-try-{secrets.token_hex(3)}"
    made = client.api.send("POST", PODS.path(namespace), _pod(name, namespace, image))
    try:
        yield made
    finally:
        with suppress(NotFoundError):
            client.api.send("DELETE", PODS.path(namespace, name), {"gracePeriodSeconds": 0})
        with suppress(NotFoundError, ApiRejectedError):
            client.api.send("DELETE", NETWORK_POLICIES.path(namespace, name))


def _pod(name: str, namespace: str, image: str) -> Object:
    container = {
        "name": "listener",
        "image": image,
        "command": ["sh", "-c", _LISTEN],
        "workingDir": "/tmp",  # noqa: S108 (the container's own; nothing is written)
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
    }
    metadata = {"name": name, "namespace": namespace, "labels": {LABEL: name}}
    return helper_pod(metadata, container, LIFE_SECONDS)


def _policy(listener: Object) -> Object:
    metadata = listener["metadata"]
    owner = {"apiVersion": PODS.api_version, "kind": PODS.kind, "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": NETWORK_POLICIES.api_version,
        "kind": NETWORK_POLICIES.kind,
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "ownerReferences": [owner]},
        "spec": {"podSelector": {"matchLabels": metadata["labels"]}, "policyTypes": ["Ingress"], "ingress": []},
    }
