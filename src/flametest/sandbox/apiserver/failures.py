"""Failures of requests, worded as the Kubernetes API words them.

Every part of the API server raises these; `flametest.sandbox.errors` holds those that controllers meet too. A `Cause`
is one fault of one field; `invalid` gathers causes into the 422 that kubectl prints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from flametest.sandbox.errors import StatusError

__all__ = [
    "Cause",
    "bad_request",
    "bad_value",
    "duplicate",
    "forbidden",
    "forbidden_value",
    "invalid",
    "method_not_allowed",
    "missing_value",
    "required",
    "too_large",
    "too_many_requests",
    "unauthorized",
    "unknown_path",
    "unsupported_media",
    "unsupported_value",
]


@dataclass(frozen=True, slots=True)
class Cause:
    """One fault of one field, as in the details of a Status: path, machine-readable reason, message."""

    field: str
    reason: str
    message: str


def _shown(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def required(field: str, detail: str = "") -> Cause:
    """Return the cause for a field that has to be set."""
    return Cause(field, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value")


def bad_value(field: str, value: Any, detail: str) -> Cause:
    """Return the cause for a value that breaks a rule, which ``detail`` states."""
    return Cause(field, "FieldValueInvalid", f"Invalid value: {_shown(value)}: {detail}")


def duplicate(field: str, value: Any) -> Cause:
    """Return the cause for a value that may be there once only."""
    return Cause(field, "FieldValueDuplicate", f"Duplicate value: {_shown(value)}")


def missing_value(field: str, value: Any) -> Cause:
    """Return the cause for a reference to what is not there."""
    return Cause(field, "FieldValueNotFound", f"Not found: {_shown(value)}")


def unsupported_value(field: str, value: Any, supported: Sequence[str]) -> Cause:
    """Return the cause for a value outside its enumeration."""
    listed = ", ".join(_shown(item) for item in sorted(supported))
    return Cause(field, "FieldValueNotSupported", f"Unsupported value: {_shown(value)}: supported values: {listed}")


def forbidden_value(field: str, detail: str) -> Cause:
    """Return the cause for a field that may not be set, or not be changed."""
    return Cause(field, "FieldValueForbidden", f"Forbidden: {detail}")


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> StatusError:
    """Return the 422 for an object of a kind with at least one cause."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    qualified = f"{kind}.{group}" if group else kind
    details: dict[str, Any] = {"name": name} if name else {}
    if group:
        details["group"] = group
    details["kind"] = kind
    details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return StatusError(422, "Invalid", f'{qualified} "{name}" is invalid: {listed}', details)


def bad_request(message: str) -> StatusError:
    """Return the 400 for a request that cannot be understood."""
    return StatusError(400, "BadRequest", message)


def forbidden(message: str, details: dict[str, Any] | None = None) -> StatusError:
    """Return the 403 for what is understood but not allowed."""
    return StatusError(403, "Forbidden", message, details)


def unauthorized() -> StatusError:
    """Return the 401 for a token that is not ours."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def unknown_path() -> StatusError:
    """Return the 404 for a resource that is not served."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> StatusError:
    """Return the 405 for a verb that the resource does not have."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, {})


def unsupported_media(supported: Sequence[str]) -> StatusError:
    """Return the 415 for a body in a form that is not read."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(supported)}"
    return StatusError(415, "UnsupportedMediaType", message)


def too_large(limit_bytes: int) -> StatusError:
    """Return the 413 for a body over the limit."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit_bytes}")


def too_many_requests(message: str, causes: list[dict[str, Any]], retry_seconds: int = 0) -> StatusError:
    """Return the 429 that refuses an eviction for now; with ``retry_seconds`` clients try again by themselves."""
    details: dict[str, Any] = {"causes": causes}
    if retry_seconds:
        details["retryAfterSeconds"] = retry_seconds
    return StatusError(429, "TooManyRequests", message, details)
