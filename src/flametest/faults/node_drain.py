"""Drain a node: no new pod comes to it, and its pods are evicted one by one, as budgets allow; heals by uncordoning.

chaostoolkit-kubernetes' ``drain_nodes`` gives up at the first eviction that a budget puts off, and looks every ten
seconds only. This one tries again, as ``kubectl drain`` does.
"""

import time
from dataclasses import dataclass
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.nodes import NodeSelection, node_of
from flametest.faults.protocol import Proof, State
from flametest.faults.waiting import POLL_SECONDS, wait_for
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.errors import ApiRejectedError, NotFoundError
from flametest.kube.resources import NODES, PODS
from flametest.kube.snapshots import find
from flametest.model.events import Target

__all__ = ["NodeDrain"]

TOO_MANY_REQUESTS = 429  # a budget does not allow this eviction now


@dataclass(frozen=True, slots=True)
class NodeDrain:
    """Drain one node within ``timeout_seconds``."""

    name: ClassVar[str] = "node_drain"
    lasts: ClassVar[bool] = True

    selection: NodeSelection
    timeout_seconds: float = 60.0

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"drain node {self.selection}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the node and the pods that have to leave it."""
        return self.selection.targets(client)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return whether it was cordoned already."""
        node = find(client.api, NODES, "", node_of(targets)) or {}
        return {"node": node_of(targets), "cordoned": bool(node.get("spec", {}).get("unschedulable"))}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Cordon the node, then evict its pods; returns when every eviction was accepted."""
        _cordon(client, node_of(targets), True)
        end = time.monotonic() + self.timeout_seconds
        waiting = [target for target in targets if target.kind == PODS.kind]
        while waiting := [target for target in waiting if not _evicted(client, target)]:
            if time.monotonic() >= end:
                names = ", ".join(target.name for target in waiting)
                raise FaultError(f"budgets did not let {names} be evicted within {self.timeout_seconds:g} s")
            time.sleep(POLL_SECONDS)

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until every pod has left."""
        pods = [target for target in targets if target.kind == PODS.kind]

        def left() -> bool:
            found = (find(client.api, PODS, pod.namespace, pod.name) for pod in pods)
            return all(one is None or one["metadata"]["uid"] != pod.uid for one, pod in zip(found, pods, strict=True))

        if wait_for(left, self.timeout_seconds):
            return Proof(True, f"all {len(pods)} pods have left node {state['node']}")
        return Proof(False, f"not all of {len(pods)} pods left node {state['node']} in {self.timeout_seconds:g} s")

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Uncordon the node, unless it was cordoned before."""
        node = find(client.api, NODES, "", state["node"])
        if node is None:
            return f"node {state['node']} is gone, so nothing is left to heal"
        if bool(node["spec"].get("unschedulable")) == state["cordoned"]:
            return f"node {state['node']} takes {'no ' if state['cordoned'] else ''}pods, as before"
        _cordon(client, state["node"], state["cordoned"])
        return f"node {state['node']} takes pods again"


def _cordon(client: KubeClient, node: str, cordoned: bool) -> None:
    body = {"spec": {"unschedulable": True if cordoned else None}}
    client.api.send("PATCH", NODES.path(name=node), body, content_type=MERGE)


def _evicted(client: KubeClient, target: Target) -> bool:
    """Ask for an eviction; False: not yet. https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/"""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": target.name, "namespace": target.namespace},
        "deleteOptions": {"preconditions": {"uid": target.uid}},
    }
    try:
        client.api.send("POST", f"{PODS.path(target.namespace, target.name)}/eviction", body)
    except NotFoundError:
        return True
    except ApiRejectedError as error:
        if error.code != TOO_MANY_REQUESTS:
            raise
        return False
    return True
