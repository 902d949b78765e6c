"""Endpoints: the older form of the addresses behind a Service, one object of the Service's name.

Pods that are being deleted are left out; those that are not ready are listed apart. The object goes with its Service.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Reference, Transition
from flametest.sandbox.controllers.changes import Create, Delete, Failure, Key, Plan, Update
from flametest.sandbox.controllers.metadata import annotations_of, is_being_deleted, own_keys
from flametest.sandbox.controllers.pods import is_ready
from flametest.sandbox.controllers.serviceports import (
    HEADLESS_LABEL,
    Port,
    address_of,
    is_headless,
    keys_of_services,
    pod_reference,
    ports_on,
    publishes_unready,
    selected_pods,
    selector_of,
    stable_hostname,
)
from flametest.sandbox.labels import labels_of
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import format_time

__all__ = ["EndpointsController", "Observed", "plan"]

RESOURCE = "endpoints"
_MANAGER_LABEL = "endpoints.kubernetes.io/managed-by"
_MANAGER = "endpoint-controller"
_TRIGGER_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(frozen=True, slots=True)
class Observed:
    """What a decision about Endpoints rests on: the Service and its Endpoints (None: none), the pods, the time."""

    service: Object | None
    endpoints: Object | None
    pods: tuple[Object, ...]
    now: datetime


def plan(observed: Observed) -> Plan:
    """Return the change that brings the Endpoints up to date, or takes them away with their Service."""
    service, held = observed.service, observed.endpoints
    if service is None:
        return _removal(held)
    if not selector_of(service) or service["spec"].get("type") == "ExternalName":
        return Plan()
    subsets, labels = _subsets(service, observed.pods), _labels(service)
    if held is None:
        return Plan((Create(RESOURCE, _endpoints(observed, service, subsets, labels, {})),))
    if subsets == (held.get("subsets") or []) and labels == labels_of(held):
        return Plan()
    return Plan((Update(RESOURCE, _endpoints(observed, service, subsets, labels, held)),))


def _removal(held: Object | None) -> Plan:
    if held is None or labels_of(held).get(_MANAGER_LABEL) != _MANAGER:
        return Plan()
    metadata = held["metadata"]
    return Plan((Delete(Reference(RESOURCE, metadata["namespace"], metadata["name"]), metadata["uid"]),))


def _labels(service: Object) -> dict[str, str]:
    inherited = {key: value for key, value in labels_of(service).items() if key != HEADLESS_LABEL}
    return inherited | {_MANAGER_LABEL: _MANAGER} | ({HEADLESS_LABEL: ""} if is_headless(service) else {})


def _endpoints(
    observed: Observed, service: Object, subsets: list[Object], labels: dict[str, str], held: Object
) -> Object:
    metadata = service["metadata"]
    trigger = {_TRIGGER_ANNOTATION: format_time(observed.now)}
    made: Object = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            **held.get("metadata", {"name": metadata["name"], "namespace": metadata["namespace"]}),
            "labels": labels,
            "annotations": {**annotations_of(held), **trigger},
        },
    }
    return made | ({"subsets": subsets} if subsets else {})


def _subsets(service: Object, pods: Iterable[Object]) -> list[Object]:
    unready_too = publishes_unready(service)
    groups: dict[tuple[Port, ...], tuple[list[Object], list[Object]]] = {}
    for pod in selected_pods(service, pods):
        if is_being_deleted(pod) and not unready_too:
            continue
        ports = ports_on(service, pod)
        if not ports and not is_headless(service):
            continue
        ready, unready = groups.setdefault(tuple(sorted(ports)), ([], []))
        (ready if unready_too or is_ready(pod) else unready).append(_address(service, pod))
    return [_subset(ports, ready, unready) for ports, (ready, unready) in sorted(groups.items())]


def _address(service: Object, pod: Object) -> Object:
    address: Object = {"ip": address_of(pod)}
    hostname = stable_hostname(service, pod)
    if hostname:
        address["hostname"] = hostname
    if pod["spec"].get("nodeName"):
        address["nodeName"] = pod["spec"]["nodeName"]
    return address | {"targetRef": pod_reference(pod)}


def _subset(ports: tuple[Port, ...], ready: list[Object], unready: list[Object]) -> Object:
    subset: Object = {}
    if ready:
        subset["addresses"] = sorted(ready, key=lambda each: str(each["targetRef"]["uid"]))
    if unready:
        subset["notReadyAddresses"] = sorted(unready, key=lambda each: str(each["targetRef"]["uid"]))
    if ports:
        subset["ports"] = [_port(port) for port in ports]
    return subset


def _port(port: Port) -> Object:
    written: Object = {"name": port.name} if port.name else {}
    written |= {"port": port.port, "protocol": port.protocol}
    return written | ({"appProtocol": port.application} if port.application else {})


class EndpointsController:
    """Feeds `plan` from the cache."""

    name = "endpoint-controller"
    watches = ("services", "pods", RESOURCE)

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the Service of the name, or those that select a pod."""
        return keys_of_services(transition, cache) if transition.resource == "pods" else own_keys(transition)

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for the Service of this name, which may be gone."""
        service = cache.get("services", key.namespace, key.name)
        held = cache.get(RESOURCE, key.namespace, key.name)
        return plan(Observed(service, held, tuple(cache.objects_of("pods", key.namespace)), now))
