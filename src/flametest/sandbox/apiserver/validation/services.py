"""What is refused of Services; addresses and node ports are checked where they are allocated."""

from collections.abc import Iterator

from flametest.sandbox.apiserver.failures import Cause, bad_value, duplicate, required
from flametest.sandbox.apiserver.validation.names import (
    check_enum,
    check_labels,
    check_port,
    dns_label,
    dns_subdomain,
)
from flametest.sandbox.objects import Object

__all__ = ["check_service", "check_service_update"]

_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")


def check_service(service: Object) -> list[Cause]:
    """Return the faults of a Service."""
    spec = service["spec"]
    ports = spec.get("ports", [])
    causes = check_enum(spec["type"], "spec.type", _TYPES)
    causes += check_enum(spec["sessionAffinity"], "spec.sessionAffinity", ("ClientIP", "None"))
    causes += check_labels(spec.get("selector", {}), "spec.selector")
    if spec["type"] == "ExternalName":
        name = spec.get("externalName", "").rstrip(".")
        causes += [bad_value("spec.externalName", name, message) for message in dns_subdomain(name)]
    elif not ports and spec.get("clusterIP") != "None":
        causes.append(required("spec.ports"))
    if spec["type"] in ("NodePort", "LoadBalancer") and spec.get("clusterIP") == "None":
        detail = f"may not be set to 'None' for {spec['type']} services"
        causes.append(bad_value("spec.clusterIPs[0]", "None", detail))
    return causes + list(_check_ports(ports))


def _check_ports(ports: list[Object]) -> Iterator[Cause]:
    names: set[str] = set()
    numbers: set[tuple[int, str]] = set()
    for index, port in enumerate(ports):
        path, name = f"spec.ports[{index}]", port.get("name", "")
        if len(ports) > 1 and not name:
            yield required(f"{path}.name")
        elif name:
            yield from (bad_value(f"{path}.name", name, message) for message in dns_label(name))
            if name in names:
                yield duplicate(f"{path}.name", name)
            names.add(name)
        yield from check_port(port.get("port", 0), f"{path}.port")
        yield from check_enum(port["protocol"], f"{path}.protocol", ("SCTP", "TCP", "UDP"))
        yield from check_port(port.get("targetPort", port.get("port", 0)), f"{path}.targetPort")
        if (port.get("port", 0), port["protocol"]) in numbers:
            yield duplicate(path, {"port": port.get("port", 0), "protocol": port["protocol"]})
        numbers.add((port.get("port", 0), port["protocol"]))


def check_service_update(new: Object, old: Object) -> list[Cause]:
    """Return the fault of a change of a Service's address, which stays while the type has one."""
    if "ExternalName" in (new["spec"]["type"], old["spec"]["type"]):
        return []
    address, before = new["spec"].get("clusterIP", ""), old["spec"].get("clusterIP", "")
    if before and address != before:
        return [bad_value("spec.clusterIPs[0]", [address], "may not change once set")]
    return []
