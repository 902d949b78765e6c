"""What is refused of network policies, ingresses, disruption budgets and autoscalers."""

import ipaddress
from typing import Any

from flametest.sandbox.apiserver.failures import Cause, bad_value, forbidden_value, required
from flametest.sandbox.apiserver.validation.names import (
    check_enum,
    check_label_selector,
    check_not_negative,
    check_port,
)
from flametest.sandbox.objects import Object

__all__ = [
    "check_autoscaler",
    "check_disruption_budget",
    "check_ingress",
    "check_ingress_class",
    "check_ingress_class_update",
    "check_network_policy",
]


def check_network_policy(policy: Object) -> list[Cause]:
    """Return the faults of a network policy."""
    spec = policy["spec"]
    causes = check_label_selector(spec["podSelector"], "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate(spec.get(direction, ())):
            path = f"spec.{direction}[{number}]"
            for index, port in enumerate(rule.get("ports", ())):
                causes += _check_policy_port(port, f"{path}.ports[{index}]")
            for index, peer in enumerate(rule.get(peers, ())):
                causes += _check_peer(peer, f"{path}.{peers}[{index}]")
    for index, kind in enumerate(spec["policyTypes"]):
        causes += check_enum(kind, f"spec.policyTypes[{index}]", ("Egress", "Ingress"))
    return causes


def _check_policy_port(port: Object, field: str) -> list[Cause]:
    causes = check_enum(port["protocol"], f"{field}.protocol", ("SCTP", "TCP", "UDP"))
    first, last = port.get("port"), port.get("endPort")
    if first is not None:
        causes += check_port(first, f"{field}.port")
    if last is None:
        return causes
    if first is None:
        causes.append(required(f"{field}.port", "must be specified"))
    elif isinstance(first, str):
        causes.append(bad_value(f"{field}.endPort", last, "may not be specified when `port` is non-numeric"))
    elif last < first:
        causes.append(bad_value(f"{field}.endPort", last, "must be greater than or equal to `port`"))
    return causes + check_port(last, f"{field}.endPort")


def _check_peer(peer: Object, field: str) -> list[Cause]:
    causes: list[Cause] = []
    if not peer:
        return [required(field, "must specify a peer")]
    for name in ("namespaceSelector", "podSelector"):
        causes += check_label_selector(peer.get(name) or {}, f"{field}.{name}")
    if "ipBlock" not in peer:
        return causes
    if len(peer) > 1:
        causes.append(forbidden_value(field, "may not specify both ipBlock and another peer"))
    return causes + _check_block(peer["ipBlock"], f"{field}.ipBlock")


def _check_block(block: Object, field: str) -> list[Cause]:
    network = _network(block.get("cidr"))
    if not block.get("cidr"):
        return [required(f"{field}.cidr", "")]
    if network is None:
        detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
        return [bad_value(f"{field}.cidr", block["cidr"], detail)]
    causes = []
    for index, text in enumerate(block.get("except", ())):
        inner = _network(text)
        if inner is None:
            detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            causes.append(bad_value(f"{field}.except[{index}]", text, detail))
        elif inner.version != network.version or inner == network or not inner.subnet_of(network):  # type: ignore[arg-type]
            detail = "must be a strict subset of `cidr`"
            causes.append(bad_value(f"{field}.except[{index}]", text, detail))
    return causes


def _network(text: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if isinstance(text, str) and "/" in text else None
    except ValueError:
        return None


def check_ingress(ingress: Object) -> list[Cause]:
    """Return the faults of an ingress."""
    spec = ingress.get("spec", {})
    causes: list[Cause] = []
    if not spec.get("rules") and not spec.get("defaultBackend"):
        causes.append(bad_value("spec", {}, "either `defaultBackend` or `rules` must be specified"))
    kinds = ("Exact", "ImplementationSpecific", "Prefix")
    for number, rule in enumerate(spec.get("rules", ())):
        for index, path in enumerate(rule.get("http", {}).get("paths", ())):
            field = f"spec.rules[{number}].http.paths[{index}]"
            causes += check_enum(path.get("pathType", ""), f"{field}.pathType", kinds)
            if path.get("pathType") != "ImplementationSpecific" and not path.get("path", "").startswith("/"):
                causes.append(bad_value(f"{field}.path", path.get("path", ""), "must be an absolute path"))
    return causes


def check_ingress_class(ingress_class: Object) -> list[Cause]:
    """Return the faults of an ingress class."""
    parameters = ingress_class.get("spec", {}).get("parameters")
    if parameters is None:
        return []
    causes = [required(f"spec.parameters.{name}") for name in ("kind", "name") if not parameters.get(name)]
    causes += check_enum(parameters["scope"], "spec.parameters.scope", ("Cluster", "Namespace"))
    if parameters["scope"] == "Namespace" and not parameters.get("namespace"):
        causes.append(required("spec.parameters.namespace", "`parameters.scope` is set to 'Namespace'"))
    return causes


def check_ingress_class_update(new: Object, old: Object) -> list[Cause]:
    """Return the fault of a change of an ingress class's controller."""
    named = [obj.get("spec", {}).get("controller") for obj in (new, old)]
    return [] if named[0] == named[1] else [bad_value("spec.controller", named[0], "field is immutable")]


def check_disruption_budget(budget: Object) -> list[Cause]:
    """Return the faults of a disruption budget."""
    spec = budget.get("spec", {})
    causes = check_label_selector(spec.get("selector", {}), "spec.selector")
    if "minAvailable" in spec and "maxUnavailable" in spec:
        causes.append(bad_value("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        causes += check_not_negative(spec, name, "spec")
    return causes


def check_autoscaler(autoscaler: Object) -> list[Cause]:
    """Return the faults of an autoscaler."""
    spec = autoscaler["spec"]
    if spec.get("maxReplicas", 0) < 1:
        return [bad_value("spec.maxReplicas", spec.get("maxReplicas", 0), "must be greater than 0")]
    if spec["maxReplicas"] < spec["minReplicas"]:
        detail = "must be greater than or equal to `minReplicas`"
        return [bad_value("spec.maxReplicas", spec["maxReplicas"], detail)]
    return []
