"""Objects for tests: as a user would write them, sound unless told otherwise."""

from typing import Any

from flametest.starter.sources import make_system
from flametest.starter.topology import Topology, make_topology

__all__ = ["Object", "budget", "container", "service", "topology_of", "workload"]

Object = dict[str, Any]

SPREAD = [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}]


def container(name: str = "web", **fields: Any) -> Object:
    """Return a container that leaves nothing to be desired, but for ``fields``; one of None is left out."""
    probe = {"httpGet": {"path": "/readyz", "port": "http"}}
    sound: Object = {
        "name": name,
        "image": f"{name}:1.0",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": probe,
        "livenessProbe": probe,
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
    }
    return {key: value for key, value in (sound | fields).items() if value is not None}


def workload(
    name: str = "web", kind: str = "Deployment", *containers: Object, pod: Object | None = None, **spec: Any
) -> Object:
    """Return a workload of three pods; ``pod`` and ``spec`` take the place of fields of the two specs."""
    labels = {"app": name}
    sound_pod = {"containers": list(containers) or [container(name)], "topologySpreadConstraints": SPREAD}
    template = {"metadata": {"labels": labels}, "spec": sound_pod | (pod or {})}
    sound = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": sound | spec}


def service(name: str = "web", app: str = "", **spec: Any) -> Object:
    """Return a Service for the pods of an app, of its own name unless told otherwise."""
    sound = {"selector": {"app": app or name}, "ports": [{"port": 80, "targetPort": "http"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": sound | spec}


def budget(app: str = "web", **spec: Any) -> Object:
    """Return a budget for the pods of an app, of one missing pod unless told otherwise."""
    limits = spec or {"maxUnavailable": 1}
    selector = {"matchLabels": {"app": app}}
    kind = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget"}
    return kind | {"metadata": {"name": app}, "spec": {"selector": selector} | limits}


def topology_of(*objects: Object, entry: str = "", unread: tuple[str, ...] = ()) -> Topology:
    """Return the topology of a namespace ``shop`` that holds these objects."""
    by_kind: dict[str, list[Object]] = {}
    for one in objects:
        by_kind.setdefault(one["kind"], []).append(one)
    return make_topology(make_system("shop", "a test", by_kind, unread=unread), entry)
