"""A part of a system from its JSON object, with Kubernetes' own defaults for what is left out. Pure.

Formats: https://kubernetes.io/docs/reference/kubernetes-api/ and https://gateway-api.sigs.k8s.io/reference/spec/
"""

import base64
import binascii

from flametest.starter import pods
from flametest.starter.fields import Object, labels_of, name_of, part, parts, texts
from flametest.starter.selectors import Requirement, Selector
from flametest.starter.system import Budget, Claim, Reference, Rollout, Route, Scaler, Service, ServicePort, Workload

__all__ = [
    "parse_budget",
    "parse_claim",
    "parse_config_map",
    "parse_http_route",
    "parse_ingress",
    "parse_scaler",
    "parse_secret",
    "parse_service",
    "parse_workload",
]

_GRACE_SECONDS = 30


def parse_workload(obj: Object) -> Workload:
    """Return something that has pods: of a Pod itself, of all others by their template."""
    kind, spec, template = str(obj["kind"]), part(obj, "spec"), _template(obj)
    pod, strategy = part(template, "spec"), part(spec, "strategy")
    grace = pod.get("terminationGracePeriodSeconds")
    return Workload(
        kind=kind,
        name=name_of(obj),
        replicas=_replicas(obj),
        selector=_workload_selector(kind, part(spec, "selector")),
        labels=labels_of(template),
        containers=pods.containers(pod),
        rollout=Rollout(
            str(strategy.get("type") or "RollingUpdate"),
            str(part(strategy, "rollingUpdate").get("maxUnavailable", Rollout().max_unavailable)),
        ),
        is_spread=bool(pod.get("topologySpreadConstraints")) or bool(part(part(pod, "affinity"), "podAntiAffinity")),
        grace_seconds=_GRACE_SECONDS if grace is None else int(grace),
        settings=pods.settings(pod, _annotations(obj, template)),
        references=tuple(one for one in pods.references(pod) if not _is_of_template(one, spec)),
        aliases=pods.aliases(pod),
        headless=str(spec.get("serviceName") or "") if kind == "StatefulSet" else "",
        claims=pods.written_claims(pod),
        own_claims=tuple(name_of(one) for one in parts(spec, "volumeClaimTemplates") if _is_single(one)),
        host_paths=pods.host_paths(pod),
    )


def parse_service(obj: Object) -> Service:
    """Return a Service."""
    spec = part(obj, "spec")
    given = parts(part(part(obj, "status"), "loadBalancer"), "ingress")
    return Service(
        name=name_of(obj),
        kind=str(spec.get("type") or "ClusterIP"),
        selector=Selector.of_labels(texts(spec.get("selector"))),
        ports=tuple(_service_port(one) for one in parts(spec, "ports")),
        is_headless=spec.get("clusterIP") == "None",
        external=str(spec.get("externalName") or ""),
        addresses=tuple(str(one.get("hostname") or one.get("ip") or "") for one in given),
    )


def parse_budget(obj: Object) -> Budget:
    """Return a PodDisruptionBudget; an empty selector speaks of all pods, one that is left out of none.

    https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/pod-disruption-budget-v1/
    """
    spec = part(obj, "spec")
    selector = _selector(part(spec, "selector"))
    speaks_of_all = spec.get("selector") is not None and not selector.requirements
    return Budget(
        name_of(obj),
        None if speaks_of_all else selector,
        _count(spec.get("minAvailable")),
        _count(spec.get("maxUnavailable")),
    )


def parse_claim(obj: Object) -> Claim:
    """Return a PersistentVolumeClaim; without access modes it is taken for one of a single writer."""
    modes = part(obj, "spec").get("accessModes")
    return Claim(name_of(obj), tuple(map(str, modes)) if isinstance(modes, list) else ())


def parse_ingress(obj: Object) -> tuple[Route, ...]:
    """Return the rules of an Ingress, its default backend as the one for every path."""
    spec, told = part(obj, "spec"), f"Ingress {name_of(obj)}"
    secured = {str(host) for one in parts(spec, "tls") for host in one.get("hosts") or ()}
    found = [
        Route(told, host, str(path.get("path") or "/"), _backend(part(path, "backend")), host in secured)
        for rule in parts(spec, "rules")
        for host in [str(rule.get("host") or "")]
        for path in parts(part(rule, "http"), "paths")
    ]
    default = _backend(part(spec, "defaultBackend"))
    return tuple(one for one in (*found, *([Route(told, "", "/", default)] if default else [])) if one.service)


def parse_http_route(obj: Object) -> tuple[Route, ...]:
    """Return the rules of an HTTPRoute of the Gateway API, as far as they lead to a Service of the same namespace."""
    spec, told = part(obj, "spec"), f"HTTPRoute {name_of(obj)}"
    hosts = spec.get("hostnames")
    return tuple(
        Route(told, str(host), str(part(match, "path").get("value") or "/"), str(backend.get("name") or ""))
        for rule in parts(spec, "rules")
        for match in parts(rule, "matches") or [{}]
        for backend in parts(rule, "backendRefs")
        for host in (hosts if isinstance(hosts, list) and hosts else [""])
        if str(backend.get("kind") or "Service") == "Service" and not backend.get("namespace")
    )


def parse_config_map(obj: Object) -> dict[str, str]:
    """Return the texts of a ConfigMap by key; what is binary is empty."""
    return texts(obj.get("data")) | dict.fromkeys(texts(obj.get("binaryData")), "")


def parse_secret(obj: Object) -> dict[str, str]:
    """Return the texts of a Secret by key; what is no text is empty."""
    return {key: _decoded(text) for key, text in texts(obj.get("data")).items()} | texts(obj.get("stringData"))


def parse_scaler(obj: Object) -> Scaler:
    """Return a HorizontalPodAutoscaler; without a minimum it is one pod."""
    spec = part(obj, "spec")
    target = part(spec, "scaleTargetRef")
    least = int(spec.get("minReplicas") or 1)
    return Scaler(
        name_of(obj),
        str(target.get("kind") or ""),
        str(target.get("name") or ""),
        least,
        max(least, int(spec.get("maxReplicas") or least)),
    )


def _template(obj: Object) -> Object:
    spec = part(obj, "spec")
    if obj["kind"] == "Pod":
        return obj
    if obj["kind"] == "CronJob":
        spec = part(part(spec, "jobTemplate"), "spec")
    return part(spec, "template")


def _annotations(obj: Object, template: Object) -> dict[str, str]:
    return {
        key: text for one in (obj, template) for key, text in texts(part(one, "metadata").get("annotations")).items()
    }


def _replicas(obj: Object) -> int:
    if obj["kind"] == "DaemonSet":
        return int(part(obj, "status").get("desiredNumberScheduled") or 1)
    replicas = part(obj, "spec").get("replicas")
    return 1 if replicas is None else int(replicas)


def _service_port(obj: Object) -> ServicePort:
    return ServicePort(
        number=int(obj["port"]),
        target=str(obj.get("targetPort") or obj["port"]),
        protocol=str(obj.get("protocol") or "TCP"),
        name=str(obj.get("name") or ""),
        node_port=int(obj.get("nodePort") or 0),
    )


def _workload_selector(kind: str, selector: Object) -> Selector:
    """Return what selects a workload's pods; that of a ReplicationController is of labels alone."""
    return Selector.of_labels(texts(selector)) if kind == "ReplicationController" else _selector(selector)


def _selector(obj: Object) -> Selector:
    expressions = tuple(
        Requirement(str(one.get("key")), str(one.get("operator")), tuple(map(str, one.get("values") or ())))
        for one in parts(obj, "matchExpressions")
    )
    return Selector((*Selector.of_labels(texts(obj.get("matchLabels"))).requirements, *expressions))


def _is_of_template(reference: Reference, spec: Object) -> bool:
    """Return whether a claim is made from a template: it takes the place of the volume of the same name."""
    templates = {str(part(one, "metadata").get("name")) for one in parts(spec, "volumeClaimTemplates")}
    return reference.kind == "PersistentVolumeClaim" and reference.field.removeprefix("volume ") in templates


def _is_single(claim: Object) -> bool:
    return bool(part(claim, "metadata").get("name")) and parse_claim(claim).is_single


def _backend(obj: Object) -> str:
    """Return the Service of a backend, in the form of today or in that of before networking.k8s.io/v1."""
    return str(part(obj, "service").get("name") or obj.get("serviceName") or "")


def _count(value: object) -> str:
    return "" if value is None else str(value)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode()
    except (binascii.Error, ValueError):
        return ""
