"""Objects as they were and as they are: keep one, look for one, create it again, and tell what differs.

A snapshot is the object without what the API server itself writes, so that it can be sent to it as it stands. What is
absent is absent by the API's own word only: a 404 of a proxy before it is an error like any other.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from flametest.kube.api import Api
from flametest.kube.errors import ApiRejectedError, NotFoundError
from flametest.kube.resources import Object, Resource

__all__ = ["differences", "find", "is_ending", "restore", "snapshot"]

_SERVER_WRITTEN = (
    *("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields"),
    *("resourceVersion", "selfLink", "uid"),
)
UNPROCESSABLE = 422
DIFFERENCES_MAX = 5
VALUE_CHARACTERS_MAX = 60


def find(api: Api, resource: Resource, namespace: str, name: str) -> Object | None:
    """Return an object, or None when the API itself says that there is none of that name.

    Raises:
        KubeError: the API is unreachable or refused, or something else answered with 404.
    """
    try:
        return api.get(resource.path(namespace, name))
    except NotFoundError as error:
        if error.is_absence_of(name):
            return None
        raise ApiRejectedError(
            f"whether there is a {resource.kind} {name} is not known, since no API of Kubernetes said so: {error}",
            "is the API server, or a proxy before it, being restarted?",
            code=error.code,
            told=error.told,
        ) from error


def is_ending(obj: Object) -> bool:
    """Return whether an object is being deleted: it is still there, and cannot stay."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def snapshot(obj: Object) -> Object:
    """Return a copy of ``obj`` that can be created again: without status and what the API server writes."""
    kept = deepcopy({key: value for key, value in obj.items() if key != "status"})
    for key in _SERVER_WRITTEN:
        kept["metadata"].pop(key, None)
    return kept


def differences(before: Any, now: Any, where: str = "spec") -> tuple[str, ...]:
    """Return in which fields two values differ, each as ``spec.clusterIP: was X, is Y``; empty for none.

    Lists of different lengths are one difference. At most `DIFFERENCES_MAX` are told.
    """
    found = list(_differences(before, now, where))
    more = len(found) - DIFFERENCES_MAX
    return (*found[:DIFFERENCES_MAX], *([f"and {more} more"] if more > 0 else []))


def _differences(before: Any, now: Any, where: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            yield from _differences(before.get(key), now.get(key), f"{where}.{key}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (was, is_now) in enumerate(zip(before, now, strict=True)):
            yield from _differences(was, is_now, f"{where}[{index}]")
    elif before != now:
        yield f"{where}: was {_shown(before)}, is {_shown(now)}"


def _shown(value: Any) -> str:
    text = "unset" if value is None else str(value)
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}..."


def restore(api: Api, resource: Resource, kept: Object) -> Object:
    """Create an object again from its snapshot, and return what the API made of it.

    A Service gets the address and the node ports that it had. What another one has taken it gets again, so that it
    serves at all; `differences` tells.

    Raises:
        ConflictError: there is one of that name.
        KubeError: the API is unreachable or refused.
    """
    path = resource.path(kept["metadata"].get("namespace", ""))
    attempts = [kept, _without_address(kept), _without_node_ports(kept), _without_node_ports(_without_address(kept))]
    refusal: ApiRejectedError | None = None
    for index, attempt in enumerate(attempts):
        if attempt in attempts[:index]:
            continue
        try:
            return api.send("POST", path, attempt)
        except ApiRejectedError as error:
            if error.code != UNPROCESSABLE:
                raise
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def _without_address(kept: Object) -> Object:
    spec = kept.get("spec", {})
    if spec.get("clusterIP") in (None, "", "None"):
        return kept
    return kept | {"spec": {key: value for key, value in spec.items() if key not in ("clusterIP", "clusterIPs")}}


def _without_node_ports(kept: Object) -> Object:
    spec = kept.get("spec", {})
    if not any("nodePort" in port for port in spec.get("ports") or []):
        return kept
    ports = [{key: value for key, value in port.items() if key != "nodePort"} for port in spec["ports"]]
    others = {key: value for key, value in spec.items() if key != "healthCheckNodePort"}
    return kept | {"spec": others | {"ports": ports}}
