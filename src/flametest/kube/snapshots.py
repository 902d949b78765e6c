"""Keep an object as it is, and make it again: what healing a fault needs.

A snapshot is the object without what the API server itself writes, so that it can be sent to it as it stands.
"""

from copy import deepcopy

from flametest.kube.api import Api
from flametest.kube.errors import ApiRejectedError, ConflictError, NotFoundError
from flametest.kube.resources import Object, Resource

__all__ = ["find", "restore", "snapshot"]

_SERVER_WRITTEN = ("creationTimestamp", "deletionTimestamp", "generation", "managedFields", "resourceVersion", "uid")
UNPROCESSABLE = 422


def find(api: Api, resource: Resource, namespace: str, name: str) -> Object | None:
    """Return an object, or None when there is none of that name.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    try:
        return api.get(resource.path(namespace, name))
    except NotFoundError:
        return None


def snapshot(obj: Object) -> Object:
    """Return a copy of ``obj`` that can be created anew: without status and what the API server writes."""
    kept = deepcopy({key: value for key, value in obj.items() if key != "status"})
    for key in _SERVER_WRITTEN:
        kept["metadata"].pop(key, None)
    return kept


def restore(api: Api, resource: Resource, kept: Object) -> tuple[Object, bool]:
    """Make an object again from its snapshot, unless one of that name exists; return it, and whether it was made.

    A Service gets the address that it had. If another one has taken that, it gets a new one, and keeps its node port.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    namespace, name = kept["metadata"].get("namespace", ""), kept["metadata"]["name"]
    path = resource.path(namespace)
    try:
        return api.send("POST", path, kept), True
    except ConflictError:
        return api.get(resource.path(namespace, name)), False
    except ApiRejectedError as error:
        readdressed = _without_address(kept)
        if error.code != UNPROCESSABLE or readdressed == kept:
            raise
        return api.send("POST", path, readdressed), True


def _without_address(kept: Object) -> Object:
    spec = kept.get("spec", {})
    if spec.get("clusterIP") in (None, "", "None"):
        return kept
    return kept | {"spec": {key: value for key, value in spec.items() if key not in ("clusterIP", "clusterIPs")}}
