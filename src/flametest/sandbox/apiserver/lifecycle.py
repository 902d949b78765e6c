"""What the server does to an object's metadata when it is created and updated: pure functions of objects.

`flametest.sandbox.apiserver.registry` calls them around the kind's own hooks; time, uid and random names are passed in.
"""

import random
from datetime import datetime
from typing import Literal

from flametest.sandbox.apiserver.failures import bad_request
from flametest.sandbox.apiserver.resources import Resource
from flametest.sandbox.apiserver.schema import normalise
from flametest.sandbox.objects import Object

__all__ = [
    "FieldValidation",
    "begin",
    "carry_over",
    "check_identity",
    "count_generation",
    "decode",
    "generate_name",
    "in_order",
    "with_status_of",
]

FieldValidation = Literal["Strict", "Warn", "Ignore"]

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
NAME_LENGTH_MAX = 63
CONTROLLER_ANNOTATIONS = "deployment.kubernetes.io/"
_SERVER_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


def check_identity(resource: Resource, namespace: str, obj: Object) -> None:
    """Check that a body is of the resource's kind and of the request's namespace, and fill in what it leaves out.

    Raises:
        StatusError: 400, it is of another kind, version or namespace.
    """
    kind = obj.setdefault("kind", resource.kind)
    version = obj.setdefault("apiVersion", resource.api_version)
    handled = f'{kind} in version "{version}" cannot be handled as a {resource.kind}'
    if version != resource.api_version:
        detail = f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        raise bad_request(f"{handled}: {detail}")
    if kind != resource.kind:
        group = resource.group.partition(".")[0] or "core"
        detail = f"converting ({resource.version}.{kind}) to ({group}.{resource.kind}): unknown conversion"
        raise bad_request(f"{handled}: {detail}")
    metadata = obj.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise bad_request(f"{handled}: metadata has to be an object")
    if resource.namespaced:
        if metadata.get("namespace") not in (None, "", namespace):
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)


def decode(resource: Resource, obj: Object, validation: FieldValidation) -> list[str]:
    """Bring a body into the stored form and return warnings about unknown fields, which are dropped.

    Raises:
        StatusError: 400, a value has the wrong type, or a field is unknown and the validation is strict.
    """
    unknown = normalise(obj, resource.type, resource.kind, resource.version)
    obj.setdefault("metadata", {})
    if not unknown or validation == "Ignore":
        return []
    texts = [f'unknown field "{path}"' for path in unknown]
    if validation == "Warn":
        return texts
    raise bad_request(
        f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
        f"strict decoding error: {', '.join(texts)}"
    )


def generate_name(prefix: str, rng: random.Random) -> str:
    """Return a name: the prefix, shortened if need be, and five random characters."""
    suffix = "".join(rng.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_LENGTH))
    return prefix[: NAME_LENGTH_MAX - SUFFIX_LENGTH] + suffix


def begin(resource: Resource, obj: Object, time: datetime, uid: str, rng: random.Random) -> None:
    """Give a new object what only the server gives: name if generated, uid, time, first generation."""
    metadata = obj["metadata"]
    for name in (*_SERVER_FIELDS, "resourceVersion", "selfLink", "managedFields"):
        metadata.pop(name, None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = generate_name(metadata["generateName"], rng)
    metadata["uid"] = uid
    metadata["creationTimestamp"] = f"{time:%Y-%m-%dT%H:%M:%SZ}"
    if resource.has_generation:
        metadata["generation"] = 1


def carry_over(new: Object, old: Object, *, keep_owners: bool) -> None:
    """Keep the metadata of an existing object that no client changes; ``keep_owners``: its managedFields as well."""
    metadata, before = new["metadata"], old["metadata"]
    for name in (*_SERVER_FIELDS, "resourceVersion", "name", "namespace", "generateName"):
        if name in before:
            metadata[name] = before[name]
        else:
            metadata.pop(name, None)
    metadata.pop("selfLink", None)
    if keep_owners:
        metadata.pop("managedFields", None)
        if "managedFields" in before:
            metadata["managedFields"] = before["managedFields"]


def with_status_of(new: Object, old: Object) -> None:
    """Put the old status into the new object, or none where there was none."""
    if "status" in old:
        new["status"] = old["status"]
    else:
        new.pop("status", None)


def _desired(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def _user_annotations(obj: Object) -> dict[str, str]:
    annotations = obj["metadata"].get("annotations", {})
    return {k: v for k, v in annotations.items() if not k.startswith(CONTROLLER_ANNOTATIONS)}


def count_generation(resource: Resource, new: Object, old: Object) -> None:
    """Count the generation up when what is desired has changed; for deployments annotations count as well."""
    if not resource.has_generation:
        return
    changed = _desired(new) != _desired(old)
    if resource.kind == "Deployment":
        changed = changed or _user_annotations(new) != _user_annotations(old)
    if changed:
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def in_order(obj: Object) -> Object:
    """Return the object with kind, apiVersion and metadata first, as stored bytes have them."""
    head = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], "metadata": obj["metadata"]}
    return {**head, **obj}
