"""Objects that the tests of controllers begin with."""

from typing import Any

from flametest.sandbox.objects import Object

__all__ = [
    "budget",
    "deployment",
    "pod",
    "pod_template",
    "replica_set",
    "replication_controller",
    "service",
    "stateful_set",
]


def pod_template(app: str, grace_seconds: int = 2) -> Object:
    """Return a template with one container and a named port."""
    container = {"name": "main", "image": "kubediff/echo:1", "ports": [{"name": "http", "containerPort": 8080}]}
    spec = {"terminationGracePeriodSeconds": grace_seconds, "containers": [container]}
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def _workload(kind: str, name: str, spec: Object) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": pod_template(name), **spec},
    }


def deployment(name: str = "web", replicas: int = 2, **spec: Any) -> Object:
    """Return a Deployment."""
    return _workload("Deployment", name, {"replicas": replicas, **spec})


def replica_set(name: str = "web", replicas: int = 2, **spec: Any) -> Object:
    """Return a ReplicaSet of nobody."""
    return _workload("ReplicaSet", name, {"replicas": replicas, **spec})


def replication_controller(name: str = "web", replicas: int = 2, **spec: Any) -> Object:
    """Return a ReplicationController."""
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"app": name}, "template": pod_template(name), **spec},
    }


def stateful_set(name: str = "db", replicas: int = 2, **spec: Any) -> Object:
    """Return a StatefulSet with a claim for each pod."""
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    wanted = {"replicas": replicas, "serviceName": name, "volumeClaimTemplates": [claim], **spec}
    return _workload("StatefulSet", name, wanted)


def service(name: str = "web", **spec: Any) -> Object:
    """Return a Service whose target port has a name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": "http"}], **spec},
    }


def budget(name: str = "web", **spec: Any) -> Object:
    """Return a PodDisruptionBudget."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": name}}, **spec},
    }


def pod(
    name: str, *, node: str = "", labels: dict[str, str] | None = None, ready: bool = False, spec: Object | None = None
) -> Object:
    """Return a pod as it is stored."""
    metadata: Object = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": "1"}
    metadata["labels"] = labels or {"app": "web"}
    whole = {**pod_template("web")["spec"], **(spec or {})}
    if node:
        whole["nodeName"] = node
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {"phase": "Running" if ready else "Pending", "conditions": [condition]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole, "status": status}
