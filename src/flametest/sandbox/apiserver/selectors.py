"""Label and field selectors: their grammar, as kubectl sends it, and what matches them.

The grammar and the wording of its errors are those of Kubernetes' label selectors: ``app=web,tier!=db``,
``app in (a, b)``, ``app notin (c)``, ``app``, ``!app``, ``n > 3``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flametest.sandbox.apiserver.failures import bad_request
from flametest.sandbox.apiserver.validation.names import label_value, qualified_name
from flametest.sandbox.objects import Object

__all__ = [
    "FieldRequirement",
    "Requirement",
    "matches_fields",
    "matches_labels",
    "matches_selector",
    "parse_field_selector",
    "parse_label_selector",
    "selector_text",
]

_TOKEN = re.compile(r"\s*(==|!=|[=!,()<>]|[^\s=!,()<>]+)")
_OPERATORS = ("=", "==", "!=", "in", "notin", "<", ">")
_SPECIAL = frozenset("=!,()<>")
_END = ""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on labels; ``operator`` is one of ``in``, ``notin``, ``exists``, ``!``, ``>``, ``<``."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels fulfil it; ``notin`` holds where the key is absent."""
        value = labels.get(self.key)
        if self.operator == "in":
            return value in self.values
        if self.operator == "notin":
            return value not in self.values
        if self.operator == "exists":
            return value is not None
        if self.operator == "!":
            return value is None
        if value is None or re.fullmatch("-?[0-9]+", value) is None:
            return False
        bound = int(next(iter(self.values)))
        return int(value) > bound if self.operator == ">" else int(value) < bound


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """One condition on a field: equal to a text, or not."""

    path: str
    equal: bool
    value: str


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def parse(self) -> tuple[Requirement, ...]:
        requirements: list[Requirement] = []
        while True:
            word = self._peek()
            if word == _END:
                return tuple(requirements)
            if word in _SPECIAL - {"!"} or word in ("==", "!="):
                raise self._unexpected(word, "!, identifier, or 'end of string'")
            requirements.append(self._requirement())
            word = self._next()
            if word == _END:
                return tuple(requirements)
            if word != ",":
                raise self._unexpected(word, "',' or 'end of string'")
            if self._peek() in (_SPECIAL - {"!"}) | {_END, "==", "!="}:
                raise self._unexpected(self._peek(), "identifier after ','")

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def _next(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    @staticmethod
    def _unexpected(word: str, expected: str) -> Exception:
        return bad_request(f"found '{word}', expected: {expected}")

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._next()
        key = self._next()
        if key == _END or key in _SPECIAL or key in ("==", "!="):
            raise self._unexpected(key, "identifier")
        messages = qualified_name(key)
        if messages:
            raise bad_request(f'key: Invalid value: "{key}": {messages[0]}')
        if absent:
            return Requirement(key, "!")
        if self._peek() in (_END, ","):
            return Requirement(key, "exists")
        operator = self._next()
        if operator not in _OPERATORS:
            raise self._unexpected(operator, ", ".join(_OPERATORS))
        return self._with_values(key, operator)

    def _with_values(self, key: str, operator: str) -> Requirement:
        values = self._set() if operator in ("in", "notin") else frozenset((self._exact_value(),))
        for value in values:
            messages = label_value(value)
            if messages:
                raise bad_request(f'values[0][{key}]: Invalid value: "{value}": {messages[0]}')
        if operator in ("<", ">"):
            if re.fullmatch("-?[0-9]+", next(iter(values))) is None:
                raise bad_request(f"values[0]: Invalid value: for '{operator}' the value must be an integer")
            return Requirement(key, operator, values)
        return Requirement(key, "notin" if operator in ("!=", "notin") else "in", values)

    def _exact_value(self) -> str:
        if self._peek() in (_END, ","):
            return ""
        value = self._next()
        if value in _SPECIAL or value in ("==", "!="):
            raise self._unexpected(value, "identifier")
        return value

    def _set(self) -> frozenset[str]:
        word = self._next()
        if word != "(":
            raise self._unexpected(word, "'('")
        values, current = set(), ""
        while (word := self._next()) != ")":
            if word == ",":
                values.add(current)
                current = ""
            elif word == _END or word in _SPECIAL or word in ("==", "!=") or current:
                raise self._unexpected(word, "',' or ')'")
            else:
                current = word
        values.add(current)
        return frozenset(values)


def parse_label_selector(text: str) -> tuple[Requirement, ...]:
    """Return the conditions of a label selector; an empty text has none.

    Raises:
        StatusError: 400, it does not follow the grammar.
    """
    return _Parser(text).parse()


def matches_labels(requirements: Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    """Return whether labels fulfil every condition."""
    return all(requirement.matches(labels) for requirement in requirements)


_EXPRESSION_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def matches_selector(selector: Object, labels: Mapping[str, str]) -> bool:
    """Return whether labels match a label selector of an object (matchLabels, matchExpressions)."""
    wanted = selector.get("matchLabels", {})
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(
        Requirement(
            e.get("key", ""), _EXPRESSION_OPERATORS.get(e.get("operator", ""), ""), frozenset(e.get("values", ()))
        ).matches(labels)
        for e in selector.get("matchExpressions", ())
    )


def label_selector_of(workload: Object) -> Object:
    """Return the label selector of a workload; a replication controller has a map of labels for one."""
    selector: Object = workload["spec"].get("selector", {})
    return {"matchLabels": selector} if workload.get("kind") == "ReplicationController" else selector


def selector_text(selector: Object) -> str:
    """Return a label selector of an object in the grammar of queries, as scales and tables show it."""
    parts = [f"{key}={value}" for key, value in sorted(selector.get("matchLabels", {}).items())]
    for expression in selector.get("matchExpressions", ()):
        key, operator = expression.get("key", ""), expression.get("operator", "")
        if operator in ("Exists", "DoesNotExist"):
            parts.append(key if operator == "Exists" else f"!{key}")
        else:
            parts.append(f"{key} {operator.lower()} ({','.join(sorted(expression.get('values', ())))})")
    return ",".join(parts)


_FIELD_TERM = re.compile(r"((?:[^\\=!,]|\\.)*)(==|!=|=)((?:[^\\,=]|\\.)*)")


def parse_field_selector(text: str, known: tuple[str, ...]) -> tuple[FieldRequirement, ...]:
    """Return the conditions of a field selector whose paths are all among ``known``.

    Raises:
        StatusError: 400, it does not follow the grammar or selects by another field.
    """
    requirements = []
    for term in re.findall(r"(?:[^\\,]|\\.)+", text):
        found = _FIELD_TERM.fullmatch(term)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        path, operator, value = found.groups()
        if path not in known:
            raise bad_request(_unknown_field(path, known))
        requirements.append(FieldRequirement(path, operator != "!=", re.sub(r"\\(.)", r"\1", value)))
    return tuple(requirements)


def _unknown_field(path: str, known: tuple[str, ...]) -> str:
    if len(known) > 2:
        return f"field label not supported: {path}"
    listed = ", ".join(f'"{name}"' for name in known)
    return f'"{path}" is not a known field selector: only {listed}'


_FALSE_WHEN_ABSENT = ("spec.unschedulable", "spec.hostNetwork")


def _field_text(obj: Object, path: str) -> str:
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return "false" if path in _FALSE_WHEN_ABSENT else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def matches_fields(requirements: Iterable[FieldRequirement], obj: Object) -> bool:
    """Return whether an object fulfils every condition; a field that is absent counts as empty."""
    return all((_field_text(obj, one.path) == one.value) == one.equal for one in requirements)
