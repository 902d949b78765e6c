"""What an OpenAPI document says of the requests that a service answers, as far as a ledger of writes needs it. Pure.

Versions 3.x: https://spec.openapis.org/oas/latest.html. What is not understood is left out; a document comes from
somebody else's service, and may hold anything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Operation", "operations_of"]

Schema = Mapping[str, Any]

_METHODS = ("get", "post")
_DEPTH_MAX = 6  # of schemas in one another; deeper ones are taken for any value
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """A request that a service answers. Schemas are JSON Schemas without references; an empty one allows anything.

    Attributes:
        method: GET or POST.
        path: with parameters in braces, such as ``/orders/{id}``.
        place: where it is described, for people.
        status: the status that says that it worked.
        answer: of the answer's body.
        body: of the request's JSON body; None where it takes none.
        parameters: of the parameters in the path, by name.
        headers: of the headers, by name.
        queries: names of the parameters of its query.
        is_plain: whether it can be sent without anything else, such as a query that it demands or another body.
    """

    method: str
    path: str
    place: str
    status: int = 200
    answer: Schema = field(default_factory=dict)
    body: Schema | None = None
    parameters: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, Schema] = field(default_factory=dict)
    queries: tuple[str, ...] = ()
    is_plain: bool = True


def operations_of(document: Any, place: str) -> tuple[Operation, ...]:
    """Return the GET and POST operations of a document; none where it is no OpenAPI document of version 3."""
    if not isinstance(document, Mapping) or not str(document.get("openapi", "")).startswith("3."):
        return ()
    resolve = _Resolver(document)
    prefix = _prefix(document)
    found = []
    for path, item in _mapping(document.get("paths")).items():
        for method in _METHODS:
            described = _mapping(item).get(method)
            if isinstance(described, Mapping) and str(path).startswith("/"):
                shared = _list(_mapping(item).get("parameters"))
                own = [*shared, *_list(described.get("parameters"))]
                head = Operation(method.upper(), f"{prefix}{path}", place)
                found.append(_filled(head, {**described, "parameters": own}, resolve))
    return tuple(found)


def _filled(head: Operation, described: Mapping[str, Any], resolve: "_Resolver") -> Operation:
    """Return an operation, of which method, path and place are known, with all that is described of it."""
    parameters = [resolve.target(one) for one in described["parameters"]]
    by_kind: dict[str, dict[str, Schema]] = {"path": {}, "header": {}, "query": {}, "cookie": {}}
    for one in parameters:
        if isinstance(one.get("name"), str) and one.get("in") in by_kind:
            by_kind[one["in"]][one["name"]] = resolve.schema(one.get("schema"))
    demands = {one.get("in") for one in parameters if one.get("required") is True}
    body = resolve.target(described.get("requestBody"))
    content = _mapping(body.get("content"))
    status, answer = _success(resolve, described)
    return replace(
        head,
        status=status,
        answer=answer,
        body=resolve.schema(_mapping(content[_JSON]).get("schema")) if _JSON in content else None,
        parameters=by_kind["path"],
        headers=by_kind["header"],
        queries=tuple(by_kind["query"]),
        is_plain=not demands & {"query", "cookie"} and (_JSON in content or body.get("required") is not True),
    )


def _success(resolve: "_Resolver", described: Mapping[str, Any]) -> tuple[int, Schema]:
    """Return the first status of success that an operation names, and the schema of its answer."""
    responses = {str(status): one for status, one in _mapping(described.get("responses")).items()}
    for status in sorted(responses):
        if status.isdecimal() and status.isascii() and 200 <= int(status) < 300:
            response = resolve.target(responses[status])
            content = _mapping(_mapping(response.get("content")).get(_JSON))
            return int(status), resolve.schema(content.get("schema"))
    return 200, {}


def _prefix(document: Mapping[str, Any]) -> str:
    """Return the path of the first server, below which all paths are."""
    for server in _list(document.get("servers")):
        url = str(_mapping(server).get("url", ""))
        return "" if "{" in url else urlsplit(url).path.rstrip("/")
    return ""


class _Resolver:
    """Replaces references within one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def target(self, value: object) -> Mapping[str, Any]:
        """Return an object, or what its reference leads to; an empty one where that is none."""
        for _ in range(_DEPTH_MAX):
            found = _mapping(value)
            reference = found.get("$ref")
            if not isinstance(reference, str):
                return found
            value = self._at(reference)
        return {}

    def schema(self, value: object, depth: int = 0) -> Schema:
        """Return a schema without references; what ``allOf`` joins is one, of ``anyOf`` the first that is not null."""
        found = dict(self.target(value))
        if depth >= _DEPTH_MAX:
            return {}
        for one in _list(found.pop("allOf", None)):
            found = _joined(self.schema(one, depth + 1), found)
        for name in ("anyOf", "oneOf"):
            choices = [self.schema(one, depth + 1) for one in _list(found.pop(name, None))]
            found = {**next((one for one in choices if one.get("type") != "null"), {}), **found}
        properties = _mapping(found.get("properties"))
        if properties:
            found["properties"] = {str(name): self.schema(one, depth + 1) for name, one in properties.items()}
        else:
            found.pop("properties", None)
        if "items" in found:
            found["items"] = self.schema(found["items"], depth + 1)
        return found

    def _at(self, reference: str) -> object:
        value: object = self._document
        for word in _words(reference):
            value = _mapping(value).get(word)
        return value


def _joined(first: Schema, second: Schema) -> dict[str, Any]:
    both: dict[str, Any] = {**first, **second}
    properties = _mapping(first.get("properties")) | _mapping(second.get("properties"))
    required = [*_list(first.get("required")), *_list(second.get("required"))]
    return both | ({"properties": properties} if properties else {}) | ({"required": required} if required else {})


def _words(reference: str) -> Iterator[str]:
    """Yield the words of a JSON pointer within the document (RFC 6901); none that leads anywhere for another one."""
    if not reference.startswith("#/"):
        yield "$ref"
        return
    for word in reference[2:].split("/"):
        yield word.replace("~1", "/").replace("~0", "~")


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
