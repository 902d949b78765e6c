"""How NetworkPolicies become what each pod lets through: pure, from objects to a rule set.

`plan` says, for each pod that a policy isolates, what it still allows; a pod without an entry is open, and several
policies add up. The text that the kernel reads is made of it in `flametest.sandbox.network.policyrules`.

A pod is judged by its own address: behind a Service address, that of the pod which was chosen. A policy's ipBlock also
takes in addresses of pods, as with most network plugins. Addresses are IPv4; an ipBlock of IPv6 allows nothing.
Rules: https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flametest.sandbox.labels import labels_of, selector_matches
from flametest.sandbox.objects import Object

__all__ = ["Allowance", "Block", "Isolation", "PolicedPod", "Policing", "PortRange", "Socket", "plan", "policed_pod"]

Socket = tuple[str, str, int]
"""An address, a protocol in lower case and a port."""

_DIRECTIONS = (("Ingress", "ingress", "from"), ("Egress", "egress", "to"))


@dataclass(frozen=True, slots=True)
class PolicedPod:
    """What policies know of a pod that has an address; ``ports`` are its named ones."""

    namespace: str
    labels: Mapping[str, str]
    address: str
    ports: tuple[tuple[str, str, int], ...] = ()
    """Name, protocol in lower case and number of each."""


@dataclass(frozen=True, slots=True)
class Block:
    """A range of addresses but some ranges within, each as ``address/length``."""

    network: str
    but: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports of one protocol, in lower case, from first to last."""

    protocol: str
    first: int = 0
    last: int = 65535


@dataclass(frozen=True, slots=True)
class Allowance:
    """One thing that is allowed: from (or to) such a peer, on such a port; None is any.

    Attributes:
        peer: the name of one of `Policing.peers`, or a range.
        port: the name of one of `Policing.sockets`, or ports.
    """

    peer: str | Block | None = None
    port: str | PortRange | None = None


@dataclass(frozen=True, slots=True)
class Isolation:
    """What an isolated pod has in one direction: the names of the policies that allow something."""

    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policing:
    """The rule set.

    Attributes:
        ingress: isolated pods by address, as to what comes in.
        egress: the same, as to what they begin themselves.
        allowances: what each named policy and direction allows.
        peers: addresses of pods, by name.
        sockets: addresses with protocol and port, by name; for ports that policies name.
    """

    ingress: dict[str, Isolation] = field(default_factory=dict)
    egress: dict[str, Isolation] = field(default_factory=dict)
    allowances: dict[str, tuple[Allowance, ...]] = field(default_factory=dict)
    peers: dict[str, frozenset[str]] = field(default_factory=dict)
    sockets: dict[str, frozenset[Socket]] = field(default_factory=dict)


def plan(
    policies: Iterable[Object], pods: Iterable[PolicedPod], namespaces: Mapping[str, Mapping[str, str]]
) -> Policing:
    """Return the rule set for these policies and pods; ``namespaces`` are the labels of each by name."""
    found = _Planner(tuple(pods), namespaces)
    for policy in sorted(policies, key=lambda each: str(each["metadata"]["uid"])):
        found.add(policy)
    return found.policing


class _Planner:
    """Adds policy after policy to a rule set."""

    def __init__(self, pods: tuple[PolicedPod, ...], namespaces: Mapping[str, Mapping[str, str]]) -> None:
        self._pods = pods
        self._namespaces = namespaces
        self.policing = Policing()

    def add(self, policy: Object) -> None:
        spec, namespace, uid = policy.get("spec") or {}, policy["metadata"]["namespace"], policy["metadata"]["uid"]
        kinds = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
        own = [pod for pod in self._pods if pod.namespace == namespace]
        selected = [pod for pod in own if selector_matches(spec.get("podSelector") or {}, pod.labels)]
        if not selected:
            return
        for kind, direction, peers in _DIRECTIONS:
            if kind not in kinds:
                continue
            name = f"{direction}/{uid}"
            isolated = self.policing.ingress if direction == "ingress" else self.policing.egress
            for pod in selected:
                before = isolated.get(pod.address, Isolation(()))
                isolated[pod.address] = Isolation((*before.policies, name))
            self.policing.allowances[name] = tuple(
                allowance
                for number, rule in enumerate(spec.get(direction) or [])
                for allowance in self._rule(f"{name}/{number}", namespace, rule, rule.get(peers) or [])
            )

    def _rule(self, name: str, namespace: str, rule: Object, peers: list[Object]) -> list[Allowance]:
        matches = [self._peer(f"{name}/{number}", namespace, peer) for number, peer in enumerate(peers)]
        ports: list[str | PortRange | None] = [self._port(port) for port in rule.get("ports") or []]
        # An empty list of peers is anybody; a peer that is nobody allows nothing.
        some: list[str | Block | None] = [match for match in matches if match != ""]
        return [Allowance(peer, port) for peer in (some if peers else [None]) for port in ports or [None]]

    def _peer(self, name: str, namespace: str, peer: Object) -> str | Block:
        """Return a range, or the name of the addresses that a peer is; an empty name for nobody."""
        if block := peer.get("ipBlock"):
            return _block(block) or ""
        by_namespace, by_pod = peer.get("namespaceSelector"), peer.get("podSelector")
        if by_namespace is None and by_pod is None:
            return ""
        addresses = frozenset(
            pod.address
            for pod in self._pods
            if (by_pod is None or selector_matches(by_pod, pod.labels))
            and (
                pod.namespace == namespace
                if by_namespace is None
                else selector_matches(by_namespace, self._namespaces.get(pod.namespace, {}))
            )
        )
        if not addresses:
            return ""
        self.policing.peers[name] = addresses
        return name

    def _port(self, port: Object) -> str | PortRange:
        protocol, wanted = str(port.get("protocol") or "TCP").lower(), port.get("port")
        if wanted is None:
            return PortRange(protocol)
        if isinstance(wanted, int):
            return PortRange(protocol, wanted, int(port.get("endPort") or wanted))
        name = f"{protocol}/{wanted}"
        # All pods that have such a port: which of them is meant is said by the policy's selector or its peers.
        self.policing.sockets[name] = frozenset(
            (pod.address, protocol, number)
            for pod in self._pods
            for known, of, number in pod.ports
            if (known, of) == (wanted, protocol)
        )
        return name


def _block(block: Object) -> Block | None:
    """Return a range of IPv4 addresses; None for one of another kind."""
    network = _network(block.get("cidr"))
    excepted = [_network(text) for text in block.get("except") or []]
    return None if network is None else Block(network, tuple(text for text in excepted if text))


def _network(text: object) -> str | None:
    try:
        return str(ipaddress.IPv4Network(str(text), strict=False))
    except ValueError:
        return None


def policed_pod(pod: Object, address: str = "") -> PolicedPod | None:
    """Return what policies know of a pod; None for one that they are not about.

    They are not about pods that have ended, or that share their node's network. ``address`` is the pod's address
    where it is known before the pod's status tells it.
    """
    spec, status = pod["spec"], pod.get("status") or {}
    address = status.get("podIP") or address
    if not address or spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    containers = [*spec["containers"], *(spec.get("initContainers") or [])]
    ports = tuple(
        (str(port["name"]), str(port.get("protocol") or "TCP").lower(), int(port["containerPort"]))
        for container in containers
        for port in container.get("ports") or []
        if port.get("name")
    )
    return PolicedPod(pod["metadata"]["namespace"], dict(labels_of(pod)), address, ports)
