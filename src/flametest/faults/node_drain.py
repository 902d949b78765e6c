"""Drain a node: no new pod comes to it, and its pods are evicted one by one, as budgets allow; heals by uncordoning.

chaostoolkit-kubernetes' ``drain_nodes`` gives up at the first eviction that a budget puts off, and looks every ten
seconds only. This one tries again, as ``kubectl drain`` does. Pods of DaemonSets and those that the node itself started
stay. Pods of other namespaces than the system's leave only where the experiment names their namespace, and it consents.
"""

import time
from dataclasses import dataclass
from typing import ClassVar

from flametest.faults.errors import FaultError, HealError
from flametest.faults.nodes import NodeSelection, node_of
from flametest.faults.protocol import Proof, State
from flametest.faults.readback import change, gone, standing
from flametest.faults.waiting import POLL_SECONDS, wait_for
from flametest.faults.workloads import existing
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.errors import ApiRejectedError, NotFoundError
from flametest.kube.resources import NODES, PODS, Object
from flametest.kube.rights import lacking, rights
from flametest.kube.snapshots import find
from flametest.model.events import Target
from flametest.model.plurals import all_of

__all__ = ["NodeDrain"]

UNTAINTED_SECONDS_MAX = 15.0
TAINT = "node.kubernetes.io/unschedulable"
_EVICTING = rights(PODS, "create", subresource="eviction")
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
        """Return the node and the pods that have to leave it.

        Raises:
            FaultError: no such node exists, or no other node would take its pods.
        """
        found = self.selection.targets(client)
        nodes = client.api.listed(NODES.path()).items
        if all(is_cordoned(one) for one in nodes if one["metadata"]["name"] != node_of(found)):
            raise FaultError(
                f"no node takes the pods that would leave node {node_of(found)}: "
                + ("the cluster has no other one" if len(nodes) == 1 else "the others are cordoned"),
                "run this experiment on a cluster of several nodes, such as "
                "`flametest up --cluster minikube --nodes 3` starts",
            )
        return found

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return whether it was cordoned already.

        Raises:
            FaultError: pods of another namespace would have to leave, and may not be evicted.
        """
        for namespace in sorted({target.namespace for target in targets if target.kind == PODS.kind}):
            # Stock `chaos run` has no preflight that would have asked.
            if namespace != self.selection.namespace and lacking(client.api, _EVICTING, namespace):
                raise FaultError(
                    f"the user of this context may not evict pods of namespace {namespace!r}, and some are on node "
                    f"{node_of(targets)}",
                    "have the right granted (create pods/eviction there), or drain another node",
                )
        node = existing(client, NODES, "", node_of(targets))
        return {"node": node_of(targets), "uid": node["metadata"]["uid"], "cordoned": is_cordoned(node)}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Cordon the node, then evict its pods; returns when every eviction was accepted."""
        _cordon(client, node_of(targets))
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
            return Proof(True, f"{all_of(len(pods), 'pod')} left node {state['node']}")
        return Proof(False, f"not {all_of(len(pods), 'pod')} left node {state['node']} in {self.timeout_seconds:g} s")

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Uncordon the node, unless it was cordoned before; what somebody else did meanwhile is left so."""
        name, before = state["node"], bool(state["cordoned"])
        found = standing(client, NODES, "", name)
        if found is None or gone(found, state.get("uid", "")):
            return f"node {name} {gone(found, state.get('uid', ''))}"
        if before:
            # The drain has changed nothing: it found the node cordoned, and left it so.
            if is_cordoned(found):
                return f"node {name} takes no pods, as before"
            return f"node {name} takes pods: it was uncordoned by somebody else in the meantime, and is left as it is"
        if not is_cordoned(found) and not _is_tainted(found):
            return f"node {name} takes pods, as before"
        change(
            client,
            NODES,
            found,
            lambda obj: {"spec": {"unschedulable": None}} if is_cordoned(obj) else None,
            lambda obj: ["it is cordoned"] if is_cordoned(obj) else [],
        )
        # The scheduler goes by the taint, which the cluster's node controller takes off in its own time.
        if not wait_for(lambda: not _is_tainted(find(client.api, NODES, "", name)), UNTAINTED_SECONDS_MAX):
            raise HealError(
                f"node {name} was uncordoned, but still has the taint {TAINT} after {UNTAINTED_SECONDS_MAX:g} s",
                "is the cluster's node controller running?",
            )
        return f"node {name} takes pods again"


def is_cordoned(node: Object) -> bool:
    """Return whether a node takes no new pods."""
    return bool(node["spec"].get("unschedulable"))


def _is_tainted(node: Object | None) -> bool:
    return any(taint.get("key") == TAINT for taint in (node or {}).get("spec", {}).get("taints") or [])


def _cordon(client: KubeClient, node: str) -> None:
    body = {"spec": {"unschedulable": True}}
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
