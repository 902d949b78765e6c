"""Who asks, and in whose name: the headers and the client certificate that a user's entry of a kubeconfig stands for.

Of several credentials kubectl's order decides: a token (from a file before one in the entry), a credential program, an
``auth-provider``, a name with a password; a client certificate goes beside any. A token's file is read for each
request, since a kubelet, or whoever renews it, puts a new one there at any time.
"""

import base64
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flametest.kube.entryfields import data_of, malformed, object_of, text_of, texts_of
from flametest.kube.errors import ContextError, CredentialsError
from flametest.kube.kubeconfigs import ContextEntry
from flametest.kube.programs import Given, program_of

__all__ = ["Credentials", "Proof", "impersonation"]

_TOKEN = re.compile(r"[\x20-\x7e]+\Z")
_EXTRA_KEY = "!#$&'*+-.^_`|~"  # what a header's name may hold beside letters and digits, RFC 9110 5.6.2


@dataclass(frozen=True, slots=True)
class Proof:
    """Credentials for one request.

    Attributes:
        authorization: the header; empty for none.
        printed: the client certificate and its key that a credential program printed; None without one.
        given: all that it printed; None where there is no program.
    """

    authorization: str = field(repr=False)
    printed: tuple[bytes, bytes] | None = field(repr=False)
    given: Given | None


class Credentials:
    """The credentials of one context's user; safe to share between threads.

    Args:
        entry: the context.
        program_seconds: how long its credential program may take.

    Raises:
        ContextError: the user's entry cannot be understood, or a file that it names cannot be read.
    """

    def __init__(self, entry: ContextEntry, program_seconds: float) -> None:
        name, user = entry.name, entry.user
        self._context = name
        self._program_seconds = program_seconds
        self._token_file = text_of(name, user, "tokenFile")
        self._token = text_of(name, user, "token").strip()
        named, password = text_of(name, user, "username"), text_of(name, user, "password")
        self._basic = f"{named}:{password}" if named else ""
        has_token = bool(self._token_file or self._token)
        self._program = None if has_token else program_of(name, user, entry.cluster)
        if not has_token and self._program is None:
            self._token = _provider_token(name, user)
        self._user = user

    @property
    def asks_a_program(self) -> bool:
        """Return whether a credential program says who asks."""
        return self._program is not None

    def now(self) -> Proof:
        """Return the credentials for a request that is sent now.

        Raises:
            CredentialsError: a token file cannot be read, or a credential program gives nothing.
        """
        if self._program is None:
            token = _read_token(self._context, Path(self._token_file)) if self._token_file else self._token
            return Proof(self._header(token), None, None)
        given = self._program.given(self._program_seconds)
        pair = (given.certificate, given.key) if given.certificate else None
        return Proof(self._header(given.token), pair, given)

    def certificate(self, proof: Proof) -> tuple[bytes, bytes]:
        """Return the client certificate and its key in PEM, as their files are now; both empty for none.

        Raises:
            ContextError: a file of theirs cannot be read.
        """
        return proof.printed or (
            data_of(self._context, self._user, "client-certificate"),
            data_of(self._context, self._user, "client-key"),
        )

    def renew(self, refused: Proof) -> Proof | None:
        """Return newer credentials than ``refused``, which were answered with 401; None when there are none.

        Raises:
            CredentialsError: a token file cannot be read, or a credential program gives nothing.
        """
        if self._program is not None and refused.given is not None:
            self._program.forget(refused.given)
            return self.now()
        newer = self.now() if self._token_file else refused
        return newer if newer.authorization != refused.authorization else None

    def _header(self, token: str) -> str:
        if token and not _TOKEN.match(token):
            raise CredentialsError(f"context {self._context!r}: its token holds what no header can", "get a fresh one")
        if token:
            return f"Bearer {token}"
        return f"Basic {base64.b64encode(self._basic.encode()).decode()}" if self._basic else ""

    def expiry(self) -> float | None:
        """Return when the client certificate expires, in seconds since 1970; None without one that can be read."""
        from cryptography import x509  # noqa: PLC0415 (only to explain a refusal)

        try:
            pair = self.certificate(self.now())
            return x509.load_pem_x509_certificate(pair[0]).not_valid_after_utc.timestamp()
        except (ValueError, ContextError):
            return None


def impersonation(entry: ContextEntry) -> tuple[tuple[str, str], ...]:
    """Return the headers by which requests act as another user: those of ``as`` and its siblings.

    See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation.

    Raises:
        ContextError: they cannot be understood, or name no user.
    """
    name, user = entry.name, entry.user
    acting, uid = text_of(name, user, "as"), text_of(name, user, "as-uid")
    groups, extra = texts_of(name, user, "as-groups"), object_of(name, user, "as-user-extra") or {}
    if not acting and (uid or groups or extra):
        raise ContextError(
            f"context {name!r} acts with the groups, the uid or the extra fields of another user, and names none",
            'add "as" to its user in the kubeconfig',
        )
    found = [("Impersonate-User", acting)] if acting else []
    found += [("Impersonate-Uid", uid)] if uid else []
    found += [("Impersonate-Group", group) for group in groups]
    for key in extra:
        header = f"Impersonate-Extra-{quote(str(key).lower(), safe=_EXTRA_KEY)}"
        found += [(header, value) for value in texts_of(name, extra, key)]
    return tuple((header, _header_value(name, header, value)) for header, value in found)


def _header_value(context: str, header: str, value: str) -> str:
    if not value or value != value.strip() or any(one < " " or one == "\x7f" for one in value):
        raise malformed(context, f"what becomes the header {header}", "a text that a header can hold")
    # Headers are bytes; libraries send each character as one, and servers read them as UTF-8.
    return value.encode().decode("latin-1")


def _read_token(context: str, path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or "it holds no text"
        raise CredentialsError(
            f"context {context!r}: its token file {path} cannot be read: {told}", "renew it, or fix the kubeconfig"
        ) from error
    if not token:
        raise CredentialsError(f"context {context!r}: its token file {path} is empty", "renew it")
    return token


def _provider_token(context: str, user: Mapping[str, Any]) -> str:
    """Return the token of an ``auth-provider``, which kubectl has given up but for OpenID Connect.

    Raises:
        ContextError: it is of another kind, or its token has expired.
    """
    provider = object_of(context, user, "auth-provider")
    if provider is None:
        return ""
    kind = text_of(context, provider, "name")
    if kind != "oidc":
        raise ContextError(
            f"context {context!r} has its credentials by the auth-provider {kind!r}, which kubectl knows no more",
            "use a credential program instead, such as gke-gcloud-auth-plugin or kubelogin",
        )
    token = text_of(context, object_of(context, provider, "config") or {}, "id-token")
    if not token or _has_expired(token):
        raise CredentialsError(
            f"context {context!r}: the id-token of its auth-provider oidc {'has expired' if token else 'is missing'}",
            "renew it by any command of kubectl, or use the credential program kubelogin",
        )
    return token


def _has_expired(token: str) -> bool:
    """Return whether a JSON Web Token says that it is over; one that cannot be read is the server's to judge."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        return float(claims["exp"]) <= time.time()
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return False
