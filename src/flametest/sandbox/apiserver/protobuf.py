"""Bodies in Kubernetes' protobuf, as kubectl 1.32 and later sends them for ``create``, ``drain`` and ``auth can-i``.

Answers are always JSON, which every client takes. Only the messages of those commands are known here, by the field
numbers of Kubernetes' wire format; a body with any other field is refused as a whole, so that nothing is lost unseen.
"""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from flametest.sandbox.apiserver.failures import bad_request
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object

__all__ = ["MAGIC", "MEDIA_TYPE", "decode_protobuf"]

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
DEPTH_MAX = 20

# Of each message: field number, and "name type". Types: string, int, bool (``?``: a set zero counts), bytes, time,
# intstr, quantity, skip, map (of strings), bytesmap, quantities (a map of them), a message's name; "*" before a type
# for a list of it. The name "..." has the fields of a message stand in its parent, as an inlined struct of Go's does.
# A kind whose versions differ on the wire has a message for each.
_MESSAGES: dict[str, dict[int, str]] = {
    "Unknown": {1: "typeMeta TypeMeta", 2: "raw raw", 3: "contentEncoding string", 4: "contentType string"},
    "TypeMeta": {1: "apiVersion string", 2: "kind string"},
    "ObjectMeta": {
        1: "name string",
        2: "generateName string",
        3: "namespace string",
        4: "selfLink skip",
        5: "uid string",
        6: "resourceVersion string",
        7: "generation int",
        8: "creationTimestamp time",
        9: "deletionTimestamp time",
        10: "deletionGracePeriodSeconds int",
        11: "labels map",
        12: "annotations map",
        13: "ownerReferences *OwnerReference",
        14: "finalizers *string",
        17: "managedFields skip",
    },
    "OwnerReference": {
        1: "kind string",
        3: "name string",
        4: "uid string",
        5: "apiVersion string",
        6: "controller bool?",
        7: "blockOwnerDeletion bool?",
    },
    "LabelSelector": {1: "matchLabels map", 2: "matchExpressions *LabelSelectorRequirement"},
    "LabelSelectorRequirement": {1: "key string", 2: "operator string", 3: "values *string"},
    "Namespace": {1: "metadata ObjectMeta", 2: "spec skip", 3: "status skip"},
    "ConfigMap": {1: "metadata ObjectMeta", 2: "data map", 3: "binaryData bytesmap", 4: "immutable bool?"},
    "Secret": {
        1: "metadata ObjectMeta",
        2: "data bytesmap",
        3: "type string",
        4: "stringData map",
        5: "immutable bool?",
    },
    "ServiceAccount": {1: "metadata ObjectMeta", 4: "automountServiceAccountToken bool?"},
    "Service": {1: "metadata ObjectMeta", 2: "spec ServiceSpec", 3: "status skip"},
    "ServiceSpec": {
        1: "ports *ServicePort",
        2: "selector map",
        3: "clusterIP string",
        4: "type string",
        5: "externalIPs *string",
        7: "sessionAffinity string",
        8: "loadBalancerIP string",
        10: "externalName string",
        11: "externalTrafficPolicy string",
        12: "healthCheckNodePort int",
        13: "publishNotReadyAddresses bool",
    },
    "ServicePort": {1: "name string", 2: "protocol string", 3: "port int", 4: "targetPort intstr", 5: "nodePort int"},
    "Deployment": {1: "metadata ObjectMeta", 2: "spec DeploymentSpec", 3: "status skip"},
    "DeploymentSpec": {
        1: "replicas int?",
        2: "selector LabelSelector",
        3: "template PodTemplateSpec",
        4: "strategy DeploymentStrategy",
        5: "minReadySeconds int",
        6: "revisionHistoryLimit int?",
        7: "paused bool",
        9: "progressDeadlineSeconds int?",
    },
    "DeploymentStrategy": {1: "type string"},
    "Job": {1: "metadata ObjectMeta", 2: "spec JobSpec", 3: "status skip"},
    "JobSpec": {6: "template PodTemplateSpec"},
    "CronJob": {1: "metadata ObjectMeta", 2: "spec CronJobSpec", 3: "status skip"},
    "CronJobSpec": {
        1: "schedule string",
        2: "startingDeadlineSeconds int?",
        3: "concurrencyPolicy string",
        4: "suspend bool?",
        5: "jobTemplate JobTemplateSpec",
        6: "successfulJobsHistoryLimit int?",
        7: "failedJobsHistoryLimit int?",
        8: "timeZone string",
    },
    "JobTemplateSpec": {1: "metadata ObjectMeta", 2: "spec JobSpec"},
    "PodTemplateSpec": {1: "metadata ObjectMeta", 2: "spec PodSpec"},
    "PodSpec": {
        2: "containers *Container",
        3: "restartPolicy string",
        4: "terminationGracePeriodSeconds int?",
        6: "dnsPolicy string",
        7: "nodeSelector map",
        8: "serviceAccountName string",
        9: "serviceAccount string",
        10: "nodeName string",
        11: "hostNetwork bool",
        12: "hostPID bool",
        13: "hostIPC bool",
        16: "hostname string",
        17: "subdomain string",
        19: "schedulerName string",
        24: "priorityClassName string",
    },
    "Container": {
        1: "name string",
        2: "image string",
        3: "command *string",
        4: "args *string",
        5: "workingDir string",
        6: "ports *ContainerPort",
        8: "resources ResourceRequirements",
        13: "terminationMessagePath string",
        14: "imagePullPolicy string",
        16: "stdin bool",
        17: "stdinOnce bool",
        18: "tty bool",
        20: "terminationMessagePolicy string",
    },
    "ContainerPort": {
        1: "name string",
        2: "hostPort int",
        3: "containerPort int",
        4: "protocol string",
        5: "hostIP string",
    },
    "ResourceRequirements": {},
    "Ingress": {1: "metadata ObjectMeta", 2: "spec IngressSpec", 3: "status skip"},
    "IngressSpec": {
        1: "defaultBackend IngressBackend",
        2: "tls *IngressTLS",
        3: "rules *IngressRule",
        4: "ingressClassName string",
    },
    "IngressTLS": {1: "hosts *string", 2: "secretName string"},
    "IngressRule": {1: "host string", 2: "... IngressRuleValue"},
    "IngressRuleValue": {1: "http HTTPIngressRuleValue"},
    "HTTPIngressRuleValue": {1: "paths *HTTPIngressPath"},
    "HTTPIngressPath": {1: "path string", 2: "backend IngressBackend", 3: "pathType string"},
    "IngressBackend": {3: "resource TypedLocalObjectReference", 4: "service IngressServiceBackend"},
    "IngressServiceBackend": {1: "name string", 2: "port ServiceBackendPort"},
    "ServiceBackendPort": {1: "name string", 2: "number int"},
    "TypedLocalObjectReference": {1: "apiGroup string", 2: "kind string", 3: "name string"},
    "PodDisruptionBudget": {1: "metadata ObjectMeta", 2: "spec PodDisruptionBudgetSpec", 3: "status skip"},
    "PodDisruptionBudgetSpec": {1: "minAvailable intstr", 2: "selector LabelSelector", 3: "maxUnavailable intstr"},
    "ResourceQuota": {1: "metadata ObjectMeta", 2: "spec ResourceQuotaSpec", 3: "status skip"},
    "ResourceQuotaSpec": {1: "hard quantities", 2: "scopes *string"},
    "PriorityClass": {
        1: "metadata ObjectMeta",
        2: "value int",
        3: "globalDefault bool",
        4: "description string",
        5: "preemptionPolicy string",
    },
    "HorizontalPodAutoscaler autoscaling/v1": {
        1: "metadata ObjectMeta",
        2: "spec HorizontalPodAutoscalerSpec autoscaling/v1",
        3: "status skip",
    },
    "HorizontalPodAutoscalerSpec autoscaling/v1": {
        1: "scaleTargetRef CrossVersionObjectReference",
        2: "minReplicas int?",
        3: "maxReplicas int",
        4: "targetCPUUtilizationPercentage int?",
    },
    "HorizontalPodAutoscaler autoscaling/v2": {
        1: "metadata ObjectMeta",
        2: "spec HorizontalPodAutoscalerSpec autoscaling/v2",
        3: "status skip",
    },
    "HorizontalPodAutoscalerSpec autoscaling/v2": {
        1: "scaleTargetRef CrossVersionObjectReference",
        2: "minReplicas int?",
        3: "maxReplicas int",
        4: "metrics *MetricSpec",
    },
    "CrossVersionObjectReference": {1: "kind string", 2: "name string", 3: "apiVersion string"},
    "MetricSpec": {1: "type string", 4: "resource ResourceMetricSource"},
    "ResourceMetricSource": {1: "name string", 2: "target MetricTarget"},
    "MetricTarget": {1: "type string", 2: "value quantity", 3: "averageValue quantity", 4: "averageUtilization int?"},
    "Eviction": {1: "metadata ObjectMeta", 2: "deleteOptions DeleteOptions"},
    "DeleteOptions": {
        1: "gracePeriodSeconds int?",
        2: "preconditions Preconditions",
        3: "orphanDependents bool?",
        4: "propagationPolicy string",
        5: "dryRun *string",
    },
    "Preconditions": {1: "uid string", 2: "resourceVersion string"},
    "SelfSubjectAccessReview": {1: "metadata ObjectMeta", 2: "spec SelfSubjectAccessReviewSpec", 3: "status skip"},
    "SelfSubjectAccessReviewSpec": {
        1: "resourceAttributes ResourceAttributes",
        2: "nonResourceAttributes NonResourceAttributes",
    },
    "ResourceAttributes": {
        1: "namespace string",
        2: "verb string",
        3: "group string",
        4: "version string",
        5: "resource string",
        6: "subresource string",
        7: "name string",
    },
    "NonResourceAttributes": {1: "path string", 2: "verb string"},
    "SelfSubjectReview": {1: "metadata ObjectMeta", 2: "status skip"},
    "TokenRequest": {1: "metadata ObjectMeta", 2: "spec TokenRequestSpec", 3: "status skip"},
    "TokenRequestSpec": {1: "audiences *string", 4: "expirationSeconds int?"},
    "Role": {1: "metadata ObjectMeta", 2: "rules *PolicyRule"},
    "ClusterRole": {1: "metadata ObjectMeta", 2: "rules *PolicyRule"},
    "PolicyRule": {
        1: "verbs *string",
        2: "apiGroups *string",
        3: "resources *string",
        4: "resourceNames *string",
        5: "nonResourceURLs *string",
    },
    "RoleBinding": {1: "metadata ObjectMeta", 2: "subjects *Subject", 3: "roleRef RoleRef"},
    "ClusterRoleBinding": {1: "metadata ObjectMeta", 2: "subjects *Subject", 3: "roleRef RoleRef"},
    "Subject": {1: "kind string", 2: "apiGroup string", 3: "name string", 4: "namespace string"},
    "RoleRef": {1: "apiGroup string", 2: "kind string", 3: "name string"},
}


def decode_protobuf(body: bytes) -> Object:
    """Return the object that a protobuf body holds, with its kind and apiVersion.

    Raises:
        StatusError: 400, it is cut short or broken; 415, a kind or field that is not known here.
    """
    if not body.startswith(MAGIC):
        raise bad_request("the body of the request is not protobuf as Kubernetes sends it")
    try:
        envelope = _message(body[len(MAGIC) :], "Unknown", 0)
        kind, version = (envelope.get("typeMeta", {}).get(name, "") for name in ("kind", "apiVersion"))
        message = next((name for name in (kind, f"{kind} {version}") if name in _MESSAGES), None)
        if message is None:
            raise _unknown(f"kind {kind!r}")
        return {**envelope["typeMeta"], **_message(envelope.get("raw", b""), message, 0)}
    except (IndexError, ValueError, OverflowError, TypeError) as error:
        raise bad_request(f"the protobuf body of the request is broken: {error}") from None


def _unknown(what: str) -> StatusError:
    message = f"the body of the request was in an unknown format - {what} is read as application/json only"
    return StatusError(415, "UnsupportedMediaType", message)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number has too many bytes")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield field numbers and what they hold: a number, or the bytes of a string, map entry or message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
        elif tag & 7 == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise ValueError("it is cut short")
            yield tag >> 3, data[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {tag & 7} is not used by Kubernetes")


def _message(data: bytes, name: str, depth: int) -> Object:
    if depth > DEPTH_MAX:
        raise ValueError("it is nested too deeply")
    obj: Object = {}
    for number, value in _fields(data):
        known = _MESSAGES[name].get(number)
        if known is None:
            raise _unknown(f"field {number} of {name}")
        field, kind = known.split(maxsplit=1)
        if kind == "skip":
            continue
        if kind in _MAPS:
            entry = dict(_fields(_bytes(value)))
            shown = _MAPS[kind](_bytes(entry.get(2, b"")))
            obj.setdefault(field, {})[_bytes(entry.get(1, b"")).decode()] = shown
        elif field == "...":
            obj.update(_value(value, kind, depth))
        elif kind.startswith("*"):
            obj.setdefault(field, []).append(_value(value, kind[1:], depth))
        else:
            found = _value(value, kind.removesuffix("?"), depth)
            # Go writes the zero of every field that is no pointer; in JSON it leaves those out.
            if kind.endswith("?") or found or isinstance(found, dict):
                obj[field] = found
    return obj


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number stands where bytes are wanted")
    return value


def _number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("bytes stand where a number is wanted")
    return value - (1 << 64) if value >= 1 << 63 else value


def _value(value: int | bytes, kind: str, depth: int) -> Any:
    if kind in ("int", "bool"):
        number = _number(value)
        return number if kind == "int" else bool(number)
    data = _bytes(value)
    if kind in _SCALARS:
        return _SCALARS[kind](data)
    return _message(data, kind, depth + 1)


def _time(data: bytes) -> str | None:
    seconds = _number(dict(_fields(data)).get(1, 0))
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}" if seconds > 0 else None


def _int_or_string(data: bytes) -> int | str:
    parts = dict(_fields(data))
    return _bytes(parts.get(3, b"")).decode() if parts.get(1) == 1 else _number(parts.get(2, 0))


def _quantity(data: bytes) -> str:
    return _bytes(dict(_fields(data)).get(1, b"0")).decode()


_SCALARS: dict[str, Callable[[bytes], Any]] = {
    "raw": bytes,
    "string": bytes.decode,
    "time": _time,
    "intstr": _int_or_string,
    "quantity": _quantity,
}

_MAPS: dict[str, Callable[[bytes], str]] = {
    "map": bytes.decode,
    "bytesmap": lambda data: base64.b64encode(data).decode(),
    "quantities": _quantity,
}
