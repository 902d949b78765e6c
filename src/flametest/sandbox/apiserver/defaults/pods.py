"""Defaults of pods and of pod templates, and what admission adds to a pod when it is created.

The values are those of Kubernetes 1.36, as its recordings and its API reference show them.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from flametest.sandbox.objects import Object
from flametest.sandbox.quantities import parse_quantity

__all__ = ["containers_of", "default_pod", "default_template", "prepare_pod", "quality_of_service"]

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a mount path, no secret
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
OUTAGE_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
FILE_MODE = 0o644


def containers_of(spec: Object) -> Iterator[Object]:
    """Yield the init containers, then the containers of a pod's spec."""
    yield from spec.get("initContainers", ())
    yield from spec.get("containers", ())


def default_template(template: Object) -> None:
    """Fill in a pod template, as in the spec of a workload."""
    template.setdefault("metadata", {})
    _default_spec(template.setdefault("spec", {}))


def default_pod(pod: Object) -> None:
    """Fill in a pod: its spec, and what only pods have (requests from limits, service links)."""
    spec = pod.setdefault("spec", {})
    _default_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    for container in containers_of(spec):
        resources = container["resources"]
        limits = resources.get("limits")
        if limits:
            resources["requests"] = {**limits, **resources.get("requests", {})}


def _default_spec(spec: Object) -> None:
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in containers_of(spec):
        _default_container(container)
    for volume in spec.get("volumes", ()):
        _default_volume(volume)


def _default_container(container: Object) -> None:
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    if not container.get("imagePullPolicy") and container.get("image"):
        container["imagePullPolicy"] = "Always" if _is_latest(container["image"]) else "IfNotPresent"
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for variable in container.get("env", ()):
        _default_field_ref(variable.get("valueFrom", {}))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _default_probe(container[name])
    for handler in container.get("lifecycle", {}).values():
        if isinstance(handler, dict):
            _default_http_get(handler)


def _is_latest(image: str) -> bool:
    if "@" in image:
        return False
    _, _, tag = image.rpartition("/")[2].partition(":")
    return tag in ("", "latest")


def _default_probe(probe: Object) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    _default_http_get(probe)


def _default_http_get(handler: Object) -> None:
    request = handler.get("httpGet")
    if request is not None:
        request.setdefault("path", "/")
        request.setdefault("scheme", "HTTP")


def _default_field_ref(source: Object) -> None:
    if "fieldRef" in source:
        source["fieldRef"].setdefault("apiVersion", "v1")


def _default_volume(volume: Object) -> None:
    if len(volume) == 1:
        volume["emptyDir"] = {}
    for kind in ("configMap", "secret", "downwardAPI", "projected"):
        if kind in volume:
            volume[kind].setdefault("defaultMode", FILE_MODE)
    for item in volume.get("downwardAPI", {}).get("items", ()):
        _default_field_ref(item)
    for source in volume.get("projected", {}).get("sources", ()):
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        for item in source.get("downwardAPI", {}).get("items", ()):
            _default_field_ref(item)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")


def prepare_pod(pod: Object) -> None:
    """Give a new pod its first status and what admission adds: service account, its token, priority, tolerations."""
    spec = pod.setdefault("spec", {})
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = account
    if spec.get("automountServiceAccountToken", True):
        _mount_token(spec, pod["metadata"]["uid"])
    spec.setdefault("priority", SYSTEM_PRIORITIES.get(spec.get("priorityClassName", ""), 0))
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    _tolerate_outages(spec)
    pod["status"] = {"phase": "Pending", "qosClass": quality_of_service(spec)}


def _mount_token(spec: Object, uid: str) -> None:
    digest = hashlib.sha256(uid.encode()).digest()
    name = "kube-api-access-" + "".join(SUFFIX_ALPHABET[byte % len(SUFFIX_ALPHABET)] for byte in digest[:5])
    mounted = False
    for container in containers_of(spec):
        mounts = container.setdefault("volumeMounts", [])
        if all(mount.get("mountPath") != TOKEN_PATH for mount in mounts):
            mounts.append({"name": name, "readOnly": True, "mountPath": TOKEN_PATH})
            mounted = True
    if mounted:
        spec.setdefault("volumes", []).append({"name": name, "projected": _token_projection()})


def _token_projection() -> dict[str, Any]:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
        "defaultMode": FILE_MODE,
    }


def _tolerate_outages(spec: Object) -> None:
    tolerations = spec.setdefault("tolerations", [])
    for taint in OUTAGE_TAINTS:
        if not any(_tolerates(toleration, taint) for toleration in tolerations):
            added = {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            tolerations.append(added)


def _tolerates(toleration: Object, taint: str) -> bool:
    return toleration.get("key", "") in ("", taint) and toleration.get("effect", "") in ("", "NoExecute")


def quality_of_service(spec: Object) -> str:
    """Return the QoS class: Guaranteed (limits for CPU and memory, requests equal), BestEffort (none), or Burstable."""
    any_resource, guaranteed = False, True
    for container in containers_of(spec):
        resources = container.get("resources", {})
        limits = {k: v for k, v in resources.get("limits", {}).items() if k in ("cpu", "memory")}
        requests = {k: v for k, v in resources.get("requests", {}).items() if k in ("cpu", "memory")}
        any_resource = any_resource or bool(limits or requests)
        if set(limits) != {"cpu", "memory"} or not _equal(limits, {**limits, **requests}):
            guaranteed = False
    if not any_resource:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _equal(limits: dict[str, str], requests: dict[str, str]) -> bool:
    return all(parse_quantity(limits[name]) == parse_quantity(requests[name]) for name in limits)
