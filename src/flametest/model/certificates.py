"""What is wrong with a TLS connection, in words: what OpenSSL's error says of a certificate, and what to do about it.

Libraries wrap the error of the handshake several times, so that it is looked for along the chain of causes.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Problem", "tls_problem"]

# https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_EXPIRED, _NOT_YET = 10, 9
_SELF_SIGNED = (18, 19)
_UNKNOWN_ISSUER = (2, 20, 21)
_WRONG_NAME = (62, 64)

_CLIENT_ALERTS = {
    "CERTIFICATE_EXPIRED": "it says that the client certificate has expired",
    "BAD_CERTIFICATE": "it does not accept the client certificate",
    "CERTIFICATE_REQUIRED": "it asks for a client certificate, and there is none",
    "CERTIFICATE_UNKNOWN": "it does not accept the client certificate",
    "UNKNOWN_CA": "it does not know the authority that signed the client certificate",
    "HANDSHAKE_FAILURE": "it breaks off the TLS handshake, which may be for want of a client certificate",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong.

    Attributes:
        told: a clause such as ``its certificate has expired``, whose subject is the server.
        kind: ``authority``, ``name``, ``date``, ``client`` or ``protocol``.
    """

    told: str
    kind: str


def tls_problem(error: BaseException) -> Problem | None:
    """Return what is wrong with the TLS connection that ended with ``error``; None when TLS is not the reason."""
    for one in _chain(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return _of_certificate(one)
        if isinstance(one, ssl.SSLError):
            return _of_handshake(one)
    return None


def _of_certificate(error: ssl.SSLCertVerificationError) -> Problem:
    code = getattr(error, "verify_code", 0)
    said = getattr(error, "verify_message", "") or str(error)
    if code == _EXPIRED:
        return Problem("its certificate has expired", "date")
    if code == _NOT_YET:
        return Problem("its certificate is not valid yet", "date")
    if code in _SELF_SIGNED:
        return Problem("its certificate is self-signed, by an authority that is not trusted here", "authority")
    if code in _UNKNOWN_ISSUER:
        return Problem("its certificate is signed by an authority that is not known here", "authority")
    if code in _WRONG_NAME or "doesn't match" in said or "not valid for" in said:
        return Problem(f"its certificate is for another host name ({said.rstrip('.')})", "name")
    return Problem(f"its certificate cannot be verified ({said.rstrip('.')})", "authority")


def _of_handshake(error: ssl.SSLError) -> Problem | None:
    reason = (error.reason or str(error)).upper().replace(" ", "_")
    for alert, told in _CLIENT_ALERTS.items():
        if alert in reason:
            return Problem(told, "client")
    if "WRONG_VERSION_NUMBER" in reason or "HTTP_REQUEST" in reason or "RECORD_LAYER" in reason:
        return Problem("it does not speak TLS on that port", "protocol")
    if "TIMED_OUT" in reason or "EOF" in reason:
        return None
    return Problem(f"the TLS handshake failed ({' '.join(str(error).split())})", "protocol")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it wraps, each once."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [getattr(one, "reason", None), one.__cause__, one.__context__, *one.args]
