"""NetworkPolicies in force: keeps the kernel's rules at what policies, pods and namespaces say.

`PolicyRules.run` lives as long as the cluster and holds a watch of its own. A pod is isolated before its containers
start: the pod network tells each address that it gives out, long before the pod's status does.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from flametest.sandbox.labels import labels_of
from flametest.sandbox.network.nftables import Nftables
from flametest.sandbox.network.policies import PolicedPod, Policing, plan, policed_pod
from flametest.sandbox.network.policyrules import commands, policy_base
from flametest.sandbox.objects import Object, Objects, WatchEvent

__all__ = ["PolicyRules", "PolicyView", "name_server_pod"]

POLICIES = "networkpolicies.networking.k8s.io"
PODS = "pods"
NAMESPACES = "namespaces"


def name_server_pod(address: str, port: int) -> PolicedPod:
    """Return the cluster's name server as policies know it: a pod of kube-system, as with CoreDNS.

    So a pod with egress rules may ask for names where a rule admits that, and nowhere else, as on a real cluster.
    """
    return PolicedPod("kube-system", {"k8s-app": "kube-dns"}, address, (("dns", "udp", port), ("dns-tcp", "tcp", port)))


class PolicyView:
    """What policies are judged by at this moment, and whether it has changed since it was last asked."""

    def __init__(self, system_pods: Iterable[PolicedPod] = ()) -> None:
        """Take what counts as a pod though the API has no such object, such as the cluster's name server."""
        self._system_pods = tuple(system_pods)
        self._policies: dict[str, Object] = {}
        self._pods: dict[str, PolicedPod] = {}
        self._objects: dict[str, Object] = {}
        self._addresses: dict[str, str] = {}
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self.changed = True

    def take(self, event: WatchEvent) -> None:
        """Take in a change of a policy, a pod or a namespace."""
        obj, gone = event.object, event.type == "DELETED"
        uid, name = str(obj["metadata"]["uid"]), str(obj["metadata"]["name"])
        if event.resource == PODS:
            if gone:
                self._objects.pop(uid, None)
                self._addresses.pop(uid, None)
            else:
                self._objects[uid] = obj
            self._judge(uid)
        elif event.resource == NAMESPACES:
            self._note(self._namespaces, name, None if gone else labels_of(obj))
        else:
            content = None if gone else {"metadata": {"uid": uid, "namespace": obj["metadata"]["namespace"]}}
            self._note(self._policies, uid, None if content is None else {**content, "spec": obj.get("spec") or {}})

    def locate(self, uid: str, address: str) -> None:
        """Take in that a pod has been given an address."""
        self._addresses[uid] = address
        self._judge(uid)

    def policing(self) -> Policing:
        """Return the rule set."""
        self.changed = False
        return plan(self._policies.values(), (*self._pods.values(), *self._system_pods), self._namespaces)

    def _judge(self, uid: str) -> None:
        obj = self._objects.get(uid)
        pod = None if obj is None else policed_pod(obj, self._addresses.get(uid, ""))
        self._note(self._pods, uid, pod)

    def _note(self, known: dict[str, Any], key: str, value: Any) -> None:
        """Keep a value, or forget it for None; most changes of pods are none to policies."""
        if known.get(key) == value:
            return
        self.changed = True
        if value is None:
            del known[key]
        else:
            known[key] = value


class PolicyRules:
    """The rules of one cluster, in the network namespace of the thread that made it."""

    def __init__(self, objects: Objects, system_pods: Iterable[PolicedPod] = ()) -> None:
        """Make the table; raises SandboxError when the kernel refuses it."""
        self._objects = objects
        self._nftables = Nftables()
        self._nftables.run(policy_base())
        self._view = PolicyView(system_pods)
        self._policing = Policing()

    async def run(self) -> None:
        """Follow the state until cancelled; raises SandboxError when the kernel refuses rules."""
        async with contextlib.aclosing(self._objects.watch(POLICIES, PODS, NAMESPACES)) as events:  # type: ignore[type-var]
            async for event in events:
                self._view.take(event)
                self.enforce()

    def pod_attached(self, uid: str, address: str) -> None:
        """Take in that a pod has been given an address; its rules are in force when this returns."""
        self._view.locate(uid, address)
        self.enforce()

    def enforce(self) -> None:
        """Bring the kernel's rules to what is wanted now; raises SandboxError when they are refused."""
        if not self._view.changed:
            return
        wanted = self._view.policing()
        if changes := commands(self._policing, wanted):
            self._nftables.run(changes)
        self._policing = wanted
