"""Columns of the core group but pods, and of endpoint slices and leases."""

from datetime import datetime
from typing import Any

from flametest.sandbox.apiserver.columns.basic import AGE, NAME, NONE, Column, age_text, basic_columns
from flametest.sandbox.objects import Object

__all__ = [
    "CONFIG_MAP",
    "ENDPOINTS",
    "ENDPOINT_SLICE",
    "EVENT",
    "LEASE",
    "NAMESPACE",
    "NODE",
    "SECRET",
    "SERVICE",
    "SERVICE_ACCOUNT",
]

SHOWN_MAX = 3


def _shorten(items: list[str]) -> str:
    if not items:
        return NONE
    more = f" + {len(items) - SHOWN_MAX} more..." if len(items) > SHOWN_MAX else ""
    return ",".join(items[:SHOWN_MAX]) + more


def _external(service: Object, _: datetime) -> str:
    spec = service["spec"]
    given: list[str] = list(spec.get("externalIPs", ()))
    if spec["type"] == "ExternalName":
        return str(spec.get("externalName", ""))
    if spec["type"] == "LoadBalancer":
        entries = service.get("status", {}).get("loadBalancer", {}).get("ingress", ())
        given = [entry.get("ip") or entry.get("hostname", "") for entry in entries] + given
        return ",".join(given) or "<pending>"
    return ",".join(given) or NONE


def _service_ports(service: Object, _: datetime) -> str:
    shown = []
    for port in service["spec"].get("ports", ()):
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port['port']}{node}/{port['protocol']}")
    return ",".join(shown) or NONE


def _service_selector(service: Object, _: datetime) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted(service["spec"].get("selector", {}).items())) or NONE


def _subset_addresses(endpoints: Object, _: datetime) -> str:
    shown = []
    for subset in endpoints.get("subsets", ()):
        ports = subset.get("ports") or [{}]
        for port in ports:
            suffix = f":{port['port']}" if "port" in port else ""
            shown += [f"{address['ip']}{suffix}" for address in subset.get("addresses", ())]
    return _shorten(shown)


def _slice_ports(endpoint_slice: Object, _: datetime) -> str:
    ports = endpoint_slice.get("ports", ())
    return _shorten([str(port.get("port", "*")) for port in ports]) if ports else "<unset>"


def _slice_addresses(endpoint_slice: Object, _: datetime) -> str:
    endpoints = endpoint_slice.get("endpoints", ())
    return _shorten([address for one in endpoints for address in one.get("addresses", ())]) if endpoints else "<unset>"


def _node_status(node: Object, _: datetime) -> str:
    conditions = node.get("status", {}).get("conditions", ())
    ready = next((c.get("status") for c in conditions if c.get("type") == "Ready"), None)
    shown = "Unknown" if ready is None else ("Ready" if ready == "True" else "NotReady")
    return shown + (",SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else "")


def _node_roles(node: Object, _: datetime) -> str:
    prefix = "node-role.kubernetes.io/"
    roles = [key.removeprefix(prefix) for key in node["metadata"].get("labels", {}) if key.startswith(prefix)]
    return ",".join(sorted(roles)) or NONE


def _node_info(name: str, title: str, *, wide: bool = True) -> Column:
    def cell(node: Object, _: datetime) -> Any:
        return node.get("status", {}).get("nodeInfo", {}).get(name) or "<unknown>"

    return Column(title, cell, wide=wide)


def _node_address(kind: str, title: str) -> Column:
    def cell(node: Object, _: datetime) -> str:
        addresses = node.get("status", {}).get("addresses", ())
        return next((str(a.get("address", "")) for a in addresses if a.get("type") == kind), NONE)

    return Column(title, cell, wide=True)


def _event_time(event: Object, now: datetime) -> str:
    series = event.get("series") or {}
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return age_text(last or event.get("firstTimestamp"), now)


def _event_object(event: Object, _: datetime) -> str:
    about = event.get("involvedObject", {})
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _event_source(event: Object, _: datetime) -> str:
    source = event.get("source", {})
    component = source.get("component") or event.get("reportingComponent", "")
    return ", ".join(part for part in (component, source.get("host", "")) if part)


NAMESPACE = basic_columns(Column("Status", lambda obj, _: obj.get("status", {}).get("phase", "")))
CONFIG_MAP = basic_columns(
    Column("Data", lambda obj, _: len(obj.get("data", {})) + len(obj.get("binaryData", {})), type="string")
)
SECRET = basic_columns(
    Column("Type", lambda obj, _: obj.get("type", "")),
    Column("Data", lambda obj, _: len(obj.get("data", {}))),
)
SERVICE_ACCOUNT = basic_columns(Column("Secrets", lambda obj, _: len(obj.get("secrets", ()))))
SERVICE = (
    *basic_columns(
        Column("Type", lambda obj, _: obj["spec"]["type"]),
        Column("Cluster-IP", lambda obj, _: obj["spec"].get("clusterIP") or NONE),
        Column("External-IP", _external),
        Column("Port(s)", _service_ports),
    ),
    Column("Selector", _service_selector, wide=True),
)
ENDPOINTS = basic_columns(Column("Endpoints", _subset_addresses))
ENDPOINT_SLICE = basic_columns(
    Column("AddressType", lambda obj, _: obj.get("addressType", "")),
    Column("Ports", _slice_ports),
    Column("Endpoints", _slice_addresses),
)
LEASE = basic_columns(Column("Holder", lambda obj, _: obj.get("spec", {}).get("holderIdentity", "")))
NODE = (
    NAME,
    Column("Status", _node_status),
    Column("Roles", _node_roles),
    AGE,
    _node_info("kubeletVersion", "Version", wide=False),
    _node_address("InternalIP", "Internal-IP"),
    _node_address("ExternalIP", "External-IP"),
    _node_info("osImage", "OS-Image"),
    _node_info("kernelVersion", "Kernel-Version"),
    _node_info("containerRuntimeVersion", "Container-Runtime"),
)
EVENT = (
    Column("Last Seen", _event_time),
    Column("Type", lambda obj, _: obj.get("type", "")),
    Column("Reason", lambda obj, _: obj.get("reason", "")),
    Column("Object", _event_object),
    Column("Subobject", lambda obj, _: obj.get("involvedObject", {}).get("fieldPath", ""), wide=True),
    Column("Source", _event_source, wide=True),
    Column("Message", lambda obj, _: obj.get("message", "").strip()),
    Column("First Seen", lambda obj, now: age_text(obj.get("firstTimestamp") or obj.get("eventTime"), now), wide=True),
    Column("Count", lambda obj, _: (obj.get("series") or {}).get("count") or obj.get("count") or 1, wide=True),
    Column("Name", lambda obj, _: obj["metadata"]["name"], wide=True, format="name"),
)
