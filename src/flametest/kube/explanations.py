"""Why an API server gave no answer, or accepted nobody, in words, and what to do about it."""

import re
import time
from datetime import UTC, datetime

from flametest.kube.connection import Connection
from flametest.kube.errors import ApiRejectedError, ApiUnreachableError
from flametest.model.certificates import tls_problem
from flametest.model.proxies import without_secret

__all__ = ["refused", "unreachable"]

_UNAUTHORIZED = 401
_CLASS = re.compile(r"^\w+\(host='[^']*', port=\d+\): ")
_RENEW = "have it renewed, and put it into the kubeconfig"
_REMEDIES = {
    "authority": "have certificate-authority-data of its cluster in the kubeconfig name the authority that signed it",
    "name": "use a server address that the certificate names, or name one as tls-server-name in the kubeconfig",
    "date": "have the certificate renewed, and see that this machine's clock is right",
    "client": "get fresh credentials for the context",
    "protocol": "fix the server's address in the kubeconfig",
}


def unreachable(connection: Connection, error: Exception) -> ApiUnreachableError:
    """Return the error for a request that nobody answered."""
    who = f"the API of context {connection.context!r} at {connection.server}"
    problem = tls_problem(error)
    if problem is not None and problem.kind != "client":
        return ApiUnreachableError(f"{who} cannot be trusted: {problem.told}", _REMEDIES[problem.kind])
    reason = problem.told if problem else _plain(error)
    expired = _expired(connection)
    if expired or problem:
        told = expired or f"it refuses the connection: {reason}"
        return ApiUnreachableError(f"{who} does not answer: {told}", _RENEW if expired else _REMEDIES["client"])
    if connection.proxy:
        proxy = without_secret(connection.proxy)
        return ApiUnreachableError(
            f"{who} cannot be reached through the proxy {proxy}: {reason}",
            "is that the right proxy? proxy-url of the cluster in the kubeconfig names it, else HTTPS_PROXY; NO_PROXY "
            "excepts servers from the latter",
        )
    return ApiUnreachableError(
        f"{who} does not answer: {reason}", "is the cluster running? check with `flametest status`"
    )


def _plain(error: Exception) -> str:
    """Return the reason that a library gives, in a line and without the name of its class that gives it."""
    return _CLASS.sub("", " ".join(str(getattr(error, "reason", None) or error).split()))


def refused(connection: Connection, error: ApiRejectedError) -> ApiRejectedError:
    """Return an error status with what is known here of its reason: a client certificate that has expired."""
    expired = _expired(connection) if error.code == _UNAUTHORIZED else ""
    if expired:
        error.message, error.remedy = f"{error.message}; {expired}", _RENEW
        error.args = (error.message,)
    return error


def _expired(connection: Connection) -> str:
    """Return since when the client certificate is over, in words; empty when it is not, or there is none."""
    expiry = connection.credentials.expiry()
    if expiry is None or expiry > time.time():
        return ""
    when = datetime.fromtimestamp(expiry, UTC)
    return f"the client certificate of context {connection.context!r} expired on {when:%Y-%m-%d %H:%M} UTC"
