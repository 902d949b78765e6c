"""Nodes as targets: one by name, or one that carries live pods of an app; and the pods that are on it."""

import random
from dataclasses import dataclass

from flametest.faults.apps import find_app
from flametest.faults.errors import FaultError
from flametest.faults.workloads import existing, target_of
from flametest.kube import KubeClient
from flametest.kube.pods import controller_of, is_live
from flametest.kube.resources import DAEMON_SETS, NODES, PODS, Object
from flametest.model.events import Target

__all__ = ["NodeSelection", "is_ready", "node_of", "pods_on"]

_MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True)
class NodeSelection:
    """One node.

    Attributes:
        namespace: where the pods are by which it is drawn.
        node: its name; else one is drawn from those with a live pod that the others select; those come first that no
            pod of another namespace would have to leave.
        app: whose pods, as `flametest.faults.apps` finds it.
        label_selector: any other selector of pods, as the API takes it.
    """

    namespace: str
    node: str = ""
    app: str = ""
    label_selector: str = ""

    def __str__(self) -> str:
        return self.node or f"with a pod of {self.app or self.label_selector}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the node and every pod that would have to leave it, of whatever namespace.

        Raises:
            FaultError: neither is named, or no such node exists.
            KubeError: the API is unreachable or refused.
        """
        node = existing(client, NODES, "", self.node or self._drawn(client))
        pods = pods_on(client, str(node["metadata"]["name"]))
        return (target_of(node), *(target_of(pod | {"kind": PODS.kind}) for pod in pods))

    def _drawn(self, client: KubeClient) -> str:
        app, selector = self.app.strip(), self.label_selector.strip()
        if not app and not selector:
            raise FaultError(
                "neither a node nor an app nor a label selector is named, so any node would do", "name one of them"
            )
        pods = client.api.listed(PODS.path(self.namespace), {"labelSelector": selector} if selector else None).items
        if app:
            own = {pod["metadata"]["uid"] for pod in find_app(client, self.namespace, app).pods}
            pods = [pod for pod in pods if pod["metadata"]["uid"] in own]
        nodes = sorted({str(pod["spec"]["nodeName"]) for pod in pods if is_live(pod) and pod["spec"].get("nodeName")})
        if not nodes:
            whose = " ".join([*([f"of {app}"] if app else []), *([f"with {selector!r}"] if selector else [])])
            raise FaultError(
                f"no node has a live pod {whose} in namespace {self.namespace!r}", "fix the app or the selector"
            )
        own_only = [name for name in nodes if not _foreign_pods(client, name, self.namespace)] if len(nodes) > 1 else []
        return random.choice(own_only or nodes)  # noqa: S311 (not for secrets: repeatable on purpose)


def node_of(targets: tuple[Target, ...]) -> str:
    """Return the name of the node among targets."""
    return next(target.name for target in targets if target.kind == NODES.kind)


def pods_on(client: KubeClient, node: str) -> list[Object]:
    """Return the pods on a node that a drain would move, of whatever namespace.

    Those of DaemonSets and those that the node itself started stay, as with ``kubectl drain --ignore-daemonsets``; what
    has ended, or is on its way out anyway, is nobody's loss.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    query = {"fieldSelector": f"spec.nodeName={node}"}
    return [pod for pod in client.api.listed(PODS.path(), query).items if _moves(pod)]


def is_ready(node: Object) -> bool:
    """Return whether a node's Ready condition is true."""
    conditions = node.get("status", {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _foreign_pods(client: KubeClient, node: str, namespace: str) -> list[Object]:
    return [pod for pod in pods_on(client, node) if pod["metadata"]["namespace"] != namespace]


def _moves(pod: Object) -> bool:
    of_the_node = _MIRROR in (pod["metadata"].get("annotations") or {})
    gone = pod.get("status", {}).get("phase") in ("Succeeded", "Failed") or pod["metadata"].get("deletionTimestamp")
    return controller_of(pod).get("kind") != DAEMON_SETS.kind and not of_the_node and not gone
