"""Which pods a Service selects and which of their ports it names: shared by Endpoints and EndpointSlices.

Pure functions of JSON objects.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Key
from flametest.sandbox.controllers.metadata import key_of
from flametest.sandbox.controllers.pods import is_terminal
from flametest.sandbox.labels import includes, labels_of
from flametest.sandbox.objects import Object

__all__ = [
    "HEADLESS_LABEL",
    "Port",
    "address_of",
    "is_headless",
    "keys_of_services",
    "pod_reference",
    "ports_on",
    "publishes_unready",
    "selected_pods",
    "selector_of",
    "stable_hostname",
]

HEADLESS_LABEL = "service.kubernetes.io/headless"


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A port on which pods serve a port of a Service; the name is the Service's, empty for its only one."""

    name: str
    port: int
    protocol: str
    application: str = ""


def selector_of(service: Object) -> dict[str, str]:
    """Return the selector; empty for a Service whose endpoints somebody else keeps."""
    return service["spec"].get("selector") or {}


def is_headless(service: Object) -> bool:
    """Return whether the Service has no virtual address."""
    return bool(service["spec"].get("clusterIP") == "None")


def publishes_unready(service: Object) -> bool:
    """Return whether pods are published before they are ready."""
    return bool(service["spec"].get("publishNotReadyAddresses"))


def address_of(pod: Object) -> str:
    """Return the pod's address; empty while it has none."""
    return (pod.get("status") or {}).get("podIP") or ""


def selected_pods(service: Object, pods: Iterable[Object]) -> list[Object]:
    """Return the pods of the Service that have an address and have not ended."""
    selector = selector_of(service)
    return [pod for pod in pods if includes(labels_of(pod), selector) and address_of(pod) and not is_terminal(pod)]


def ports_on(service: Object, pod: Object) -> tuple[Port, ...]:
    """Return the ports on which ``pod`` serves the Service; a named target port that it lacks is left out."""
    found = []
    for port in service["spec"].get("ports") or []:
        protocol = port.get("protocol", "TCP")
        number = _number(port.get("targetPort", port["port"]), protocol, pod)
        if number is not None:
            found.append(Port(port.get("name", ""), number, protocol, port.get("appProtocol", "")))
    return tuple(found)


def _number(target: int | str, protocol: str, pod: Object) -> int | None:
    if isinstance(target, int):
        return target
    spec = pod["spec"]
    sidecars = [each for each in spec.get("initContainers") or [] if each.get("restartPolicy") == "Always"]
    for container in [*spec["containers"], *sidecars]:
        for port in container.get("ports") or []:
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def stable_hostname(service: Object, pod: Object) -> str:
    """Return the name under which DNS answers for this pod of a headless Service; empty for none."""
    spec = pod["spec"]
    return spec.get("hostname") or "" if spec.get("subdomain") == service["metadata"]["name"] else ""


def pod_reference(pod: Object) -> Object:
    """Return the targetRef of an endpoint."""
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def keys_of_services(transition: Transition, cache: Cache) -> list[Key]:
    """Return the keys of the Services that select a pod that changed, or selected it before."""
    services = cache.objects_of("services", transition.reference.namespace)
    return [
        key_of(service)
        for service in services
        if selector_of(service) and any(includes(labels_of(state), selector_of(service)) for state in transition.states)
    ]
