"""A part of a system from its JSON object, with Kubernetes' own defaults for what is left out. Pure.

Formats: https://kubernetes.io/docs/reference/kubernetes-api/
"""

from collections.abc import Iterator, Mapping
from typing import Any

from flametest.starter.selectors import Requirement, Selector
from flametest.starter.system import Budget, Claim, Container, Port, Probe, Rollout, Route, Service, Workload

__all__ = [
    "labels_of",
    "name_of",
    "namespace_of",
    "parse_budget",
    "parse_claim",
    "parse_config_map",
    "parse_routes",
    "parse_scaled",
    "parse_service",
    "parse_workload",
    "template_labels",
]

Object = Mapping[str, Any]

_GRACE_SECONDS = 30
# Where a node keeps what is the node's own; who mounts it looks on.
_NODE_FOLDERS = ("/var/run", "/run", "/var/log", "/var/lib/docker", "/proc", "/sys", "/dev", "/etc")


def name_of(obj: Object) -> str:
    """Return an object's name."""
    return str(obj["metadata"]["name"])


def namespace_of(obj: Object) -> str:
    """Return an object's namespace; empty when it names none."""
    return str(_part(obj, "metadata").get("namespace") or "")


def labels_of(obj: Object) -> dict[str, str]:
    """Return an object's labels."""
    return _texts(_part(obj, "metadata").get("labels"))


def template_labels(obj: Object) -> dict[str, str]:
    """Return the labels of the pods that an object makes."""
    return labels_of(_part(_part(obj, "spec"), "template"))


def parse_workload(obj: Object) -> Workload:
    """Return a Deployment, StatefulSet or DaemonSet."""
    spec = _part(obj, "spec")
    pod, strategy = _part(_part(spec, "template"), "spec"), _part(spec, "strategy")
    kind = str(obj["kind"])
    grace = pod.get("terminationGracePeriodSeconds")
    return Workload(
        kind=kind,
        name=name_of(obj),
        replicas=_replicas(kind, obj),
        selector=_selector(_part(spec, "selector")),
        labels=template_labels(obj),
        containers=tuple(_container(one) for one in _parts(pod, "containers")),
        rollout=Rollout(
            str(strategy.get("type") or "RollingUpdate"),
            str(_part(strategy, "rollingUpdate").get("maxUnavailable", Rollout().max_unavailable)),
        ),
        is_spread=bool(pod.get("topologySpreadConstraints")) or bool(_part(_part(pod, "affinity"), "podAntiAffinity")),
        grace_seconds=_GRACE_SECONDS if grace is None else int(grace),
        config_maps=tuple(sorted(set(_config_maps(pod)))),
        claims=tuple(_written_volumes(pod, "persistentVolumeClaim", "claimName")),
        own_claims=tuple(name_of(one) for one in _parts(spec, "volumeClaimTemplates") if _is_single(one)),
        host_paths=tuple(
            path for path in _written_volumes(pod, "hostPath", "path") if not path.startswith(_NODE_FOLDERS)
        ),
    )


def parse_service(obj: Object) -> Service:
    """Return a Service."""
    spec = _part(obj, "spec")
    ports = _parts(spec, "ports")
    return Service(
        name=name_of(obj),
        kind=str(spec.get("type") or "ClusterIP"),
        selector=Selector.of_labels(_texts(spec.get("selector"))),
        ports={int(one["port"]): str(one.get("targetPort") or one["port"]) for one in ports},
        node_ports=tuple(int(one["nodePort"]) for one in ports if one.get("nodePort")),
    )


def parse_budget(obj: Object) -> Budget:
    """Return a PodDisruptionBudget; an empty selector speaks of all pods."""
    spec = _part(obj, "spec")
    selector = _selector(_part(spec, "selector"))
    return Budget(
        name_of(obj),
        selector if selector.requirements else None,
        _count(spec.get("minAvailable")),
        _count(spec.get("maxUnavailable")),
    )


def parse_claim(obj: Object) -> Claim:
    """Return a PersistentVolumeClaim; without access modes it is taken for one of a single writer."""
    modes = _part(obj, "spec").get("accessModes")
    return Claim(name_of(obj), tuple(map(str, modes)) if isinstance(modes, list) else ())


def parse_routes(obj: Object) -> tuple[Route, ...]:
    """Return the rules of an Ingress, its default backend as the one for every path."""
    spec = _part(obj, "spec")
    found = [
        Route(str(rule.get("host") or ""), str(path.get("path") or "/"), _backend(_part(path, "backend")))
        for rule in _parts(spec, "rules")
        for path in _parts(_part(rule, "http"), "paths")
    ]
    default = _backend(_part(spec, "defaultBackend"))
    return tuple(one for one in (*found, *([Route("", "/", default)] if default else [])) if one.service)


def parse_config_map(obj: Object) -> str:
    """Return all texts of a ConfigMap, a line or more each."""
    return "\n".join(_texts(obj.get("data")).values())


def parse_scaled(obj: Object) -> tuple[str, str]:
    """Return kind and name of what a HorizontalPodAutoscaler scales."""
    target = _part(_part(obj, "spec"), "scaleTargetRef")
    return str(target.get("kind") or ""), str(target.get("name") or "")


def _replicas(kind: str, obj: Object) -> int:
    if kind == "DaemonSet":
        return int(_part(obj, "status").get("desiredNumberScheduled") or 1)
    replicas = _part(obj, "spec").get("replicas")
    return 1 if replicas is None else int(replicas)


def _container(obj: Object) -> Container:
    return Container(
        name=name if isinstance(name := obj.get("name"), str) else "",
        image=str(obj.get("image") or ""),
        ports=tuple(Port(str(one.get("name") or ""), int(one["containerPort"])) for one in _parts(obj, "ports")),
        readiness=_probe(obj.get("readinessProbe")),
        liveness=_probe(obj.get("livenessProbe")),
        # What is only limited requests as much as its limit.
        requests=frozenset(_part(_part(obj, "resources"), "requests"))
        | frozenset(_part(_part(obj, "resources"), "limits")),
        has_pre_stop=bool(_part(_part(obj, "lifecycle"), "preStop")),
        texts=dict(_container_texts(obj)),
    )


def _container_texts(obj: Object) -> Iterator[tuple[str, str]]:
    for variable in _parts(obj, "env"):
        if isinstance(variable.get("value"), str):
            yield f"env {variable.get('name')}", variable["value"]
    for key in ("command", "args"):
        words = obj.get(key)
        if isinstance(words, list) and words:
            yield key, " ".join(map(str, words))


def _probe(obj: object) -> Probe | None:
    if not isinstance(obj, Mapping) or not obj:
        return None
    asked = _part(obj, "httpGet")
    return Probe(str(asked.get("path") or "/") if asked else "", str(asked.get("port") or ""))


def _config_maps(pod: Object) -> Iterator[str]:
    for volume in _parts(pod, "volumes"):
        yield str(_part(volume, "configMap").get("name") or "")
        for source in _parts(_part(volume, "projected"), "sources"):
            yield str(_part(source, "configMap").get("name") or "")
    for container in _parts(pod, "containers"):
        for source in _parts(container, "envFrom"):
            yield str(_part(source, "configMapRef").get("name") or "")
        for variable in _parts(container, "env"):
            yield str(_part(_part(variable, "valueFrom"), "configMapKeyRef").get("name") or "")


def _written_volumes(pod: Object, source: str, key: str) -> Iterator[str]:
    """Yield what the volumes of a kind of source are made of that a container mounts and may write."""
    written = {
        str(mount.get("name"))
        for container in (*_parts(pod, "containers"), *_parts(pod, "initContainers"))
        for mount in _parts(container, "volumeMounts")
        if not mount.get("readOnly")
    }
    for volume in _parts(pod, "volumes"):
        found = _part(volume, source)
        if found.get(key) and not found.get("readOnly") and str(volume.get("name")) in written:
            yield str(found[key])


def _is_single(claim: Object) -> bool:
    return bool(_part(claim, "metadata").get("name")) and parse_claim(claim).is_single


def _selector(obj: Object) -> Selector:
    expressions = tuple(
        Requirement(str(one.get("key")), str(one.get("operator")), tuple(map(str, one.get("values") or ())))
        for one in _parts(obj, "matchExpressions")
    )
    return Selector((*Selector.of_labels(_texts(obj.get("matchLabels"))).requirements, *expressions))


def _backend(obj: Object) -> str:
    return str(_part(obj, "service").get("name") or "")


def _count(value: object) -> str:
    return "" if value is None else str(value)


def _part(obj: Object, key: str) -> Object:
    """Return what is below a key, or nothing where that is empty or of another form."""
    found = obj.get(key)
    return found if isinstance(found, Mapping) else {}


def _parts(obj: Object, key: str) -> list[Object]:
    found = obj.get(key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, Mapping) else {}
