"""EndpointSlices: the addresses behind a Service, with the conditions ready, serving and terminating of each.

`plan` compares what the slices hold with what they should, and rewrites as few of them as it can: endpoints keep their
place, new ones come last, slices that are no longer needed are used again. A Service without any keeps an empty slice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Change, Create, Delete, Failure, Key, Plan, Update
from flametest.sandbox.controllers.metadata import controller_reference, is_being_deleted, own_keys, reference_of
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

__all__ = ["EndpointSliceController", "Observed", "plan"]

RESOURCE = "endpointslices.discovery.k8s.io"
_SERVICE_LABEL = "kubernetes.io/service-name"
_MANAGER_LABEL = "endpointslice.kubernetes.io/managed-by"
_MANAGER = "endpointslice-controller.k8s.io"

# The real controller's default (--max-endpoints-per-slice).
_ENDPOINTS_PER_SLICE_MAX = 100


@dataclass(frozen=True, slots=True)
class Observed:
    """What a decision about the slices of a Service rests on: the Service, the pods of its namespace, its slices."""

    service: Object
    pods: tuple[Object, ...]
    slices: tuple[Object, ...]


@dataclass(frozen=True, slots=True)
class _Content:
    """What a slice holds."""

    ports: tuple[Port, ...]
    endpoints: tuple[Object, ...]


def plan(observed: Observed) -> Plan:
    """Return the changes that bring the slices of a Service up to date; none for a Service without a selector."""
    service = observed.service
    if not selector_of(service) or service["spec"].get("type") == "ExternalName" or is_being_deleted(service):
        return Plan()
    slices = sorted(observed.slices, key=lambda each: str(each["metadata"]["name"]))
    wanted = _contents(service, observed.pods, slices) or [_Content((), ())]
    changes: list[Change] = []
    spare = list(slices)
    missing: list[_Content] = []
    for content in wanted:
        kept = next((each for each in spare if _ports_of(each) == content.ports), None)
        if kept is None:
            missing.append(content)
        else:
            spare.remove(kept)
            changes += _rewritten(service, kept, content)
    for content in missing:
        if spare:
            changes += _rewritten(service, spare.pop(0), content)
        else:
            changes.append(Create(RESOURCE, _slice(service, content)))
    changes += [Delete(reference_of(RESOURCE, each), each["metadata"]["uid"]) for each in spare]
    return Plan(tuple(changes))


def _contents(service: Object, pods: Iterable[Object], slices: Sequence[Object]) -> list[_Content]:
    places = _places(slices)
    groups: dict[tuple[Port, ...], list[Object]] = {}
    for pod in sorted(selected_pods(service, pods), key=lambda each: _place(each, places)):
        groups.setdefault(ports_on(service, pod), []).append(_endpoint(service, pod))
    size = _ENDPOINTS_PER_SLICE_MAX
    return [
        _Content(ports, tuple(endpoints[start : start + size]))
        for ports, endpoints in sorted(groups.items())
        for start in range(0, len(endpoints), size)
    ]


def _places(slices: Sequence[Object]) -> dict[str, int]:
    held = [endpoint for each in slices for endpoint in each.get("endpoints") or []]
    return {(endpoint.get("targetRef") or {}).get("uid", ""): place for place, endpoint in enumerate(held)}


def _place(pod: Object, places: dict[str, int]) -> tuple[int, str, str]:
    metadata = pod["metadata"]
    return places.get(metadata["uid"], len(places)), metadata.get("creationTimestamp") or "", metadata["name"]


def _endpoint(service: Object, pod: Object) -> Object:
    serving, terminating = is_ready(pod), is_being_deleted(pod)
    ready = publishes_unready(service) or (serving and not terminating)
    endpoint: Object = {
        "addresses": [address_of(pod)],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": pod_reference(pod),
    }
    if pod["spec"].get("nodeName"):
        endpoint["nodeName"] = pod["spec"]["nodeName"]
    hostname = stable_hostname(service, pod)
    return endpoint | ({"hostname": hostname} if hostname else {})


def _ports_of(held: Object) -> tuple[Port, ...]:
    return tuple(
        Port(port.get("name", ""), port["port"], port.get("protocol", "TCP"), port.get("appProtocol", ""))
        for port in held.get("ports") or []
    )


def _port(port: Port) -> Object:
    written: Object = {"name": port.name, "port": port.port, "protocol": port.protocol}
    return written | ({"appProtocol": port.application} if port.application else {})


def _labels(service: Object) -> dict[str, str]:
    inherited = {key: value for key, value in labels_of(service).items() if key != HEADLESS_LABEL}
    labels = {**inherited, _SERVICE_LABEL: service["metadata"]["name"], _MANAGER_LABEL: _MANAGER}
    return labels | ({HEADLESS_LABEL: ""} if is_headless(service) else {})


def _slice(service: Object, content: _Content) -> Object:
    metadata = service["metadata"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": _labels(service),
            "ownerReferences": [controller_reference(service)],
        },
        "addressType": "IPv4",
        **_written(content),
    }


def _written(content: _Content) -> Object:
    # The real controller's empty lists come out of the API as null.
    return {
        "endpoints": list(content.endpoints) or None,
        "ports": [_port(port) for port in content.ports] or None,
    }


def _rewritten(service: Object, held: Object, content: _Content) -> list[Change]:
    same = (held.get("endpoints") or []) == list(content.endpoints) and _ports_of(held) == content.ports
    labels = _labels(service)
    if same and labels_of(held) == labels:
        return []
    return [Update(RESOURCE, {**held, "metadata": {**held["metadata"], "labels": labels}, **_written(content)})]


class EndpointSliceController:
    """Feeds `plan` from the cache."""

    name = "endpoint-slice-controller"
    watches = ("services", "pods", RESOURCE)

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the Service itself, that of a slice, or those that select a pod."""
        if transition.resource == "services":
            return own_keys(transition)
        if transition.resource == "pods":
            return keys_of_services(transition, cache)
        namespace = transition.reference.namespace
        names = (labels_of(state).get(_SERVICE_LABEL) for state in transition.states if _is_ours(state))
        return [Key(namespace, name) for name in names if name]

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one Service; none for one that is gone: its slices go with it."""
        service = cache.get("services", key.namespace, key.name)
        if service is None:
            return Plan()
        slices = [
            each
            for each in cache.objects_of(RESOURCE, key.namespace)
            if _is_ours(each) and labels_of(each).get(_SERVICE_LABEL) == key.name and not is_being_deleted(each)
        ]
        return plan(Observed(service, tuple(cache.objects_of("pods", key.namespace)), tuple(slices)))


def _is_ours(held: Object) -> bool:
    return labels_of(held).get(_MANAGER_LABEL) == _MANAGER
