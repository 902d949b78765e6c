"""Errors of the sandbox, as the API's `Status` objects.

StatusError        anything the API answers with a Status: code, reason, message, details
SandboxError       the sandbox itself cannot do its work: a missing tool, a taken port; has a remedy
"""

from typing import Any

__all__ = ["SandboxError", "StatusError", "already_exists", "conflict", "gone", "not_found"]


class SandboxError(Exception):
    """The sandbox cannot start or go on; ``remedy`` says what the user can do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class StatusError(Exception):
    """A failure that the API answers with a `Status` object.

    Attributes:
        code: HTTP status.
        reason: the API's machine-readable reason, such as ``NotFound``.
        message: for people.
        details: the Status' details; None for none.
    """

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def to_object(self) -> dict[str, Any]:
        """Return the Status object."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if not self.reason:
            del status["reason"]
        if self.details is not None:
            status["details"] = self.details
        return status


def _named(resource: str, name: str) -> str:
    plural, _, group = resource.partition(".")
    return f'{plural}.{group} "{name}"' if group else f'{plural} "{name}"'


def _details(resource: str, name: str) -> dict[str, Any]:
    plural, _, group = resource.partition(".")
    details = {"name": name, "kind": plural}
    if group:
        details["group"] = group
    return details


def not_found(resource: str, name: str) -> StatusError:
    """Return the 404 for an object of ``resource`` (plural, then ``.group`` if it has one)."""
    return StatusError(404, "NotFound", f"{_named(resource, name)} not found", _details(resource, name))


def already_exists(resource: str, name: str) -> StatusError:
    """Return the 409 for a name that is taken."""
    return StatusError(409, "AlreadyExists", f"{_named(resource, name)} already exists", _details(resource, name))


def conflict(resource: str, name: str, message: str) -> StatusError:
    """Return the 409 for a stale resource version or a precondition that does not hold."""
    text = f"Operation cannot be fulfilled on {_named(resource, name)}: {message}"
    return StatusError(409, "Conflict", text, _details(resource, name))


def gone(message: str) -> StatusError:
    """Return the 410 for a resource version that is too old to be watched from."""
    return StatusError(410, "Expired", message)
