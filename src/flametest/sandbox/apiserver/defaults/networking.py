"""Defaults of network policies, ingresses, disruption budgets and autoscalers."""

from flametest.sandbox.objects import Object

__all__ = [
    "default_autoscaler",
    "default_ingress_class",
    "default_network_policy",
    "prepare_autoscaler",
    "prepare_disruption_budget",
    "prepare_ingress",
]


CPU_PERCENT = 80
"""The average utilisation of processors at which an autoscaler aims that names no metric."""


def default_network_policy(policy: Object) -> None:
    """Fill in a network policy: it is about ingress, and about egress where it has such rules."""
    spec = policy.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for rule in [*spec.get("ingress", ()), *spec.get("egress", ())]:
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")


def prepare_ingress(ingress: Object) -> None:
    """Give a new ingress its empty status."""
    ingress["status"] = {"loadBalancer": {}}


def default_ingress_class(ingress_class: Object) -> None:
    """Fill in an ingress class: its parameters are for the whole cluster."""
    parameters = ingress_class.get("spec", {}).get("parameters")
    if parameters is not None:
        parameters.setdefault("scope", "Cluster")


def prepare_disruption_budget(budget: Object) -> None:
    """Give a new budget the status that allows no disruption until it was counted."""
    budget["status"] = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}


def prepare_autoscaler(autoscaler: Object) -> None:
    """Give a new autoscaler its first status."""
    autoscaler["status"] = {"desiredReplicas": 0, "currentMetrics": None}


def default_autoscaler(autoscaler: Object) -> None:
    """Fill in an autoscaler: never below one replica, and by how busy the processors are."""
    spec = autoscaler.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    target = {"type": "Utilization", "averageUtilization": CPU_PERCENT}
    spec.setdefault("metrics", [{"type": "Resource", "resource": {"name": "cpu", "target": target}}])
