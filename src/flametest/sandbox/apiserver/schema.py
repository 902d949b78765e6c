"""The types of the API: which fields a kind has, of what type, and how lists of it merge.

The slice ``schemas.json.gz`` beside this module is made by ``scripts/generate_schemas.py`` from the OpenAPI
definitions of Kubernetes (see ``schemas.NOTICE``). It is loaded once, at the first use. `normalise` brings a decoded
object into the form in which it is stored; the patches read merge keys from the same types.
"""

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from flametest.sandbox.apiserver.failures import bad_request
from flametest.sandbox.quantities import parse_quantity

__all__ = ["CUSTOM_TYPE", "FieldType", "ObjectType", "normalise", "object_type", "type_of_kind"]

QUANTITY_TEXT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
SLICE_FILE = "schemas.json.gz"


@dataclass(frozen=True, slots=True)
class FieldType:
    """The type of one field, list item or map value.

    Attributes:
        kind: ``string``, ``boolean``, ``int32``, ``int64``, ``number``, ``quantity``, ``intstr``, ``time``, ``any``,
            ``object``, ``list``, ``map`` or ``tree``: any JSON, in which objects merge and lists are replaced.
        type_name: for ``object``: the name of its `ObjectType`.
        element: for ``list`` and ``map``: the type of items or values.
        merge_key: the key by which a strategic merge patch pairs items of a list; empty where it replaces the list.
        strategies: of a strategic merge patch: ``merge``, ``retainKeys``.
        list_type: of server-side apply: ``map``, ``set`` or ``atomic``.
        map_keys: for the list type ``map``: the fields that identify an item.
        atomic: the field is owned and replaced as a whole by server-side apply.
    """

    kind: str
    type_name: str = ""
    element: "FieldType | None" = None
    merge_key: str = ""
    strategies: tuple[str, ...] = ()
    list_type: str = ""
    map_keys: tuple[str, ...] = ()
    atomic: bool = False


@dataclass(frozen=True, slots=True)
class ObjectType:
    """The type of a JSON object with named fields; ``others`` is the type of the fields without a name, if it has any.

    Without ``others`` a field that is not named is unknown.
    """

    name: str
    fields: dict[str, FieldType]
    required: frozenset[str]
    atomic: bool
    others: FieldType | None = None

    def field(self, name: str) -> FieldType | None:
        """Return the type of a field; None for one that is unknown."""
        return self.fields.get(name, self.others)


_ANY = FieldType("any")

CUSTOM_TYPE = ObjectType(
    "",
    {
        "apiVersion": FieldType("string"),
        "kind": FieldType("string"),
        "metadata": FieldType("object", "apis.meta.v1.ObjectMeta"),
    },
    frozenset(),
    atomic=False,
    others=FieldType("tree"),
)
"""The type of every custom resource: its metadata are checked, all else is kept as it comes."""


@cache
def _slice() -> dict[str, Any]:
    packed = files(__package__).joinpath(SLICE_FILE).read_bytes()
    content: dict[str, Any] = orjson.loads(gzip.decompress(packed))
    return content


def _field(packed: Any) -> FieldType:
    if isinstance(packed, str):
        return FieldType("object", packed[1:]) if packed.startswith("#") else FieldType(packed)
    strategies = tuple(packed.get("strategy", "").split(",")) if "strategy" in packed else ()
    if "ref" in packed:
        return FieldType("object", packed["ref"], strategies=strategies, atomic="atomic" in packed)
    if "items" in packed:
        return FieldType(
            "list",
            element=_field(packed["items"]),
            merge_key=packed.get("merge", ""),
            strategies=strategies,
            list_type=packed.get("list", ""),
            map_keys=tuple(packed.get("keys", ())),
        )
    return FieldType("map", element=_field(packed["values"]), atomic="atomic" in packed)


@cache
def object_type(name: str) -> ObjectType:
    """Return the type of that name, such as ``core.v1.PodSpec``."""
    packed = _slice()["types"][name]
    fields = {key: _field(value) for key, value in packed["fields"].items()}
    return ObjectType(name, fields, frozenset(packed.get("required", ())), bool(packed.get("atomic")))


def type_of_kind(group: str, version: str, kind: str) -> ObjectType:
    """Return the type of a kind that the sandbox serves."""
    return object_type(_slice()["kinds"][f"{group}/{version}/{kind}"])


def normalise(obj: dict[str, Any], of: ObjectType, kind: str, version: str) -> list[str]:
    """Check the types of an object in place, drop nulls, unknown fields, empty maps and empty optional lists.

    Returns the paths of the unknown fields that were dropped.

    Raises:
        StatusError: 400, a value has the wrong type.
    """
    unknown: list[str] = []
    try:
        _normalise_object(obj, of, "", unknown)
    except _WrongTypeError as error:
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from None
    return unknown


class _WrongTypeError(Exception):
    """A value of the wrong type; the message is the one of the API."""


_JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", dict: "object", list: "array"}


def _wrong(value: Any, path: str, expected: str) -> _WrongTypeError:
    found = _JSON_NAMES.get(type(value), type(value).__name__)
    return _WrongTypeError(f"json: cannot unmarshal {found} into Go struct field {path.lstrip('.')} of type {expected}")


def _normalise_object(obj: Any, of: ObjectType, path: str, unknown: list[str]) -> None:
    if type(obj) is not dict:
        raise _wrong(obj, path, of.name)
    dropped = []
    for name, value in obj.items():
        field = of.field(name)
        if field is None:
            unknown.append(f"{path}.{name}".lstrip("."))
            dropped.append(name)
        elif value is None:
            dropped.append(name)
        else:
            kept = _normalise_value(value, field, f"{path}.{name}", unknown)
            if kept is not value:
                obj[name] = kept
            if field.kind in ("list", "map") and not kept and name not in of.required:
                dropped.append(name)
    for name in dropped:
        del obj[name]


def _normalise_value(value: Any, field: FieldType, path: str, unknown: list[str]) -> Any:
    kind = field.kind
    if kind == "object":
        _normalise_object(value, object_type(field.type_name), path, unknown)
        return value
    if kind == "list":
        return _normalise_list(value, field, path, unknown)
    if kind == "map":
        return _normalise_map(value, field, path, unknown)
    return _SCALARS[kind](value, path)


def _normalise_list(value: Any, field: FieldType, path: str, unknown: list[str]) -> Any:
    if type(value) is not list:
        raise _wrong(value, path, "[]" + (field.element or _ANY).kind)
    element = field.element or _ANY
    for index, item in enumerate(value):
        if item is None:
            raise _wrong(item, f"{path}[{index}]", element.type_name or element.kind)
        kept = _normalise_value(item, element, f"{path}[{index}]", unknown)
        if kept is not item:
            value[index] = kept
    return value


def _normalise_map(value: Any, field: FieldType, path: str, unknown: list[str]) -> Any:
    if type(value) is not dict:
        raise _wrong(value, path, "map[string]" + (field.element or _ANY).kind)
    element = field.element or _ANY
    for key, item in list(value.items()):
        if item is None:
            # Go decodes a null into the zero value of the map's values.
            value[key] = "" if element.kind == "string" else {}
            continue
        kept = _normalise_value(item, element, f"{path}.{key}", unknown)
        if kept is not item:
            value[key] = kept
    return value


def _string(value: Any, path: str) -> Any:
    if type(value) is not str:
        raise _wrong(value, path, "string")
    return value


def _boolean(value: Any, path: str) -> Any:
    if type(value) is not bool:
        raise _wrong(value, path, "bool")
    return value


def _integer(bits: int) -> Callable[[Any, str], Any]:
    limit = 1 << (bits - 1)

    def check(value: Any, path: str) -> Any:
        if type(value) is not int or not -limit <= value < limit:
            raise _wrong(value, path, f"int{bits}")
        return value

    return check


def _number(value: Any, path: str) -> Any:
    if type(value) not in (int, float):
        raise _wrong(value, path, "float64")
    return value


def _quantity(value: Any, path: str) -> Any:
    if type(value) not in (str, int, float):
        raise _wrong(value, path, "resource.Quantity")
    try:
        parse_quantity(str(value))
    except ValueError:
        raise _WrongTypeError(f"{path.lstrip('.')}: {QUANTITY_TEXT}") from None
    return str(value)


def _time(value: Any, path: str) -> Any:
    if type(value) is not str:
        raise _wrong(value, path, "string")
    if _TIME.fullmatch(value) is not None:
        try:
            datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return value
    raise _WrongTypeError(f'{path.lstrip(".")}: parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse it')


def _int_or_string(value: Any, path: str) -> Any:
    if type(value) not in (int, str):
        raise _wrong(value, path, "intstr.IntOrString")
    return value


_SCALARS: dict[str, Callable[[Any, str], Any]] = {
    "string": _string,
    "boolean": _boolean,
    "int32": _integer(32),
    "int64": _integer(64),
    "number": _number,
    "quantity": _quantity,
    "intstr": _int_or_string,
    "time": _time,
    "any": lambda value, path: value,
    "tree": lambda value, path: value,
}
