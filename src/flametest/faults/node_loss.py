"""Lose a node: it stops from one moment to the next, and the cluster has to find out by itself. Sandbox only.

No API of Kubernetes stops a machine. The sandbox's simulated nodes stop while they carry an annotation; elsewhere the
fault is refused, since nothing could be proved or healed there.
"""

from dataclasses import dataclass
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.nodes import NodeSelection, is_ready, node_of
from flametest.faults.protocol import Proof, State
from flametest.faults.readback import change, gone, standing
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import existing
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.resources import NODES, Object
from flametest.kube.snapshots import find
from flametest.model.events import Target

__all__ = ["STOPPED_ANNOTATION", "NodeLoss"]

STOPPED_ANNOTATION = "sandbox.flametest.dev/stopped"
PROVIDER = "sandbox://"
PROOF_SECONDS_MAX = 90.0  # Kubernetes' own patience with a silent node is 40 to 50 s


@dataclass(frozen=True, slots=True)
class NodeLoss:
    """Stop one node of the sandbox."""

    name: ClassVar[str] = "node_loss"
    lasts: ClassVar[bool] = True

    selection: NodeSelection

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"lose node {self.selection}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the node and the pods on it.

        Raises:
            FaultError: no such node exists, or it is no node of the sandbox.
        """
        found = self.selection.targets(client)
        node = existing(client, NODES, "", node_of(found))
        if not str(node.get("spec", {}).get("providerID", "")).startswith(PROVIDER):
            raise FaultError(
                f"node {node_of(found)} is no node of the sandbox, and no API of Kubernetes stops a machine",
                "stop the machine by its own means, or run this experiment on the sandbox",
            )
        return found

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the node's name.

        Raises:
            FaultError: it is stopped already.
        """
        node = existing(client, NODES, "", node_of(targets))
        if _is_stopped(node):
            raise FaultError(f"node {node_of(targets)} is stopped already", "run `flametest undo` first")
        return {"node": node_of(targets), "uid": node["metadata"]["uid"]}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Stop the node."""
        _stop(client, node_of(targets))

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until the cluster has found out that the node is not ready."""
        node = str(state["node"])
        if wait_for(lambda: not is_ready(find(client.api, NODES, "", node) or {}), PROOF_SECONDS_MAX):
            return Proof(True, f"node {node} is not ready")
        return Proof(False, f"node {node} was still ready after {PROOF_SECONDS_MAX:g} s")

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Let the node run again."""
        name = state["node"]
        found = standing(client, NODES, "", name)
        if found is None or gone(found, state.get("uid", "")):
            return f"node {name} {gone(found, state.get('uid', ''))}"
        if not _is_stopped(found):
            return f"node {name} is not stopped, as before"
        change(
            client,
            NODES,
            found,
            lambda obj: {"metadata": {"annotations": {STOPPED_ANNOTATION: None}}} if _is_stopped(obj) else None,
            lambda obj: ["it is stopped"] if _is_stopped(obj) else [],
        )
        return f"node {name} was started again"


def _is_stopped(node: Object) -> bool:
    return STOPPED_ANNOTATION in (node["metadata"].get("annotations") or {})


def _stop(client: KubeClient, node: str) -> None:
    body = {"metadata": {"annotations": {STOPPED_ANNOTATION: "true"}}}
    client.api.send("PATCH", NODES.path(name=node), body, content_type=MERGE)
