"""Columns of custom resources: the additional printer columns of their definitions, which name fields by JSONPath.

Of JSONPath there is what such columns use: fields, items by number, all items, and items by the value of a field.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import orjson

from flametest.sandbox.apiserver.columns.basic import AGE, NAME, Column, age_text
from flametest.sandbox.objects import Object

__all__ = ["custom_columns", "values_at"]

_STEP = re.compile(
    r"""\.(?P<name>(?:[^\\.\[\]'"]|\\.)+)
    |\[(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\]
    |\[(?P<index>-?[0-9]+)\]
    |\[(?P<all>\*)\]
    |\[\?\(\s*@\.(?P<key>[\w.-]+)\s*==\s*(?P<mark>['"])(?P<value>.*?)(?P=mark)\s*\)\]""",
    re.VERBOSE,
)
_NUMBERS = ("integer", "number", "boolean")


def values_at(obj: Any, path: str) -> list[Any]:
    """Return the values that a JSONPath finds; none for a path that leads nowhere or is not understood."""
    found, place = [obj], 0
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None:
            return []
        found = [each for value in found for each in _follow(value, step)]
        place = step.end()
    return found


def _follow(value: Any, step: re.Match[str]) -> Iterator[Any]:
    key = step["quoted"]
    if key is None and step["name"] is not None:
        key = re.sub(r"\\(.)", r"\1", step["name"])
    if step["name"] == "*" or step["all"]:
        yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    elif key is not None:
        if isinstance(value, dict) and value.get(key) is not None:
            yield value[key]
    elif isinstance(value, list) and step["index"] is not None:
        number = int(step["index"])
        if -len(value) <= number < len(value):
            yield value[number]
    elif isinstance(value, list):
        yield from (item for item in value if step["value"] in map(str, values_at(item, f".{step['key']}")))


def custom_columns(declared: Iterable[Object]) -> tuple[Column, ...]:
    """Return the columns of a version of a definition: the name, what it declares, or the age where it is silent."""
    columns = tuple(_column(each) for each in declared)
    return (NAME, *columns) if columns else (NAME, AGE)


def _column(declared: Object) -> Column:
    path, kind = declared.get("jsonPath", ""), declared.get("type", "string")

    def cell(obj: Object, now: datetime) -> Any:
        found = values_at(obj, path)
        if not found:
            return None
        if kind == "date":
            return age_text(str(found[0]), now)
        return found[0] if kind in _NUMBERS else " ".join(map(_text, found))

    return Column(declared.get("name", ""), cell, type=kind, wide=bool(declared.get("priority")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
