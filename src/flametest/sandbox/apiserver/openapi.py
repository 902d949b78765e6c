"""The OpenAPI documents: enough for ``kubectl apply`` to have the server validate, and for ``kubectl explain``.

kubectl 1.29 and later looks in the document of a group for the PATCH of a kind: with a query parameter
``fieldValidation`` it leaves validation to the server, and where strategic merge patches are taken it works out its
patches by the hints of the schemas. These come from the slice and have no descriptions.
"""

import orjson

from flametest.sandbox.apiserver.discovery import VERSION, group_versions
from flametest.sandbox.apiserver.patching import patch_types
from flametest.sandbox.apiserver.resources import Resource
from flametest.sandbox.apiserver.schema import FieldType, ObjectType, object_type
from flametest.sandbox.apiserver.served import Served
from flametest.sandbox.objects import Object

__all__ = ["VERSION_2_TYPE", "document", "index", "version_2"]

VERSION_2_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""The media type in which kubectl asks for the document of OpenAPI version 2."""

_SCALARS: dict[str, Object] = {
    "string": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
    "boolean": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "number": {"type": "number"},
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "intstr": {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    "any": {"type": "object"},
    "tree": {"type": "object"},
}


def _path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def index(served: Served) -> Object:
    """Return the answer of ``/openapi/v3``: where the document of each group and version is."""
    paths = {}
    for group, version in group_versions(served):
        path = _path(group, version)
        # Clients keep a document for as long as its address is the same.
        revisions = [r.custom.revision for r in _described(served, group, version) if r.custom is not None]
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={'-'.join((VERSION, *revisions))}"}
    return {"paths": paths}


def _described(served: Served, group: str, version: str) -> list[Resource]:
    return [r for r in served.resources if (r.group, r.version) == (group, version) and not r.is_read_only]


def version_2() -> bytes:
    """Return the answer of ``/openapi/v2`` as protobuf: a document without any kind.

    Old kubectl, and any kubectl that applies a List, looks there for schemas to check objects by before it sends them;
    what it finds no schema for it leaves to the server. The message is gnostic's ``Document``: its version of
    Swagger (1), and its info (2) with title (1) and version (2).
    """

    def field(number: int, content: bytes) -> bytes:
        return bytes((number << 3 | 2, len(content))) + content

    return field(1, b"2.0") + field(2, field(1, b"Kubernetes") + field(2, VERSION.encode()))


def _operation(resource: Resource, action: str) -> Object:
    kind = _kind(resource)
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    body_types = patch_types(resource) if action == "patch" else ("application/json",)
    return {
        "requestBody": {"content": {media_type: {"schema": {"type": "object"}} for media_type in body_types}},
        "operationId": f"{action}{kind['kind']}",
        "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind,
    }


def _kind(resource: Resource) -> Object:
    return {"group": resource.group, "kind": resource.kind, "version": resource.version}


def _schema_name(name: str) -> str:
    if name.startswith("io.k8s."):
        return name
    prefix = "io.k8s.apimachinery.pkg." if name.startswith("apis.") else "io.k8s.api."
    return prefix + name


def _schema_of(field: FieldType, pending: list[str]) -> Object:
    if field.kind == "object":
        pending.append(field.type_name)
        return {"allOf": [{"$ref": f"#/components/schemas/{_schema_name(field.type_name)}"}]}
    if field.element is not None:
        element = _schema_of(field.element, pending)
        if field.kind == "list":
            return {"type": "array", "items": element, **_merge_hints(field)}
        return {"type": "object", "additionalProperties": element}
    return _SCALARS[field.kind]


def _merge_hints(field: FieldType) -> Object:
    """Return how a strategic merge patch treats a list, by which kubectl works out its patches."""
    hints: Object = {}
    if field.merge_key:
        hints["x-kubernetes-patch-merge-key"] = field.merge_key
    if field.strategies:
        hints["x-kubernetes-patch-strategy"] = ",".join(field.strategies)
    return hints


def _type_schema(of: ObjectType, pending: list[str]) -> Object:
    properties = {name: _schema_of(field, pending) for name, field in of.fields.items()}
    schema: Object = {"type": "object", "properties": properties}
    if of.required:
        schema["required"] = sorted(of.required)
    return schema


def _schemas(resources: list[Resource]) -> Object:
    schemas: Object = {}
    pending: list[str] = []
    for resource in resources:
        of = resource.type
        schema = {**_type_schema(of, pending), "x-kubernetes-group-version-kind": [_kind(resource)]}
        if resource.custom is None:
            schemas[_schema_name(of.name)] = schema
            continue
        declared = resource.custom.schema
        properties = {**declared.get("properties", {}), **schema["properties"]}
        name = ".".join((*reversed(resource.group.split(".")), resource.version, resource.kind))
        schemas[name] = {**declared, **schema, "properties": properties}
    while pending:
        name = pending.pop()
        if _schema_name(name) not in schemas:
            schemas[_schema_name(name)] = {}
            schemas[_schema_name(name)] = _type_schema(object_type(name), pending)
    return schemas


def document(served: Served, group: str, version: str) -> bytes | None:
    """Return the JSON of the document of a group and version; None for what is not served."""
    if (group, version) not in group_versions(served):
        return None
    resources = _described(served, group, version)
    paths: Object = {}
    for resource in resources:
        scope = "namespaces/{namespace}/" if resource.namespaced else ""
        path = f"/{_path(group, version)}/{scope}{resource.plural}/{{name}}"
        paths[path] = {action: _operation(resource, action) for action in ("patch", "put")}
    return orjson.dumps(
        {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": VERSION},
            "paths": paths,
            "components": {"schemas": _schemas(resources)},
        }
    )
