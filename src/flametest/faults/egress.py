"""Policies by which callers whose egress is limited may connect to the fault proxy as to the Service's own pods.

Policies only add to what is allowed: each one that lets its pods connect to the Service gets a companion that selects
the same pods, and lets them connect to the proxy at the same ports. Pods that could not connect cannot by it either.
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network

from flametest.faults.policies import isolating, selected
from flametest.faults.proxy_parts import PROXY_PREFIX, Front, Route
from flametest.kube import KubeClient
from flametest.kube.resources import NAMESPACES, Object

__all__ = ["companions", "matches"]

NAME_LABEL = "app.kubernetes.io/name"


def companions(client: KubeClient, front: Front, pods: Sequence[Object], routes: Sequence[Route]) -> list[Object]:
    """Return the companions of all policies that let callers connect to ``pods``, which are those of the Service.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    labels = client.api.get(NAMESPACES.path(name=front.namespace))["metadata"].get("labels") or {}
    found: list[Object] = []
    for policy in isolating(client, front.namespace, None, "Egress"):
        # What belongs to the proxy of another edge calls nobody but that edge's Service.
        if str((policy["metadata"].get("labels") or {}).get(NAME_LABEL, "")).startswith(PROXY_PREFIX):
            continue
        met = [
            route
            for route in routes
            if not _admits_anywhere(policy, route.listen)
            and any(
                _allows(rule, route) and _reaches(client, front.namespace, rule, pods, labels)
                for rule in policy["spec"].get("egress") or []
            )
        ]
        if met:
            found.append(front.companion(len(found), policy, met))
    return found


def _admits_anywhere(policy: Object, port: int) -> bool:
    """Return whether a policy lets its pods connect to a port of whatever there is, and so to the proxy's.

    A companion of it would not only be of no use: it would isolate these pods for as long as it stays, also when the
    policy goes before it, such as that of another fault.
    """
    rules = policy["spec"].get("egress") or []
    return any(not rule.get("to") and _has_port(rule.get("ports"), port) for rule in rules)


def _has_port(ports: Sequence[Object] | None, number: int) -> bool:
    """Return whether a rule's ports have a TCP port, by number; no ports are all of them."""
    return not ports or any(
        one.get("protocol", "TCP") == "TCP"
        and (
            one.get("port") is None
            or (isinstance(one["port"], int) and one["port"] <= number <= int(one.get("endPort", one["port"])))
        )
        for one in ports
    )


def matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector selects something with these labels; an empty one selects all.

    Source: the API reference of LabelSelector.
    """
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_fulfils(one, labels) for one in selector.get("matchExpressions") or [])


def _fulfils(expression: Object, labels: Mapping[str, str]) -> bool:
    key, values = str(expression["key"]), expression.get("values") or []
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[str(expression["operator"])]


def _allows(rule: Object, route: Route) -> bool:
    ports = rule.get("ports")
    return not ports or any(route.meets(port) for port in ports)


def _reaches(
    client: KubeClient, namespace: str, rule: Object, pods: Sequence[Object], labels: Mapping[str, str]
) -> bool:
    peers = rule.get("to")
    return not peers or any(_is_peer(client, namespace, peer, pods, labels) for peer in peers)


def _is_peer(
    client: KubeClient, namespace: str, peer: Object, pods: Sequence[Object], labels: Mapping[str, str]
) -> bool:
    if block := peer.get("ipBlock"):
        return any(_inside(str(pod["status"]["podIP"]), block) for pod in pods)
    if "namespaceSelector" in peer and not matches(peer["namespaceSelector"] or {}, labels):
        return False
    if "podSelector" not in peer:
        return True
    uids = {pod["metadata"]["uid"] for pod in selected(client, namespace, peer["podSelector"] or {})}
    return any(pod["metadata"]["uid"] in uids for pod in pods)


def _inside(address: str, block: Object) -> bool:
    found = ip_address(address)
    return found in ip_network(block["cidr"], strict=False) and not any(
        found in ip_network(one, strict=False) for one in block.get("except") or []
    )
