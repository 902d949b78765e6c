"""Columns of storage, networking, policy and autoscaling."""

from datetime import datetime

from flametest.sandbox.apiserver.columns.basic import AGE, NAME, NONE, Column, basic_columns
from flametest.sandbox.apiserver.selectors import selector_text
from flametest.sandbox.objects import Object

__all__ = [
    "AUTOSCALER",
    "DEFINITION",
    "DISRUPTION_BUDGET",
    "INGRESS",
    "INGRESS_CLASS",
    "LIMIT_RANGE",
    "NETWORK_POLICY",
    "PERSISTENT_VOLUME",
    "PERSISTENT_VOLUME_CLAIM",
    "PRIORITY_CLASS",
    "RESOURCE_QUOTA",
    "STORAGE_CLASS",
]

_UNSET = "<unset>"
_SHORT_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _modes(modes: list[str]) -> str:
    return ",".join(_SHORT_MODES.get(mode, mode) for mode in modes)


def _claim_status(claim: Object, _: datetime) -> str:
    return "Terminating" if "deletionTimestamp" in claim["metadata"] else claim.get("status", {}).get("phase", "")


def _claim_capacity(claim: Object, _: datetime) -> str:
    bound = claim["spec"].get("volumeName")
    return claim.get("status", {}).get("capacity", {}).get("storage", "") if bound else ""


def _volume_claim(volume: Object, _: datetime) -> str:
    claim = volume["spec"].get("claimRef")
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""


def _hosts(ingress: Object, _: datetime) -> str:
    rules = ingress.get("spec", {}).get("rules", ())
    return ",".join(rule["host"] for rule in rules if rule.get("host")) or "*"


def _addresses(ingress: Object, _: datetime) -> str:
    entries = ingress.get("status", {}).get("loadBalancer", {}).get("ingress", ())
    return ",".join(entry.get("ip") or entry.get("hostname", "") for entry in entries)


def _reference(autoscaler: Object, _: datetime) -> str:
    target = autoscaler["spec"].get("scaleTargetRef", {})
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _parameters(ingress_class: Object, _: datetime) -> str:
    parameters = ingress_class.get("spec", {}).get("parameters")
    if parameters is None:
        return NONE
    group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
    return f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"


def _used(quota: Object, *, limits: bool) -> str:
    status = quota.get("status", {})
    used, hard = status.get("used", {}), status.get("hard") or quota.get("spec", {}).get("hard", {})
    names = (name for name in sorted(hard) if name.startswith("limits.") == limits)
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)


def _limit(title: str, name: str) -> Column:
    return Column(title, lambda obj, _: str(obj.get("spec", {}).get(name, "N/A")))


_CREATED = Column("Created At", lambda obj, _: obj["metadata"]["creationTimestamp"])
PERSISTENT_VOLUME_CLAIM = (
    *basic_columns(
        Column("Status", _claim_status),
        Column("Volume", lambda obj, _: obj["spec"].get("volumeName", "")),
        Column("Capacity", _claim_capacity),
        Column("Access Modes", lambda obj, _: _modes(obj.get("status", {}).get("accessModes", []))),
        Column("StorageClass", lambda obj, _: obj["spec"].get("storageClassName", "")),
        Column("VolumeAttributesClass", lambda obj, _: obj["spec"].get("volumeAttributesClassName", _UNSET)),
    ),
    Column("VolumeMode", lambda obj, _: obj["spec"].get("volumeMode", _UNSET), wide=True),
)
PERSISTENT_VOLUME = (
    *basic_columns(
        Column("Capacity", lambda obj, _: obj["spec"].get("capacity", {}).get("storage", "")),
        Column("Access Modes", lambda obj, _: _modes(obj["spec"].get("accessModes", []))),
        Column("Reclaim Policy", lambda obj, _: obj["spec"].get("persistentVolumeReclaimPolicy", "")),
        Column("Status", _claim_status),
        Column("Claim", _volume_claim),
        Column("StorageClass", lambda obj, _: obj["spec"].get("storageClassName", "")),
        Column("VolumeAttributesClass", lambda obj, _: obj["spec"].get("volumeAttributesClassName", _UNSET)),
        Column("Reason", lambda obj, _: obj.get("status", {}).get("reason", "")),
    ),
    Column("VolumeMode", lambda obj, _: obj["spec"].get("volumeMode", _UNSET), wide=True),
)
STORAGE_CLASS = basic_columns(
    Column("Provisioner", lambda obj, _: obj.get("provisioner", "")),
    Column("ReclaimPolicy", lambda obj, _: obj.get("reclaimPolicy", "")),
    Column("VolumeBindingMode", lambda obj, _: obj.get("volumeBindingMode", "")),
    Column("AllowVolumeExpansion", lambda obj, _: obj.get("allowVolumeExpansion", False), type="boolean"),
)
NETWORK_POLICY = basic_columns(
    Column("Pod-Selector", lambda obj, _: selector_text(obj["spec"].get("podSelector", {})) or NONE)
)
INGRESS = basic_columns(
    Column("Class", lambda obj, _: obj.get("spec", {}).get("ingressClassName") or NONE),
    Column("Hosts", _hosts),
    Column("Address", _addresses),
    Column("Ports", lambda obj, _: "80, 443" if obj.get("spec", {}).get("tls") else "80"),
)
INGRESS_CLASS = basic_columns(
    Column("Controller", lambda obj, _: obj.get("spec", {}).get("controller", "")), Column("Parameters", _parameters)
)
LIMIT_RANGE = (NAME, _CREATED)
PRIORITY_CLASS = basic_columns(
    Column("Value", lambda obj, _: obj.get("value", 0), type="integer"),
    Column("Global-Default", lambda obj, _: obj.get("globalDefault", False), type="boolean"),
    Column("PreemptionPolicy", lambda obj, _: obj.get("preemptionPolicy", "")),
)
RESOURCE_QUOTA = (
    NAME,
    Column("Request", lambda obj, _: _used(obj, limits=False)),
    Column("Limit", lambda obj, _: _used(obj, limits=True)),
    AGE,
)
DEFINITION = (NAME, _CREATED)
DISRUPTION_BUDGET = basic_columns(
    _limit("Min Available", "minAvailable"),
    _limit("Max Unavailable", "maxUnavailable"),
    Column("Allowed Disruptions", lambda obj, _: obj.get("status", {}).get("disruptionsAllowed", 0), type="integer"),
)
AUTOSCALER = basic_columns(
    Column("Reference", _reference),
    Column("Targets", lambda _obj, _now: "<unknown>"),
    Column("MinPods", lambda obj, _: obj["spec"].get("minReplicas", 1)),
    Column("MaxPods", lambda obj, _: obj["spec"].get("maxReplicas", 0), type="integer"),
    Column("Replicas", lambda obj, _: obj.get("status", {}).get("currentReplicas", 0), type="integer"),
)
