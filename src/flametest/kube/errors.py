"""What can go wrong between Flametest and a Kubernetes API.

KubeError                the root; all have a message and a remedy
├── ContextError         kubeconfig or context cannot be used
│   └── CredentialsError its credentials cannot be had: a program that hangs, a token file that is gone
├── ApiUnreachableError  no answer: refused, timed out, broken TLS
├── ApiRejectedError     the API answered with an error
│   ├── NotFoundError    404
│   ├── ConflictError    409
│   └── GoneError        410: a resource version that is too old to watch from
└── NotReadyError        something was not ready in time
"""

import json

from flametest.model.errors import FlametestError

__all__ = [
    "ApiRejectedError",
    "ApiUnreachableError",
    "ConflictError",
    "ContextError",
    "CredentialsError",
    "GoneError",
    "KubeError",
    "NotFoundError",
    "NotReadyError",
    "rejection",
]


class KubeError(FlametestError):
    """The root of what this room raises."""


class ContextError(KubeError):
    """A kubeconfig or a context that cannot be used."""


class CredentialsError(ContextError):
    """Credentials of a context that cannot be had, now; nothing was asked of the cluster."""


class ApiUnreachableError(KubeError):
    """The API server gave no answer."""


class ApiRejectedError(KubeError):
    """The API server answered with an error.

    Attributes:
        code: the HTTP status.
        reason: the API's machine-readable reason, such as ``Invalid``; empty when it gave none.
        told: the API's own message, which is a part of this one's.
        subject: the name of the object that the API's answer is about; empty when it named none.
    """

    def __init__(
        self, message: str, remedy: str = "", *, code: int, reason: str = "", told: str = "", subject: str = ""
    ) -> None:
        super().__init__(message, remedy)
        self.code = code
        self.reason = reason
        self.told = told or message
        self.subject = subject


class NotFoundError(ApiRejectedError):
    """The object, or the kind of object, does not exist."""

    def is_absence_of(self, name: str) -> bool:
        """Return whether the API itself says that there is no object of this name.

        A proxy before it, or a path that it does not serve, answers with 404 as well, and says nothing of the object.
        """
        return self.reason == "NotFound" and self.subject == name


class ConflictError(ApiRejectedError):
    """The object exists already, or was changed meanwhile."""


class GoneError(ApiRejectedError):
    """The resource version is too old to be watched from."""


class NotReadyError(KubeError):
    """Something was not ready in time; the message says what, and why as far as the API knows."""


_BY_CODE: dict[int, type[ApiRejectedError]] = {404: NotFoundError, 409: ConflictError, 410: GoneError}
_REMEDIES = {
    401: "the credentials of the context are not accepted: get fresh ones",
    403: "the context's user lacks this right: grant it, or use another context",
}


def rejection(code: int, body: bytes, action: str) -> ApiRejectedError:
    """Return the error for an answer with an error status.

    Args:
        code: the HTTP status.
        body: the answer's body, usually a ``Status`` object.
        action: what was asked, such as ``GET /api/v1/pods``.
    """
    message, reason, subject = " ".join(body.decode(errors="replace").split())[:300], "", ""
    try:
        status = json.loads(body)
        message, reason = str(status["message"]), str(status.get("reason", ""))
        subject = str((status.get("details") or {}).get("name", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        pass  # Proxies before an API server answer with text of their own, which is then the message.
    kind = _BY_CODE.get(code, ApiRejectedError)
    # Authorization says what the user cannot do; admission, which answers with the same status, what the object lacks.
    # Nothing is admitted by reading.
    is_read = action.startswith("GET ")
    is_object = code == 403 and reason == "Forbidden" and " cannot " not in message and not is_read
    remedy = "fix what the message names" if is_object else _REMEDIES.get(code, "")
    text = f"{action} was answered with {code}: {message}"
    return kind(text, remedy, code=code, reason=reason, told=message, subject=subject)
