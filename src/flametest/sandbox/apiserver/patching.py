"""The patches of the API: JSON patch, JSON merge patch and strategic merge patch. Server-side apply has its own module.

Each function returns the patched object and may change the one that it is given. The strategic merge follows
Kubernetes' rules for lists: items pair by the merge key of the schema, and keep the order that ``$setElementOrder``,
then the patch, then the live list give them.
"""

from collections.abc import Callable
from typing import Any

import jsonpatch
import jsonpointer

from flametest.sandbox.apiserver.failures import bad_request
from flametest.sandbox.apiserver.resources import Resource
from flametest.sandbox.apiserver.schema import FieldType, ObjectType, object_type
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object

__all__ = ["json_patch", "merge_patch", "patch_types", "strategic_merge_patch"]

_STRATEGIC = "application/strategic-merge-patch+json"
_PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    _STRATEGIC,
    "application/apply-patch+yaml",
)

OPERATIONS_MAX = 10_000
_ANY = FieldType("any")
_ORDER, _DELETE, _RETAIN, _DIRECTIVE = "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys", "$patch"


def patch_types(resource: Resource) -> tuple[str, ...]:
    """Return the media types of the patches that a resource takes: custom ones have no merge keys."""
    return _PATCH_TYPES if resource.custom is None else tuple(one for one in _PATCH_TYPES if one != _STRATEGIC)


def json_patch(obj: Object, patch: Any) -> Object:
    """Apply a JSON patch (RFC 6902).

    Raises:
        StatusError: 400, it is no list of operations; 422, an operation fails.
    """
    if not isinstance(patch, list) or not all(isinstance(operation, dict) for operation in patch):
        raise bad_request("error decoding patch: a JSON patch is a list of operations")
    if len(patch) > OPERATIONS_MAX:
        message = f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(patch)}"
        raise StatusError(413, "RequestEntityTooLarge", message)
    try:
        patched: Object = jsonpatch.apply_patch(obj, patch, in_place=True)
    except jsonpatch.InvalidJsonPatch as error:
        raise bad_request(f"error decoding patch: {error}") from None
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, ValueError) as error:
        text = "the server rejected our request due to an error in our request"
        raise StatusError(422, "Invalid", text, {"causes": [{"message": str(error)}]}) from None
    return patched


def merge_patch(obj: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386): null removes, objects merge, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    target = obj if isinstance(obj, dict) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = merge_patch(target.get(key), value)
    return target


def strategic_merge_patch(obj: Object, patch: Any, of: ObjectType) -> Object:
    """Apply a strategic merge patch by the merge keys of a type.

    Raises:
        StatusError: 400, the patch has not the form that the type wants.
    """
    if not isinstance(patch, dict):
        raise bad_request("error decoding patch: a strategic merge patch is an object")
    merged = _merge_map(obj, patch, of.fields.get)
    return merged if merged is not None else {}


def _fields_within(field: FieldType) -> Callable[[str], FieldType | None]:
    """Return what gives the type of each entry of an object or map."""
    if field.kind == "object":
        return object_type(field.type_name).fields.get
    element = field.element if field.kind == "map" else None
    return lambda _name: element


def _merge_map(original: Object, patch: Object, field_of: Callable[[str], FieldType | None]) -> Object | None:
    """Return the merged map; None when the patch deletes it."""
    directive = patch.get(_DIRECTIVE, "merge")
    if directive == "delete":
        return None
    if directive == "replace":
        return {key: value for key, value in patch.items() if not key.startswith("$")}
    if directive != "merge":
        raise bad_request(f"Unknown patch type found: {directive}")
    if _RETAIN in patch:
        retained = patch[_RETAIN]
        if not isinstance(retained, list):
            raise bad_request("invalid patch format of retainKeys: a list of field names is wanted")
        original = {key: value for key, value in original.items() if key in retained}
    merged = dict(original)
    for key in {name.removeprefix(_ORDER).removeprefix(_DELETE): None for name in patch}:
        if key.startswith("$"):
            continue
        if key in patch and patch[key] is None:
            merged.pop(key, None)
            continue
        field = field_of(key) or _ANY
        value = _merge_value(merged.get(key), key, patch, field)
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def _merge_value(original: Any, key: str, patch: Object, field: FieldType) -> Any:
    value = patch.get(key)
    if isinstance(value, dict) and field.kind in ("object", "map", "any"):
        return _merge_map(original if isinstance(original, dict) else {}, value, _fields_within(field))
    is_list = field.kind == "list" and "merge" in field.strategies
    if not is_list:
        return value if key in patch else original
    if key in patch and not isinstance(value, list):
        return value
    order = patch.get(_ORDER + key)
    deleted = patch.get(_DELETE + key, [])
    if not isinstance(deleted, list) or not isinstance(order, list | None):
        raise bad_request(f"invalid patch format of the directives for the list {key}: a list is wanted")
    live = original if isinstance(original, list) else []
    if field.merge_key:
        return _merge_items(live, value or [], order, field)
    return _merge_primitives(live, value or [], order, deleted)


def _key_of(item: Any, merge_key: str) -> Any:
    if not isinstance(item, dict) or item.get(merge_key) is None:
        raise bad_request(f"map: {item} does not contain declared merge key: {merge_key}")
    key = item[merge_key]
    if isinstance(key, dict | list):
        raise bad_request(f"merge key {merge_key} has to be a scalar")
    return key


def _merge_items(live: list[Any], patch: list[Any], order: list[Any] | None, field: FieldType) -> list[Any]:
    name = field.merge_key
    directives = [item for item in patch if isinstance(item, dict) and _DIRECTIVE in item]
    if any(item[_DIRECTIVE] == "replace" for item in directives):
        return [item for item in patch if item not in directives]
    merged = {_key_of(item, name): item for item in live}
    server_order = list(merged)
    fields = _fields_within(field.element or _ANY)
    for item in patch:
        key = _key_of(item, name)
        result = _merge_map(merged.get(key, {}), item, fields)
        if result is None:
            merged.pop(key, None)
        else:
            merged[key] = result
    wanted = [_key_of(item, name) for item in (order if order is not None else patch)]
    return [merged[key] for key in _interleave(merged, wanted, server_order)]


def _merge_primitives(live: list[Any], patch: list[Any], order: list[Any] | None, deleted: list[Any]) -> list[Any]:
    if any(isinstance(item, dict | list) for item in (*live, *patch, *(order or ()), *deleted)):
        raise bad_request("invalid patch format of primitive list: only scalars are wanted")
    merged = dict.fromkeys(item for item in (*live, *patch) if item not in deleted)
    wanted = order if order is not None else patch
    return _interleave(merged, wanted, live)


def _interleave(present: dict[Any, Any], wanted: list[Any], server_order: list[Any]) -> list[Any]:
    """Return the keys present: those wanted in their order, the others put between them by the live list's order."""
    right = [key for key in dict.fromkeys(wanted) if key in present]
    places = {key: place for place, key in enumerate(server_order)}
    left = sorted((key for key in present if key not in right), key=lambda key: places.get(key, len(places)))
    keys = []
    while left and right:
        both_known = left[0] in places and right[0] in places
        keys.append(left.pop(0) if both_known and places[left[0]] < places[right[0]] else right.pop(0))
    return [*keys, *left, *right]
