"""Nodes as targets: one by name, or one that carries pods of an app; and the pods that are on it."""

import random
from dataclasses import dataclass

from flametest.faults.errors import FaultError
from flametest.faults.workloads import existing, target_of
from flametest.kube import KubeClient
from flametest.kube.resources import NODES, PODS, Object
from flametest.model.events import Target

__all__ = ["NodeSelection", "is_ready", "node_of", "pods_on"]

_MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True)
class NodeSelection:
    """One node: ``node`` by its name, or else one drawn from those with a pod of ``app`` in ``namespace``."""

    namespace: str
    node: str = ""
    app: str = ""

    def __str__(self) -> str:
        return self.node or f"with a pod of {self.app}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the node and every pod that would have to leave it, of whatever namespace.

        Raises:
            FaultError: neither is named, or no such node exists.
            KubeError: the API is unreachable or refused.
        """
        node = existing(client, NODES, "", self.node or self._drawn(client))
        return (target_of(node), *(target_of(pod | {"kind": PODS.kind}) for pod in pods_on(client, node)))

    def _drawn(self, client: KubeClient) -> str:
        if not self.app.strip():
            raise FaultError("neither a node nor an app is named, so any node would do", "name one of them")
        query = {"labelSelector": f"app={self.app}"}
        pods = client.api.get(PODS.path(self.namespace), query).get("items", [])
        nodes = sorted({str(pod["spec"]["nodeName"]) for pod in pods if pod["spec"].get("nodeName")})
        if not nodes:
            raise FaultError(f"no node has a pod of app {self.app!r} in namespace {self.namespace!r}", "mend the app")
        return random.choice(nodes)  # noqa: S311 (not for secrets: repeatable on purpose)


def node_of(targets: tuple[Target, ...]) -> str:
    """Return the name of the node among targets."""
    return next(target.name for target in targets if target.kind == NODES.kind)


def pods_on(client: KubeClient, node: Object) -> list[Object]:
    """Return the pods on a node that a drain would move: not those of DaemonSets, nor what the node itself started.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    query = {"fieldSelector": f"spec.nodeName={node['metadata']['name']}"}
    return [pod for pod in client.api.get(PODS.path(), query).get("items", []) if _moves(pod)]


def is_ready(node: Object) -> bool:
    """Return whether a node's Ready condition is true."""
    conditions = node.get("status", {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _moves(pod: Object) -> bool:
    metadata = pod["metadata"]
    owners = [owner["kind"] for owner in metadata.get("ownerReferences") or [] if owner.get("controller")]
    done = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return "DaemonSet" not in owners and _MIRROR not in (metadata.get("annotations") or {}) and not done
