"""Tokens of service accounts: issued for pods and on request, read by the API server. Nothing of them is stored.

They are JSON Web Tokens as Kubernetes issues them (RFC 7519; HS256 with a key of this sandbox alone, where Kubernetes
signs with a private one), so that whatever decodes the claims of a real one decodes these. Standard library only.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["ISSUER", "LIFE_SECONDS", "ServiceAccountTokens", "TokenOwner"]

LIFE_SECONDS = 366 * 24 * 3600
"""Of a token in a pod: longer than a sandbox lives, so that none need be renewed."""

ISSUER = "https://kubernetes.default.svc.cluster.local"
_HEADER = {"alg": "HS256", "typ": "JWT"}


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """The service account that a token is of; ``uid`` tells it from a later one of the same name."""

    namespace: str
    name: str
    uid: str


class ServiceAccountTokens:
    """Issues and reads the tokens of one sandbox.

    Args:
        secret: what nobody outside of the sandbox knows; the administrator's token.
        clock: seconds since the epoch.
    """

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        self._key = hmac.digest(secret.encode(), b"service account tokens", hashlib.sha256)
        self._clock = clock

    def issue(self, owner: TokenOwner, seconds: int = LIFE_SECONDS) -> str:
        """Return a token that is good for so many seconds."""
        now = int(self._clock())
        claims = {
            "aud": [ISSUER],
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "kubernetes.io": {
                "namespace": owner.namespace,
                "serviceaccount": {"name": owner.name, "uid": owner.uid},
            },
            "nbf": now,
            "sub": f"system:serviceaccount:{owner.namespace}:{owner.name}",
        }
        signed = f"{_encoded(_HEADER)}.{_encoded(claims)}"
        return f"{signed}.{self._signature(signed)}"

    def read(self, token: str) -> TokenOwner | None:
        """Return whose token it is; None for one that this sandbox has not issued, or whose time is over."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(errors="replace"), self._signature(signed).encode()):
            return None
        claims: dict[str, Any] = json.loads(_decoded(signed.rpartition(".")[2]))
        if claims["exp"] <= self._clock():
            return None
        bound = claims["kubernetes.io"]
        return TokenOwner(bound["namespace"], bound["serviceaccount"]["name"], bound["serviceaccount"]["uid"])

    def _signature(self, signed: str) -> str:
        digest = hmac.digest(self._key, signed.encode(errors="surrogateescape"), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _encoded(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
