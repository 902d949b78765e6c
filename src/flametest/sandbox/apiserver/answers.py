"""The answers of the server as HTTP responses: objects, lists, tables, failures. Stored bytes go out as they are."""

from collections.abc import Iterable
from typing import Any

import orjson
from aiohttp import web

from flametest.sandbox.apiserver.outcomes import Listing
from flametest.sandbox.apiserver.requests import continue_token
from flametest.sandbox.apiserver.resources import Resource
from flametest.sandbox.apiserver.warnings import header_value
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object

__all__ = ["answer", "answer_bytes", "failure", "list_bytes", "list_metadata", "success", "text"]


def answer_bytes(data: bytes, status: int = 200, warnings: Iterable[str] = ()) -> web.Response:
    """Return a response with a JSON body."""
    response = web.Response(body=data, status=status, content_type="application/json")
    for warning in warnings:
        response.headers.add("Warning", header_value(warning))
    return response


def answer(content: Any, status: int = 200, warnings: Iterable[str] = ()) -> web.Response:
    """Return a response with an object as its body."""
    return answer_bytes(orjson.dumps(content), status, warnings)


def text(content: str, status: int = 200) -> web.Response:
    """Return a plain text."""
    return web.Response(text=content, status=status, content_type="text/plain")


def failure(error: StatusError) -> web.Response:
    """Return the response of a failure."""
    response = answer(error.to_object(), error.code)
    if seconds := (error.details or {}).get("retryAfterSeconds"):
        response.headers["Retry-After"] = str(seconds)
    return response


def success(details: Object | None = None, status: int = 200) -> web.Response:
    """Return a Status that tells of a success; a status other than 200 is shown in it as well."""
    content: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details is not None:
        content["details"] = details
    if status != 200:
        content["code"] = status
    return answer(content, status)


def list_metadata(listing: Listing) -> Object:
    """Return the metadata of a list: its version, and the token of the next page if there is one."""
    metadata: Object = {"resourceVersion": str(listing.version)}
    if listing.last_key is not None:
        metadata["continue"] = continue_token(listing.version, listing.last_key)
    return metadata


def list_bytes(resource: Resource, listing: Listing) -> bytes:
    """Return the JSON of a list."""
    head = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": list_metadata(listing)}
    shown = [resource.shown(record.data) for record in listing.records]
    if resource.custom is not None:
        return b"".join((orjson.dumps(head)[:-1], b',"items":[', b",".join(shown), b"]}"))
    # Items come without kind and apiVersion, which stored bytes begin with, so that a list is a join of bytes.
    begin = len(f'{{"kind":"{resource.kind}","apiVersion":"{resource.api_version}",')
    items = b",{".join([data[begin:] for data in shown])
    return b"".join((orjson.dumps(head)[:-1], b',"items":[', b"{" if listing.records else b"", items, b"]}"))
