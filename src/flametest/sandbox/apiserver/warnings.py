"""Fields that the sandbox stores but does not act on: each use comes back as a Warning header.

The table is what ``docs/sandbox.md`` lists. A path leads through a pod's spec, ``*`` through the items of a list.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from flametest.sandbox.apiserver.resources import Resource
from flametest.sandbox.objects import Object
from flametest.sandbox.quantities import parse_quantity

__all__ = ["KIND_FIELDS", "KIND_NOTES", "LIMITS", "POD_FIELDS", "SUPPORTED_VOLUMES", "header_value", "warnings_for"]

_CONTAINER_FIELDS = {
    "ports.*.hostPort": "ports of nodes are opened by Services of type NodePort only",
    "resources.claims": "there are no devices",
    "volumeDevices": "there are no block devices",
    "volumeMounts.*.mountPropagation": "mounts do not propagate",
    "livenessProbe.grpc": "probes by gRPC are not run",
    "readinessProbe.grpc": "probes by gRPC are not run",
    "startupProbe.grpc": "probes by gRPC are not run",
    "securityContext.privileged": "a container gets no privileges over this machine",
    "securityContext.seLinuxOptions": "SELinux is left as the machine has it",
    "securityContext.appArmorProfile": "AppArmor is left as the machine has it",
    "securityContext.procMount": "the default is used",
    "securityContext.capabilities.add": "none is added to those that a container has by default",
    "securityContext.seccompProfile": "system calls are not filtered",
}

POD_FIELDS = {
    "hostNetwork": "every pod has a network of its own",
    "hostPID": "every container has processes of its own",
    "hostIPC": "every container has its own IPC",
    "shareProcessNamespace": "containers of a pod do not share their processes",
    "resources": "requests and limits are those of containers",
    "runtimeClassName": "there is one runtime",
    "priorityClassName": "nothing is preempted",
    "readinessGates": "nothing sets such conditions",
    "resourceClaims": "there are no devices",
    "ephemeralContainers": "they are not started",
    "setHostnameAsFQDN": "the hostname is the pod's name",
    "securityContext.fsGroup": "volumes can be written by every user of the pod",
    "securityContext.seLinuxOptions": "SELinux is left as the machine has it",
    "securityContext.seccompProfile": "system calls are not filtered",
    "securityContext.supplementalGroups": "only containers of real images have more than one group",
    "securityContext.sysctls": "the kernel's settings stay as they are",
    **{f"containers.*.{path}": reason for path, reason in _CONTAINER_FIELDS.items()},
    **{f"initContainers.*.{path}": reason for path, reason in _CONTAINER_FIELDS.items()},
}
"""Path in a pod's spec, and what holds instead."""

_ENFORCED = frozenset(("cpu", "memory"))
_BYTES = ("memory", "ephemeral-storage")

LIMITS = {
    f"{containers}.*.resources.limits.{name}": "limits are not enforced, since no control groups can be made here"
    for containers in ("containers", "initContainers")
    for name in sorted(_ENFORCED)
}
"""What holds for limits where the kernel does not let the sandbox enforce any."""

SUPPORTED_VOLUMES = frozenset(
    ("configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret", "name")
)

_VOLUMES = {"hostPath": "a folder of the simulated node, empty at first; nothing of this machine is shown"}

KIND_NOTES = {
    "Ingress": "no controller serves ingresses here",
    "CustomResourceDefinition": "no controller acts on its objects here, and their schema is not enforced",
    "HorizontalPodAutoscaler": "no controller scales here",
    "IngressClass": "no controller serves ingresses here",
    "PriorityClass": "nothing is preempted",
}
"""Kinds that are stored and checked, and nothing more."""

CUSTOM_NOTE = "no controller acts on custom resources here, and their schema is not enforced"
"""What holds for every object of a kind that a definition adds."""

_JOB_FIELDS = {
    "completionMode": (("NonIndexed",), "pods have no index; any of them counts as a completion"),
    "podFailurePolicy": ((), "every failure counts towards backoffLimit"),
    "successPolicy": ((), "a job succeeds when its completions are reached"),
    "backoffLimitPerIndex": ((), "pods have no index"),
    "maxFailedIndexes": ((), "pods have no index"),
    "managedBy": (("kubernetes.io/job-controller",), "the sandbox's own controller runs the job all the same"),
}

KIND_FIELDS: dict[str, dict[str, tuple[tuple[Any, ...], str]]] = {
    "CronJob": {f"jobTemplate.spec.{path}": note for path, note in _JOB_FIELDS.items()},
    "CustomResourceDefinition": {
        "conversion.strategy": (("None",), "objects are shown in every version as they were written"),
    },
    "DaemonSet": {"updateStrategy.rollingUpdate.maxSurge": ((0, "0%"), "the old pod goes before the new one comes")},
    "Job": _JOB_FIELDS,
    "Service": {
        "externalTrafficPolicy": (("Cluster",), "every endpoint counts as local"),
        "internalTrafficPolicy": (("Cluster",), "every endpoint counts as local"),
        "trafficDistribution": ((), "every endpoint is as good as any other"),
        "externalIPs": ((), "nothing listens there"),
        "sessionAffinityConfig.clientIP.timeoutSeconds": (
            (10_800,),
            "a client keeps its endpoint until the endpoints change",
        ),
    },
    "ResourceQuota": {
        "scopes": ((), "scopes are not evaluated, and nothing is refused by such a quota"),
        "scopeSelector": ((), "scopes are not evaluated, and nothing is refused by such a quota"),
    },
    "StatefulSet": {
        "persistentVolumeClaimRetentionPolicy.whenDeleted": (("Retain",), "claims are kept"),
        "persistentVolumeClaimRetentionPolicy.whenScaled": (("Retain",), "claims are kept"),
        "updateStrategy.rollingUpdate.maxUnavailable": ((1,), "pods are replaced one after the other"),
    },
}
"""By kind: path in the spec, the values that change nothing, and what holds instead."""

_TEMPLATES = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"),
        ("spec", "template", "spec"),
    ),
}


def warnings_for(resource: Resource, obj: Object, more: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Return a warning for each field of an object that the sandbox does not act on.

    ``more`` holds fields of pods beside `POD_FIELDS` on which this very sandbox does not act, such as `LIMITS`.
    """
    note = KIND_NOTES.get(resource.kind) if resource.custom is None else CUSTOM_NOTE
    warnings = [f"{resource.kind}: {note}"] if note else []
    if resource.custom is not None:
        return warnings
    warnings += _of_kind(resource.kind, obj.get("spec", {}))
    path = _TEMPLATES.get(resource.kind)
    if path is None:
        return warnings
    spec: Any = obj
    for part in path:
        spec = spec.get(part, {}) if isinstance(spec, dict) else {}
    prefix = ".".join(path)
    return warnings + list(dict.fromkeys(_of_pod(spec, prefix, more)))


def _of_kind(kind: str, spec: Object) -> Iterator[str]:
    if kind == "Service" and spec.get("type") == "LoadBalancer":
        yield "spec.type: a load balancer gets no external address in the sandbox, but its node port works"
    for path, (harmless, reason) in KIND_FIELDS.get(kind, {}).items():
        value: Any = spec
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value not in (None, [], {}, "", *harmless):
            yield f"spec.{path}: not supported by the sandbox: {reason}"
    if kind == "LimitRange":
        yield from _of_limits(spec.get("limits", ()))
    if kind == "NetworkPolicy" and any(":" in block.get("cidr", "") for block in _blocks(spec)):
        yield "spec: addresses of IPv6 are not supported by the sandbox: such an ipBlock allows nothing"


def _of_limits(items: Iterable[Object]) -> Iterator[str]:
    for index, item in enumerate(items):
        path = f"spec.limits[{index}]"
        if item.get("type") != "Container":
            yield f"{path}.type: not supported by the sandbox: only limits of containers are enforced"
        if item.get("maxLimitRequestRatio"):
            yield f"{path}.maxLimitRequestRatio: not supported by the sandbox: limits may be any times the requests"


def _blocks(spec: Object) -> Iterator[Object]:
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(direction, ()):
            yield from (peer["ipBlock"] for peer in rule.get(peers, ()) if "ipBlock" in peer)


def _of_pod(spec: Object, prefix: str, more: Mapping[str, str]) -> Iterator[str]:
    for path, reason in (*POD_FIELDS.items(), *more.items()):
        if _is_set(spec, path.split(".")):
            yield f"{prefix}.{path}: not supported by the sandbox: {reason}"
    for containers in ("containers", "initContainers"):
        for number, container in enumerate(spec.get(containers, ())):
            yield from _fractional_bytes(container.get("resources") or {}, f"{prefix}.{containers}[{number}].resources")
            for name in ((container.get("resources") or {}).get("limits") or {}).keys() - _ENFORCED:
                path = f"{prefix}.{containers}.*.resources.limits.{name}"
                yield f"{path}: not supported by the sandbox: only limits of cpu and memory are enforced"
    for volume in spec.get("volumes", ()):
        for kind in volume.keys() - SUPPORTED_VOLUMES:
            name = volume.get("name", "")
            reason = _VOLUMES.get(kind, "volumes of this kind are not supported by the sandbox")
            yield f"{prefix}.volumes[{name}].{kind}: {reason}"


def _fractional_bytes(resources: Object, path: str) -> Iterator[str]:
    """Yield the warning of Kubernetes itself about ``128m`` of memory, an eighth of a byte, where 128Mi is meant."""
    for kind in ("requests", "limits"):
        for name, quantity in (resources.get(kind) or {}).items():
            if name in _BYTES and parse_quantity(quantity) % 1:
                told = f'fractional byte value "{quantity}" is invalid, must be an integer'
                yield f"{path}.{kind}[{name}]: {told}"


def _is_set(value: Any, path: list[str]) -> bool:
    """Return whether a path leads to anything but an absent, false or empty value."""
    if not path:
        return bool(value)
    if path[0] == "*":
        return isinstance(value, list) and any(_is_set(item, path[1:]) for item in value)
    return isinstance(value, dict) and _is_set(value.get(path[0]), path[1:])


def header_value(text: str) -> str:
    """Return the value of a Warning header (RFC 7234) for a text."""
    printable = "".join(char if " " <= char <= "~" else "?" for char in text)
    quoted = printable.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'
