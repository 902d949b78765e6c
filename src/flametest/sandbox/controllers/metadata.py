"""Names, owners and conditions: what every controller reads and writes in objects.

Pure functions. Nothing here changes its arguments; what is returned may share parts with them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flametest.sandbox.cache import Reference, Transition
from flametest.sandbox.controllers.changes import Key, Update
from flametest.sandbox.labels import labels_of, selector_matches
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import parse_time

__all__ = [
    "Claimed",
    "age_order",
    "annotations_of",
    "claim",
    "condition_of",
    "controller_of",
    "controller_reference",
    "find_condition",
    "is_being_deleted",
    "key_of",
    "keys_of_controllers",
    "may_own",
    "namespace_of",
    "own_keys",
    "reference_of",
    "same_selection_keys",
    "seconds_since",
    "with_annotations",
    "with_condition",
    "with_spec",
    "with_status",
    "without_condition",
]


def key_of(obj: Object) -> Key:
    """Return the key of an object."""
    return Key(namespace_of(obj), obj["metadata"]["name"])


def namespace_of(obj: Object) -> str:
    """Return the namespace of an object; empty for none."""
    return obj["metadata"].get("namespace") or ""


def annotations_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """Return the annotations of an object; empty for none."""
    return (obj.get("metadata") or {}).get("annotations") or {}


def reference_of(resource: str, obj: Object) -> Reference:
    """Return where an object of a resource is."""
    return Reference(resource, namespace_of(obj), obj["metadata"]["name"])


def is_being_deleted(obj: Object) -> bool:
    """Return whether the deletion of an object has begun."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def controller_of(obj: Object) -> Object | None:
    """Return the owner reference that is marked as the controller, or None."""
    owners: list[Object] = obj["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def controller_reference(owner: Object) -> Object:
    """Return the owner reference that makes ``owner`` the controller of an object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def may_own(owner: Object, obj: Object) -> bool:
    """Return whether ``owner`` is the controller of an object, or could be: nobody else is."""
    controller = controller_of(obj)
    return controller is None or bool(controller["uid"] == owner["metadata"]["uid"])


def age_order(obj: Object) -> tuple[str, str]:
    """Return a sorting key: older objects first, then by name."""
    return obj["metadata"].get("creationTimestamp") or "", obj["metadata"]["name"]


def with_status(obj: Object, status: Object) -> Object:
    """Return the object with another status."""
    return {**obj, "status": status}


def with_spec(obj: Object, **fields: Any) -> Object:
    """Return the object with some fields of its spec replaced."""
    return {**obj, "spec": {**(obj.get("spec") or {}), **fields}}


def with_annotations(obj: Object, annotations: Mapping[str, str]) -> Object:
    """Return the object with these annotations and no others."""
    return {**obj, "metadata": {**obj["metadata"], "annotations": dict(annotations)}}


@dataclass(frozen=True, slots=True)
class Claimed:
    """What belongs to a controller.

    Attributes:
        objects: owned, adopted ones included, released ones not.
        changes: the updates that adopt and release.
    """

    objects: tuple[Object, ...]
    changes: tuple[Update, ...]


def claim(owner: Object, selector: Object | None, resource: str, candidates: Iterable[Object]) -> Claimed:
    """Return which candidates belong to ``owner``: orphans that match are adopted, owned ones that do not, released.

    Nothing is adopted by, and nothing released to, an object whose deletion has begun.
    """
    uid = owner["metadata"]["uid"]
    kept: list[Object] = []
    changes: list[Update] = []
    for candidate in candidates:
        controller = controller_of(candidate)
        matches = selector_matches(selector, labels_of(candidate))
        if controller is not None and controller["uid"] != uid:
            continue
        if controller is not None and matches:
            kept.append(candidate)
        elif controller is not None and not is_being_deleted(owner):
            changes.append(Update(resource, _without_owner(candidate, uid)))
        elif matches and not is_being_deleted(owner) and not is_being_deleted(candidate):
            adopted = _with_owner(candidate, controller_reference(owner))
            changes.append(Update(resource, adopted))
            kept.append(adopted)
    return Claimed(tuple(kept), tuple(changes))


def _with_owner(obj: Object, reference: Object) -> Object:
    metadata = obj["metadata"]
    owners = [*(metadata.get("ownerReferences") or []), reference]
    return {**obj, "metadata": {**metadata, "ownerReferences": owners}}


def _without_owner(obj: Object, uid: str) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "ownerReferences"}
    owners = [owner for owner in obj["metadata"].get("ownerReferences") or [] if owner["uid"] != uid]
    if owners:
        metadata["ownerReferences"] = owners
    return {**obj, "metadata": metadata}


def own_keys(transition: Transition) -> list[Key]:
    """Return the key of the object that changed."""
    return [Key(transition.reference.namespace, transition.reference.name)]


def keys_of_controllers(transition: Transition, kind: str) -> list[Key]:
    """Return the keys of the controllers, of this kind, that the object has or had."""
    controllers = [controller_of(state) for state in transition.states]
    names = dict.fromkeys(each["name"] for each in controllers if each is not None and each["kind"] == kind)
    return [Key(transition.reference.namespace, name) for name in names]


def same_selection_keys(transition: Transition, owners: Iterable[Object]) -> list[Key]:
    """Return the keys of those ``owners`` whose selector takes in an orphan that changed, so that they may adopt it."""
    orphans = [state for state in transition.states if controller_of(state) is None]
    return [
        key_of(owner)
        for owner in owners
        if any(selector_matches(owner["spec"].get("selector"), labels_of(orphan)) for orphan in orphans)
    ]


def find_condition(conditions: Sequence[Object] | None, kind: str) -> Object | None:
    """Return the condition of a type, or None."""
    return next((condition for condition in conditions or [] if condition["type"] == kind), None)


def condition_of(obj: Object, kind: str) -> Object | None:
    """Return the condition of a type in an object's status, or None."""
    return find_condition((obj.get("status") or {}).get("conditions"), kind)


def with_condition(conditions: Sequence[Object], new: Object) -> list[Object]:
    """Return the conditions with ``new`` put last, as the workload controllers do.

    A condition of the same status and reason stays as it is; one of the same status keeps its time of transition.
    """
    current = find_condition(conditions, new["type"])
    if current is not None and current["status"] == new["status"] and current.get("reason") == new.get("reason"):
        return list(conditions)
    if current is not None and current["status"] == new["status"] and "lastTransitionTime" in current:
        new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    return [*without_condition(conditions, new["type"]), new]


def without_condition(conditions: Sequence[Object], kind: str) -> list[Object]:
    """Return the conditions but that of a type."""
    return [condition for condition in conditions if condition["type"] != kind]


def seconds_since(text: str | None, now: datetime) -> float:
    """Return how many seconds ago an API time was; 0 for none."""
    return 0.0 if not text else (now - parse_time(text)).total_seconds()
