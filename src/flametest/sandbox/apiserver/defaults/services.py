"""Defaults of Services. Addresses and node ports are allocated by `flametest.sandbox.apiserver.allocation`."""

from flametest.sandbox.objects import Object

__all__ = ["carry_service", "default_service", "prepare_service"]

STICKY_SECONDS = 10_800


def prepare_service(service: Object) -> None:
    """Give a new Service its empty status."""
    service["status"] = {"loadBalancer": {}}


def default_service(service: Object) -> None:
    """Fill in a Service and drop what its type does not have."""
    spec = service.setdefault("spec", {})
    spec.setdefault("sessionAffinity", "None")
    kind = spec.setdefault("type", "ClusterIP")
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, "") and "port" in port:
            port["targetPort"] = port["port"]
    if spec["sessionAffinity"] == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        client.setdefault("timeoutSeconds", STICKY_SECONDS)
    if kind == "ExternalName":
        _drop(spec, "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")
    else:
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        _drop(spec, "externalName")
    if kind in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    else:
        _drop(spec, "externalTrafficPolicy")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    else:
        _drop(spec, "allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort")


def _drop(spec: Object, *names: str) -> None:
    for name in names:
        spec.pop(name, None)


def carry_service(new: Object, old: Object) -> None:
    """Keep the address and the node ports that the old Service has and the new one leaves out."""
    spec, before = new.setdefault("spec", {}), old["spec"]
    if "ExternalName" not in (spec.get("type"), before.get("type")) and not spec.get("clusterIP"):
        for name in ("clusterIP", "clusterIPs"):
            if name in before:
                spec[name] = before[name]
    if spec.get("type", "ClusterIP") in ("NodePort", "LoadBalancer"):
        ports = {(p.get("port"), p.get("protocol", "TCP")): p.get("nodePort") for p in before.get("ports", ())}
        for port in spec.get("ports", ()):
            known = ports.get((port.get("port"), port.get("protocol", "TCP")))
            if known and not port.get("nodePort"):
                port["nodePort"] = known
    elif before.get("type") in ("NodePort", "LoadBalancer"):
        # A patch that only changes the type leaves the old node ports in place; the type no longer has them.
        for port in spec.get("ports", ()):
            port.pop("nodePort", None)
