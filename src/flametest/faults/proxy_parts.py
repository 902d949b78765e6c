"""What the fault proxy is deployed as, and how a Service and the policies of its pods become its own. Pure.

Beside Service ``logic`` there are then a Deployment, a ConfigMap with its program and a NetworkPolicy
``flametest-fault-proxy-logic``, and a Service and a NetworkPolicy ``flametest-origin-logic``, by which the proxy
reaches the pods that it stands in for. The image is a stock Python's; see `flametest.model.helperimage`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

from flametest.faults.errors import FaultError
from flametest.faults.helper_pod import HELPER_USER
from flametest.kube.resources import CONFIG_MAPS, DEPLOYMENTS, NETWORK_POLICIES, SERVICES, Object
from flametest.kube.restricted import container_security, pod_security

__all__ = ["PROXY_PREFIX", "Front", "Route", "address_of", "is_headless", "own_name", "program", "routes_of"]

PROXY_PREFIX = "flametest-fault-proxy-"
"""What the names of everything begin with that belongs to a proxy, or its label that tells so."""

PROGRAM = "edgeproxy"
PROGRAM_FOLDER = "/program"
ADMIN_PORT = 9090
ROUTE_PORT_FIRST = 10080
NAME_CHARACTERS_MAX = 63


@dataclass(frozen=True, slots=True)
class Route:
    """One port of the Service.

    Attributes:
        name: the port's name; empty for none.
        port: the Service's port.
        listen: the proxy's own port for it.
        target: the port of the pods, by name or number.
        number: the port of the pods, by number.
        protocol: what the proxy takes it for: ``tcp``, ``http``, or ``pass`` where nothing is done to it.
        names: what the pods call that port; policies may name it so, also where the Service does not.
    """

    name: str
    port: int
    listen: int
    target: int | str
    number: int
    protocol: str = "http"
    names: frozenset[str] = field(default=frozenset(), compare=False)

    def disturbed(self, port: int | str) -> bool:
        """Return whether this is the port, by number or name, to which something is done; 0 is every port."""
        return port in (0, self.port) or (bool(self.name) and port == self.name)

    def meets(self, rule: Object) -> bool:
        """Return whether a port of a NetworkPolicy's rule is this one."""
        wanted = rule.get("port")
        if rule.get("protocol", "TCP") != "TCP":
            return False
        if wanted is None or wanted in (self.target, self.number, *self.names):
            return True
        return isinstance(wanted, int) and wanted <= self.number <= int(rule.get("endPort", wanted))


def program() -> dict[str, str]:
    """Return the proxy's modules by their file names."""
    folder = files("flametest") / PROGRAM
    return {one.name: one.read_text(encoding="utf-8") for one in folder.iterdir() if one.name.endswith(".py")}


def is_headless(service: Object) -> bool:
    """Return whether callers of a Service look its pods' addresses up, and connect to these."""
    return bool(service["spec"].get("clusterIP") == "None")


def address_of(service: Object) -> str:
    """Return what callers of a Service connect to: its address, or its name where it has none of its own."""
    metadata = service["metadata"]
    return f"{metadata['name']}.{metadata['namespace']}.svc" if is_headless(service) else service["spec"]["clusterIP"]


def own_name(service: Object, pods: Sequence[Object]) -> str:
    """Return the name under which callers find the one pod behind a headless Service; empty where none has one.

    The proxy takes that name over. With several pods that have names of their own, as those of a StatefulSet do, a
    caller means one of them, and a proxy that has all their names could not tell which.

    Raises:
        FaultError: several pods have names.
    """
    if not is_headless(service):
        return ""
    name = service["metadata"]["name"]
    named = [pod for pod in pods if pod["spec"].get("hostname") and pod["spec"].get("subdomain") == name]
    if len(named) > 1:
        raise FaultError(
            f"Service {name} is headless and {len(named)} pods behind it have names of their own, such as "
            f"{named[0]['spec']['hostname']}.{name}: a proxy could not tell which of them a caller means",
            "name a Service with an address of its own, or scale to one pod",
        )
    return str(named[0]["spec"]["hostname"]) if named else ""


def routes_of(service: Object, pod: Object, port: int | str = 0, protocol: str = "http") -> tuple[Route, ...]:
    """Return a route for each port of a Service; ``pod`` is one of those behind it, which says what port names mean.

    Args:
        service: the Service.
        pod: the pod.
        port: the port to which something is done, by number or name; 0 for every one.
        protocol: what such a port speaks, ``tcp`` or ``http``.

    Raises:
        FaultError: a proxy cannot stand in for the Service; the message says why.
    """
    spec, name = service["spec"], service["metadata"]["name"]
    if not spec.get("selector") or not spec.get("clusterIP"):
        raise FaultError(
            f"Service {name} has no selector or is an external name, so it cannot be re-pointed",
            "name a ClusterIP, headless, NodePort or LoadBalancer Service that selects pods",
        )
    ports = spec.get("ports") or []
    if others := [str(one["port"]) for one in ports if one.get("protocol", "TCP") != "TCP"]:
        raise FaultError(f"Service {name} has ports that are not TCP: {', '.join(others)}", "name a TCP Service")
    named = {
        port.get("name"): int(port["containerPort"])
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or []
    }
    found = []
    for index, one in enumerate(ports):
        target = one.get("targetPort", one["port"])
        number = target if isinstance(target, int) else named.get(target)
        if number is None:
            raise FaultError(
                f"Service {name} routes to port {target!r}, which pod {pod['metadata']['name']} does not have"
            )
        # Who looks up addresses connects to the pods' own port, whatever the Service says.
        listen = number if is_headless(service) else ROUTE_PORT_FIRST + index
        if listen == ADMIN_PORT:
            raise FaultError(
                f"Service {name} is headless and routes to port {ADMIN_PORT}, which the proxy uses itself",
                "name a Service with an address of its own",
            )
        names = frozenset(str(name) for name, there in named.items() if name and there == number)
        route = Route(one.get("name", ""), int(one["port"]), listen, target, number, names=names)
        found.append(replace(route, protocol=protocol if route.disturbed(port) else "pass"))
    if all(route.protocol == "pass" for route in found):
        told = ", ".join(f"{route.port}{f' ({route.name})' if route.name else ''}" for route in found)
        raise FaultError(f"Service {name} has no port {port!r}", f"use one of: {told}")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Front:
    """The proxy in front of a Service.

    Attributes:
        namespace: where all of it is.
        service: the Service's name.
    """

    namespace: str
    service: str

    @property
    def proxy(self) -> str:
        """Return the name of what the proxy is: its Deployment, ConfigMap and policy, and the label ``app`` of pods."""
        return f"{PROXY_PREFIX}{self.service}"

    @property
    def origin(self) -> str:
        """Return the name of what leads the proxy to the pods: a Service and a policy."""
        return f"flametest-origin-{self.service}"

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of the proxy's pods, which select them too."""
        return {"app": self.proxy}

    def check(self) -> None:
        """Return if the names are possible.

        Raises:
            FaultError: they are too long.
        """
        if len(self.proxy) > NAME_CHARACTERS_MAX:
            raise FaultError(f"{self.proxy!r} is longer than {NAME_CHARACTERS_MAX} characters", "use a shorter name")

    def origin_service(self, service: Object, routes: Sequence[Route]) -> Object:
        """Return a Service that selects what ``service`` selects."""
        ports = [{"name": f"port-{route.port}", "port": route.port, "targetPort": route.target} for route in routes]
        spec = {"selector": service["spec"]["selector"], "ports": ports}
        return self._object(SERVICES.api_version, SERVICES.kind, self.origin, spec)

    def program(self) -> Object:
        """Return the ConfigMap with the proxy's program."""
        made = self._object(CONFIG_MAPS.api_version, CONFIG_MAPS.kind, self.proxy, {})
        del made["spec"]
        return made | {"data": program()}

    def deployment(self, routes: Sequence[Route], address: str, image: str, hostname: str = "") -> Object:
        """Return the proxy's Deployment; ``address`` is that of `origin_service`, ``hostname`` what `own_name` says."""
        told = ",".join(f"{route.listen}={address}:{route.port}/{route.protocol}" for route in routes)
        ports = [{"name": f"route-{index}", "containerPort": route.listen} for index, route in enumerate(routes)]
        alive = {"httpGet": {"path": "/healthz", "port": "admin"}, "periodSeconds": 1, "timeoutSeconds": 2}
        container = {
            "name": "fault-proxy",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-m", PROGRAM],
            "workingDir": PROGRAM_FOLDER,
            "env": [
                {"name": "ROUTES", "value": told},
                {"name": "ADMIN_PORT", "value": str(ADMIN_PORT)},
                {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
                {"name": "PYTHONUNBUFFERED", "value": "1"},
            ],
            "volumeMounts": [{"name": "program", "mountPath": f"{PROGRAM_FOLDER}/{PROGRAM}", "readOnly": True}],
            "ports": [*ports, {"name": "admin", "containerPort": ADMIN_PORT}],
            "readinessProbe": alive,
            # New connections come until every node has learnt that the Service leads to its own pods again.
            "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
            "resources": {"requests": {"cpu": "50m", "memory": "48Mi"}, "limits": {"cpu": "1", "memory": "192Mi"}},
            "securityContext": container_security(),
        }
        pod = {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 10,
            "securityContext": pod_security(HELPER_USER),
            "containers": [container],
            "volumes": [{"name": "program", "configMap": {"name": self.proxy}}],
        }
        if hostname:
            pod |= {"hostname": hostname, "subdomain": self.service}
        template = {"metadata": {"labels": self.labels}, "spec": pod}
        spec = {"replicas": 1, "selector": {"matchLabels": self.labels}, "template": template}
        return self._object(DEPLOYMENTS.api_version, DEPLOYMENTS.kind, self.proxy, spec)

    def policies(self, service: Object, routes: Sequence[Route], isolating: Sequence[Object]) -> list[Object]:
        """Return the policies by which whoever may connect to the Service's pods may connect to the proxy instead.

        The proxy's own admits nobody else, and nobody to its switch, whose port is open to the node only. The other one
        admits the proxy to the pods; it is there only where they are isolated already, since it would isolate them.

        Args:
            service: the Service.
            routes: its ports.
            isolating: the policies that isolate its pods from what comes in.
        """
        listens = [{"protocol": "TCP", "port": route.listen} for route in routes]
        anybody: list[Object] = [{"ports": listens}]
        ingress = [
            found
            for policy in isolating
            for rule in policy["spec"].get("ingress") or []
            if (found := _rule(rule, routes))
        ]
        own: Object = {
            "podSelector": {"matchLabels": self.labels},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress if isolating else anybody,
            "egress": [{}],
        }
        policies = [self._policy(self.proxy, own)]
        if isolating:
            admitting: Object = {
                "podSelector": {"matchLabels": service["spec"]["selector"]},
                "policyTypes": ["Ingress"],
                "ingress": [
                    {
                        "from": [{"podSelector": {"matchLabels": self.labels}}],
                        "ports": [{"protocol": "TCP", "port": route.target} for route in routes],
                    }
                ],
            }
            policies.append(self._policy(self.origin, admitting))
        return policies

    def companion(self, number: int, policy: Object, routes: Sequence[Route]) -> Object:
        """Return a policy that lets the pods of ``policy`` connect to the proxy, at the ports of ``routes``."""
        ports = [{"protocol": "TCP", "port": route.listen} for route in routes]
        egress = {"to": [{"podSelector": {"matchLabels": self.labels}}], "ports": ports}
        selector = policy["spec"].get("podSelector") or {}
        spec = {"podSelector": selector, "policyTypes": ["Egress"], "egress": [egress]}
        return self._policy(f"{self.origin}-callers-{number}", spec)

    def repointed(self, service: Object, routes: Sequence[Route]) -> Object:
        """Return the merge patch that leads a Service to the proxy."""
        before = service["spec"]["selector"]
        selector: dict[str, Any] = {key: None for key in before if key not in self.labels} | self.labels
        listens = {route.port: route.listen for route in routes}
        ports = [port | {"targetPort": listens[int(port["port"])]} for port in service["spec"]["ports"]]
        return {"spec": {"selector": selector, "ports": ports}}

    def restored(self, kept: Object) -> Object:
        """Return the merge patch that leads a Service to where its snapshot does."""
        before = kept["spec"]["selector"]
        selector: dict[str, Any] = {key: None for key in self.labels if key not in before} | before
        return {"spec": {"selector": selector, "ports": kept["spec"]["ports"]}}

    def leads(self, service: Object) -> bool:
        """Return whether a Service leads to the proxy."""
        return bool(service["spec"].get("selector") == self.labels)

    def _policy(self, name: str, spec: Object) -> Object:
        return self._object(NETWORK_POLICIES.api_version, NETWORK_POLICIES.kind, name, spec)

    def _object(self, api_version: str, kind: str, name: str, spec: Object) -> Object:
        labels = {"app.kubernetes.io/name": self.proxy, "app.kubernetes.io/part-of": "flametest"}
        metadata = {"name": name, "namespace": self.namespace, "labels": labels}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _rule(rule: Object, routes: Sequence[Route]) -> Object | None:
    """Return what a rule of the pods' policy is for the proxy; None when it admits to none of the routes."""
    ports = rule.get("ports")
    met = [route for route in routes if not ports or any(route.meets(port) for port in ports)]
    if not met:
        return None
    admitted: Object = {"ports": [{"protocol": "TCP", "port": route.listen} for route in met]}
    return admitted | ({"from": rule["from"]} if rule.get("from") else {})
