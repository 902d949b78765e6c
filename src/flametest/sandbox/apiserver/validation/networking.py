"""What is refused of network policies, ingresses, disruption budgets and autoscalers."""

from flametest.sandbox.apiserver.failures import Cause, bad_value, required
from flametest.sandbox.apiserver.validation.names import (
    check_enum,
    check_label_selector,
    check_not_negative,
    check_port,
)
from flametest.sandbox.objects import Object

__all__ = ["check_autoscaler", "check_disruption_budget", "check_ingress", "check_network_policy"]


def check_network_policy(policy: Object) -> list[Cause]:
    """Return the faults of a network policy."""
    spec = policy["spec"]
    causes = check_label_selector(spec["podSelector"], "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate(spec.get(direction, ())):
            path = f"spec.{direction}[{number}]"
            for index, port in enumerate(rule.get("ports", ())):
                causes += check_enum(port["protocol"], f"{path}.ports[{index}].protocol", ("SCTP", "TCP", "UDP"))
                if "port" in port:
                    causes += check_port(port["port"], f"{path}.ports[{index}].port")
            for index, peer in enumerate(rule.get(peers, ())):
                if not peer:
                    causes.append(required(f"{path}.{peers}[{index}]", "must specify a peer"))
    for index, kind in enumerate(spec["policyTypes"]):
        causes += check_enum(kind, f"spec.policyTypes[{index}]", ("Egress", "Ingress"))
    return causes


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
