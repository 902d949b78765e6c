"""A value that a JSON Schema allows, made up for a first try: a person has to look at it. Pure."""

from collections.abc import Mapping
from typing import Any

from flametest.starter.openapi import Schema

__all__ = ["example_of"]

_FORMATS = {
    "date": "2030-01-01",
    "date-time": "2030-01-01T00:00:00Z",
    "email": "nobody@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com/",
}
_DEPTH_MAX = 4
_CHARACTERS_MAX, _ITEMS_MAX = 1000, 100


def example_of(schema: Schema, depth: int = 0) -> Any:
    """Return a value that a schema allows, with the fields that it demands, as a template: its braces are doubled.

    Raises:
        ValueError: none can be guessed; the message says why.
    """
    if depth > _DEPTH_MAX:
        raise ValueError("its body is nested too deeply")
    named = [schema[name] for name in ("const", "default", "example") if schema.get(name) is not None]
    named += [schema[name][0] for name in ("enum", "examples") if isinstance(schema.get(name), list) and schema[name]]
    if named:
        return _escaped(named[0])
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    if kind == "object" or "properties" in schema:
        return _object(schema, depth)
    if kind == "array":
        items = schema.get("items")
        count = _whole(schema, "minItems", 0, _ITEMS_MAX)
        return [example_of(items if isinstance(items, Mapping) else {}, depth + 1)] * count
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    return False if kind == "boolean" else _word(schema)


def _object(schema: Schema, depth: int) -> dict[str, Any]:
    found, demanded = schema.get("properties"), schema.get("required")
    properties = found if isinstance(found, Mapping) else {}
    names = [str(one) for one in demanded] if isinstance(demanded, list | tuple) else []
    return {name: example_of(properties.get(name, {}), depth + 1) for name in names}


def _number(schema: Schema, *, whole: bool) -> int | float:
    bounds = {name: value for name, value in schema.items() if type(value) in (int, float)}
    found = bounds["exclusiveMinimum"] + 1 if "exclusiveMinimum" in bounds else max(bounds.get("minimum", 1), 1)
    highest = bounds.get("maximum", bounds.get("exclusiveMaximum", found + 1) - 1)
    found = min(found, highest)
    return int(found) if whole else float(found)


def _word(schema: Schema) -> str:
    if "pattern" in schema:
        raise ValueError("its body has a field with a pattern")
    text = _FORMATS.get(str(schema.get("format", "")), "flametest")
    shortest = _whole(schema, "minLength", 0, _CHARACTERS_MAX)
    longest = max(shortest, _whole(schema, "maxLength", len(text), _CHARACTERS_MAX))
    return text.ljust(shortest, "x")[:longest]


def _whole(schema: Schema, name: str, usual: int, most: int) -> int:
    """Return a bound of a schema.

    Raises:
        ValueError: it demands more than anybody should make up.
    """
    found = schema.get(name, usual)
    if not isinstance(found, int):
        return usual
    if name.startswith("min") and found > most:
        raise ValueError("its body has to be very long")
    return max(0, min(found, most))


def _escaped(value: Any) -> Any:
    """Return an example with its braces doubled: none of them is a placeholder. What is null is left out."""
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, Mapping):
        return {str(name): _escaped(one) for name, one in value.items() if one is not None}
    return [_escaped(one) for one in value if one is not None] if isinstance(value, list | tuple) else value
