"""Texts with placeholders in braces, such as ``/quotes/{quote}``, filled in for one write. Pure.

``{{`` and ``}}`` are braces that stay. A text that consists of one placeholder takes over its value as it is, so that a
number stays one in JSON.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

__all__ = ["fill", "fill_path", "placeholders", "sql_with_parameters"]

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")


def placeholders(template: Any) -> Iterator[str]:
    """Yield the names of the placeholders in a text, or in all texts of JSON data, its keys excluded."""
    if isinstance(template, str):
        yield from (found[1] for found in _PLACEHOLDER.finditer(template) if found[1])
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from placeholders(value)
    elif isinstance(template, list):
        for value in template:
            yield from placeholders(value)


def fill(template: Any, values: Mapping[str, object]) -> Any:
    """Return a template of JSON data with its placeholders replaced; raises KeyError for one without a value."""
    if isinstance(template, str):
        whole = _PLACEHOLDER.fullmatch(template)
        return values[whole[1]] if whole and whole[1] else _filled(template, lambda name: str(values[name]))
    if isinstance(template, Mapping):
        return {key: fill(value, values) for key, value in template.items()}
    return [fill(value, values) for value in template] if isinstance(template, list) else template


def fill_path(template: str, values: Mapping[str, object]) -> str:
    """Return a path and query with its placeholders replaced, each value percent-encoded (RFC 3986)."""
    return _filled(template, lambda name: quote(str(values[name]), safe=""))


def sql_with_parameters(template: str) -> str:
    """Return SQL with placeholders as Psycopg's named parameters, so that values are bound and never part of it."""
    return _filled(template.replace("%", "%%"), lambda name: f"%({name})s")


def _filled(template: str, value: Any) -> str:
    return _PLACEHOLDER.sub(lambda found: str(value(found[1])) if found[1] else found[0][0], template)
