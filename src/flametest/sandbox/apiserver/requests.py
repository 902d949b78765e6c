"""What a request asks for: pure readers of paths, queries, headers and bodies.

Nothing here touches the store or the network; `flametest.sandbox.apiserver.handlers` puts the parts together.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import orjson

from flametest.sandbox.apiserver.deletion import DeleteOptions, Propagation
from flametest.sandbox.apiserver.failures import (
    bad_request,
    bad_value,
    invalid,
    unknown_path,
    unsupported_media,
    unsupported_value,
)
from flametest.sandbox.apiserver.lifecycle import FieldValidation
from flametest.sandbox.apiserver.outcomes import Selection, WriteOptions
from flametest.sandbox.apiserver.protobuf import MAGIC, MEDIA_TYPE, decode_protobuf
from flametest.sandbox.apiserver.resources import Resource
from flametest.sandbox.apiserver.selectors import parse_field_selector, parse_label_selector
from flametest.sandbox.apiserver.served import Served
from flametest.sandbox.errors import StatusError, gone
from flametest.sandbox.objects import Object
from flametest.sandbox.store import Key

__all__ = [
    "Form",
    "Target",
    "accepted_form",
    "continue_token",
    "delete_options",
    "is_true",
    "number_of",
    "parse_json",
    "parse_object",
    "parse_target",
    "parse_version",
    "parse_yaml",
    "selection",
    "write_options",
]

Query = Mapping[str, str]
Form = Literal["object", "table", "metadata"]

JSON_TYPES = ("application/json", "application/yaml")


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names.

    Attributes:
        resource: the resource.
        namespace: of the path; empty for what has none, None for all namespaces.
        name: of the object; empty for the collection.
        subresource: such as ``status``; empty for none. What follows ``proxy`` in a path is the pod's business.
    """

    resource: Resource
    namespace: str | None
    name: str
    subresource: str


def parse_target(path: str, served: Served) -> Target | None:
    """Return what a path under ``/api`` or ``/apis`` names; None when its group or version is not served.

    Raises:
        StatusError: 404, the group has no such resource or the resource no such subresource.
    """
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        group, parts = "", parts[1:]
    elif parts[0] == "apis" and len(parts) > 1:
        group, parts = parts[1], parts[2:]
    else:
        return None
    if len(parts) < 2 or not served.has_version(group, parts[0]):
        return None
    version, rest = parts[0], parts[1:]
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) > 2 and (group or rest[2] not in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    resource = served.find(group, version, rest[0])
    if len(rest) > 3 and rest[2] == "proxy":
        rest = rest[:3]
    if resource is None or len(rest) > 3 or (namespace is not None) > resource.namespaced:
        raise unknown_path()
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource and subresource not in resource.subresources:
        raise unknown_path()
    if not resource.namespaced:
        namespace = ""
    elif namespace is None and name:
        raise unknown_path()
    return Target(resource, namespace, name, subresource)


def is_true(query: Query, name: str) -> bool:
    """Return whether a flag of the query is set."""
    return query.get(name, "").lower() in ("true", "1")


def number_of(query: Query, name: str) -> int | None:
    """Return a number of the query that is not negative; None where it is absent.

    Raises:
        StatusError: 400, it is no such number.
    """
    text = query.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise bad_request(f"{name}: Invalid value: {orjson.dumps(text).decode()}: a number from 0 is wanted")
    return int(text)


def _is_dry_run(value: str) -> bool:
    if value not in ("", "All"):
        cause = unsupported_value("dryRun", value, ("All",))
        raise invalid("PatchOptions", "meta.k8s.io", "", [cause])
    return value == "All"


def write_options(query: Query, user_agent: str) -> WriteOptions:
    """Return how a write is to be done.

    Raises:
        StatusError: 422, a value is none of those allowed.
    """
    validation: Any = query.get("fieldValidation") or "Warn"
    if validation not in get_args(FieldValidation):
        cause = unsupported_value("fieldValidation", validation, get_args(FieldValidation))
        raise invalid("CreateOptions", "meta.k8s.io", "", [cause])
    manager = query.get("fieldManager") or user_agent.partition("/")[0] or "unknown"
    if len(manager) > 128 or not manager.isprintable():
        cause = bad_value("fieldManager", manager[:140], "must be at most 128 printable characters")
        raise invalid("CreateOptions", "meta.k8s.io", "", [cause])
    return WriteOptions(_is_dry_run(query.get("dryRun", "")), validation, manager)


def delete_options(query: Query, body: Object) -> DeleteOptions:
    """Return how a deletion is to be done: from the body, and from the query where the body is silent.

    Raises:
        StatusError: 400, a value has the wrong type; 422, a policy that does not exist.
    """
    grace = body.get("gracePeriodSeconds")
    if grace is None:
        grace = number_of(query, "gracePeriodSeconds")
    preconditions = body.get("preconditions") or {}
    if type(grace) not in (int, type(None)) or not isinstance(preconditions, dict):
        raise bad_request("DeleteOptions: gracePeriodSeconds is a number, preconditions are an object")
    policy: Any = body.get("propagationPolicy") or query.get("propagationPolicy") or None
    orphan = body.get("orphanDependents")
    if orphan is None and "orphanDependents" in query:
        orphan = is_true(query, "orphanDependents")
    if policy is None and orphan is not None:
        policy = "Orphan" if orphan else "Background"
    if policy not in (*get_args(Propagation), None):
        cause = unsupported_value("propagationPolicy", policy, (*get_args(Propagation), "nil"))
        raise invalid("DeleteOptions", "meta.k8s.io", "", [cause])
    dry_run = body.get("dryRun") or query.get("dryRun", "")
    return DeleteOptions(
        grace_seconds=grace,
        propagation=policy,
        uid=str(preconditions.get("uid") or ""),
        resource_version=str(preconditions.get("resourceVersion") or ""),
        dry_run=_is_dry_run(dry_run[0] if isinstance(dry_run, list) else dry_run),
    )


def continue_token(version: int, key: Key) -> str:
    """Return the token by which the next page starts after a key."""
    content = {"v": "meta.k8s.io/v1", "rv": version, "start": list(key)}
    return base64.urlsafe_b64encode(orjson.dumps(content)).decode().rstrip("=")


def _parse_token(token: str) -> Key:
    try:
        content = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = content["start"]
    except (binascii.Error, ValueError, TypeError, KeyError):
        raise bad_request("continue key is not valid: it has to be the continue token of a list") from None
    return str(namespace), str(name)


def selection(query: Query, resource: Resource) -> Selection:
    """Return which objects of a resource a list or watch is about.

    Raises:
        StatusError: 400, a selector, limit or token is broken.
    """
    token = query.get("continue", "")
    aliases = resource.field_aliases
    fields = parse_field_selector(query.get("fieldSelector", ""), (*resource.fields, *aliases))
    return Selection(
        labels=parse_label_selector(query.get("labelSelector", "")),
        fields=tuple(replace(one, path=aliases.get(one.path, one.path)) for one in fields),
        limit=number_of(query, "limit") or 0,
        after=_parse_token(token) if token else None,
    )


def accepted_form(accept: str) -> Form:
    """Return the first form of an Accept header that is served.

    Raises:
        StatusError: 406, none is.
    """
    for offer in accept.split(",") if accept else ["*/*"]:
        media_type, *parameters = (part.strip() for part in offer.split(";"))
        if media_type not in ("application/json", "*/*", "application/*", "application/yaml"):
            continue
        wanted = dict(part.partition("=")[::2] for part in parameters)
        if wanted.get("as") == "Table":
            return "table"
        if wanted.get("as", "").startswith("PartialObjectMetadata"):
            return "metadata"
        if "as" not in wanted:
            return "object"
    message = "only the following media types are accepted: application/json"
    raise StatusError(406, "NotAcceptable", message)


def parse_json(body: bytes) -> Any:
    """Return the content of a JSON body.

    Raises:
        StatusError: 400.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None


def parse_yaml(body: bytes) -> Any:
    """Return the content of a body that is YAML, of which JSON is a part.

    Raises:
        StatusError: 400.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        import yaml  # noqa: PLC0415 - only bodies in real YAML need it, and kubectl sends JSON

        try:
            return orjson.loads(orjson.dumps(yaml.safe_load(body)))
        except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
            raise bad_request(f"error decoding YAML: {error}") from None


def parse_object(body: bytes, content_type: str) -> Object:
    """Return the object of a POST or PUT.

    Raises:
        StatusError: 400, it is no object; 415, it is in a form that is not read.
    """
    media_type = content_type.partition(";")[0].strip() or "application/json"
    if media_type == MEDIA_TYPE or body.startswith(MAGIC):
        return decode_protobuf(body)
    if media_type not in JSON_TYPES:
        raise unsupported_media(JSON_TYPES)
    content = parse_json(body) if media_type == "application/json" else parse_yaml(body)
    if not isinstance(content, dict):
        raise bad_request("couldn't get version/kind; json parse error: the body has to be an object")
    return content


def parse_version(text: str) -> int | None:
    """Return the resource version a watch starts after; None for the state now ("" and "0").

    Raises:
        StatusError: 400, it is no version; 410 for a version from before this cluster.
    """
    if text in ("", "0"):
        return None
    if not text.isascii() or not text.isdecimal():
        raise bad_request(f"Invalid value: {orjson.dumps(text).decode()}: a resource version is a number")
    if len(text) > 18:
        raise gone(f"too large resource version: {text}")
    return int(text)
