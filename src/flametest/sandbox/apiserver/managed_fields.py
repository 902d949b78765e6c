"""Server-side apply: who owns which field, how an applied configuration merges, and where it conflicts.

A set of fields is a set of paths; a path is a tuple of the keys of Kubernetes' FieldsV1 format: ``f:NAME`` a field,
``k:{...}`` the item of a list with these key fields, ``v:VALUE`` a value of a set. Ownership is kept for objects that
were applied at least once: until then an object has no managedFields, so a first apply never conflicts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from flametest.sandbox.apiserver.resources import Resource
from flametest.sandbox.apiserver.schema import FieldType, ObjectType, object_type
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object

__all__ = ["Path", "apply_configuration", "fields_of", "merge", "track_update"]

Path = tuple[str, ...]

_KEY_DEFAULTS = {"protocol": "TCP"}
"""What identifies an item where it leaves the field out, because the server would fill it in."""

_UNOWNED = (
    ("f:apiVersion",),
    ("f:kind",),
    *(
        ("f:metadata", f"f:{name}")
        for name in ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")
    ),
)


@dataclass(frozen=True, slots=True)
class _Owner:
    manager: str
    operation: str
    fields: frozenset[Path]
    entry: Object


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _item_key(item: Any, field: FieldType) -> str:
    keys = {name: item.get(name, _KEY_DEFAULTS.get(name)) for name in field.map_keys}
    return "k:" + _json({name: value for name, value in keys.items() if value is not None})


def _walk_object(obj: Object, of: ObjectType, at: Path) -> Iterator[tuple[Path, Any]]:
    for name, value in obj.items():
        field = of.field(name)
        if field is not None:
            yield from _walk_value(value, field, (*at, f"f:{name}"))


def _element_of(field: FieldType) -> FieldType | None:
    """Return the type of the values of a map that several may own parts of; None for any other field."""
    if field.kind == "tree":
        return field
    return field.element if field.kind == "map" and not field.atomic else None


def _walk_value(value: Any, field: FieldType, at: Path) -> Iterator[tuple[Path, Any]]:
    """Yield the paths of a value with what is compared: the value of a leaf, None for an item that has leaves."""
    if field.kind == "object" and not field.atomic and value:
        of = object_type(field.type_name)
        if not of.atomic:
            yield from _walk_object(value, of, at)
            return
    elif value and isinstance(value, dict) and (element := _element_of(field)) is not None:
        for name, item in value.items():
            yield from _walk_value(item, element, (*at, f"f:{name}"))
        return
    elif field.list_type == "map" and field.element is not None:
        for item in value:
            path = (*at, _item_key(item, field))
            yield path, None
            yield from _walk_value(item, field.element, path)
        return
    elif field.list_type == "set":
        for item in value:
            yield (*at, "v:" + _json(item)), item
        return
    yield at, value


def fields_of(obj: Object, of: ObjectType) -> dict[Path, Any]:
    """Return the paths that an object sets, each with its value (None for list items, which have their own)."""
    return {path: value for path, value in _walk_object(obj, of, ()) if path not in _UNOWNED and path[0] != "f:status"}


def _pack(paths: frozenset[Path]) -> Object:
    tree: Object = {}
    for path in sorted(paths):
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node["."] = {}
    return _without_lone_dots(tree)


def _without_lone_dots(tree: Object) -> Object:
    if set(tree) == {"."}:
        return {}
    return {key: _without_lone_dots(value) for key, value in tree.items()}


def _unpack(tree: Object, at: Path = ()) -> Iterator[Path]:
    for key, value in tree.items():
        if key == ".":
            yield at
        elif not value:
            yield (*at, key)
        else:
            yield from _unpack(value, (*at, key))


def _owners(obj: Object) -> list[_Owner]:
    return [
        _Owner(
            entry.get("manager", ""), entry.get("operation", ""), frozenset(_unpack(entry.get("fieldsV1", {}))), entry
        )
        for entry in obj["metadata"].get("managedFields", ())
    ]


def _entry(resource: Resource, manager: str, operation: str, paths: frozenset[Path], now: datetime) -> Object:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": resource.api_version,
        "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "fieldsType": "FieldsV1",
        "fieldsV1": _pack(paths),
    }


def _kept(owner: _Owner, lost: frozenset[Path] | set[Path]) -> Object | None:
    left = owner.fields - lost
    if not left:
        return None
    return owner.entry if len(left) == len(owner.fields) else {**owner.entry, "fieldsV1": _pack(left)}


def merge(live: Any, applied: Any, field: FieldType) -> Any:
    """Return the applied value merged into the live one by the list types of the schema."""
    if field.kind == "object" and not field.atomic and isinstance(live, dict):
        of = object_type(field.type_name)
        if not of.atomic:
            return _merge_object(live, applied, of)
    elif isinstance(live, dict) and isinstance(applied, dict) and (element := _element_of(field)) is not None:
        return {**live, **{key: merge(live.get(key), value, element) for key, value in applied.items()}}
    elif field.list_type == "map" and isinstance(live, list) and field.element is not None:
        return _merge_items(live, applied, field)
    elif field.list_type == "set" and isinstance(live, list):
        return [*live, *(item for item in applied if item not in live)]
    return applied


def _merge_object(live: Object, applied: Object, of: ObjectType) -> Object:
    unknown = FieldType("any")
    return {**live, **{key: merge(live.get(key), value, of.field(key) or unknown) for key, value in applied.items()}}


def _merge_items(live: list[Any], applied: list[Any], field: FieldType) -> list[Any]:
    element = field.element or FieldType("any")
    present = {_item_key(item, field): item for item in live}
    merged = {_item_key(item, field): merge(present.get(_item_key(item, field)), item, element) for item in applied}
    kept = [merged.pop(key, item) for key, item in present.items()]
    return [*kept, *merged.values()]


def _remove_all(obj: Object, paths: frozenset[Path] | set[Path]) -> None:
    """Remove paths; what lies below one of them goes with it, so that an item keeps its keys until it is found."""
    for path in sorted(paths, key=len):
        if not any(path[:end] in paths for end in range(1, len(path))):
            _remove(obj, path)


def _remove(value: Any, path: Path) -> None:
    """Remove the path from a value, and parents that it leaves empty; a path that is not there is no error."""
    head, rest = path[0], path[1:]
    if head.startswith("f:") and isinstance(value, dict):
        name = head[2:]
        if rest and name in value:
            _remove(value[name], rest)
        if name in value and (not rest or value[name] in ({}, [])):
            del value[name]
    elif head.startswith("k:") and isinstance(value, list):
        keys = orjson.loads(head[2:])
        for item in [
            i for i in value if all(i.get(name, _KEY_DEFAULTS.get(name)) == wanted for name, wanted in keys.items())
        ]:
            if rest:
                _remove(item, rest)
            else:
                value.remove(item)
    elif head.startswith("v:") and isinstance(value, list):
        wanted = orjson.loads(head[2:])
        if wanted in value:
            value.remove(wanted)


def _shown(path: Path) -> str:
    text = ""
    for part in path:
        if part.startswith("f:"):
            text += f".{part[2:]}"
        elif part.startswith("k:"):
            keys = orjson.loads(part[2:])
            text += "[" + ",".join(f"{name}={_json(value)}" for name, value in keys.items()) + "]"
        else:
            text += f"[={part[2:]}]"
    return text


def _conflict(conflicts: list[tuple[str, Path]], version: str) -> StatusError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{manager}" using {version}',
            "field": _shown(path),
        }
        for manager, path in conflicts
    ]
    listed = "\n".join(f"- {cause['message']}: {cause['field']}" for cause in causes)
    count = f"{len(causes)} conflict" + ("s" if len(causes) > 1 else "")
    separator = ":\n" if len(causes) > 1 else ": "
    shown = listed if len(causes) > 1 else listed.removeprefix("- ")
    return StatusError(409, "Conflict", f"Apply failed with {count}{separator}{shown}", {"causes": causes})


def apply_configuration(
    resource: Resource, live: Object, applied: Object, manager: str, *, force: bool, now: datetime
) -> Object:
    """Return the live object with the applied configuration merged in, and with its new owners.

    Fields that the manager applied before and no longer names are removed, unless somebody else owns them as well.

    Raises:
        StatusError: 409, others own fields that would change; ``force`` takes them over.
    """
    of = resource.type
    wanted, present = fields_of(applied, of), fields_of(live, of)
    owners = _owners(live)
    mine = next((o for o in owners if o.manager == manager and o.operation == "Apply"), None)
    others = [owner for owner in owners if owner is not mine]
    taken: set[Path] = set()
    conflicts = []
    for owner in others:
        for path in sorted(owner.fields & wanted.keys()):
            if path in present and present[path] != wanted[path]:
                taken.add(path)
                conflicts.append((owner.manager, path))
    if conflicts and not force:
        raise _conflict(conflicts, resource.api_version)
    merged = _merge_object(live, applied, of)
    if mine is not None:
        foreign = {path[:end] for owner in others for path in owner.fields for end in range(1, len(path) + 1)}
        _remove_all(merged, mine.fields - wanted.keys() - foreign)
    entries = [entry for entry in (_kept(owner, taken) for owner in others) if entry is not None]
    mine_entry = _entry(resource, manager, "Apply", frozenset(wanted), now)
    if mine is not None and mine.fields == wanted.keys():
        # The same fields as before: an apply that changes nothing has to write nothing.
        mine_entry = mine.entry
    merged["metadata"] = {**merged["metadata"], "managedFields": [mine_entry, *entries]}
    return merged


def track_update(resource: Resource, new: Object, old: Object, manager: str, now: datetime) -> None:
    """Make a manager that updated an applied object the owner of what it changed; others lose what changed."""
    if not old["metadata"].get("managedFields"):
        return
    of = resource.type
    before, after = fields_of(old, of), fields_of(new, of)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    lost = changed | (before.keys() - after.keys())
    if not lost:
        return
    owners = _owners(old)
    mine = next((o for o in owners if o.manager == manager and o.operation == "Update"), None)
    entries = [entry for entry in (_kept(owner, lost) for owner in owners if owner is not mine) if entry is not None]
    own = (frozenset() if mine is None else mine.fields & after.keys()) | changed
    if own:
        entries.append(_entry(resource, manager, "Update", frozenset(own), now))
    new["metadata"]["managedFields"] = entries
