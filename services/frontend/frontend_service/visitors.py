"""Who is shopping, and whether a form was really sent from our own page.

A visitor is a random secret in a cookie; there are no accounts. The logic service and its answers know only a digest
of it, so that nobody becomes that visitor by reading an order.

Against forged requests from other sites there are two walls: the cookie is SameSite=Lax, so that browsers do not send
it with another site's POST, and every form carries a token derived from the cookie's secret, which no other site can
know. As the token is derived and not stored, any replica can check what another one rendered. The JSON gateway needs
neither: it takes no cookie, and its content type cannot be sent from another site without a permission (CORS) that is
never given.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from fastapi import Request, Response

__all__ = ["Visitor", "visitor_of"]

_COOKIE = "shop_visitor"
_COOKIE_SECONDS = 365 * 24 * 3600
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,64}")


@dataclass(frozen=True, slots=True)
class Visitor:
    """One browser; ``is_new`` until it has sent the cookie back."""

    secret: str
    is_new: bool

    @property
    def customer(self) -> str:
        """Return the name by which the logic service knows the visitor: 32 hexadecimal digits."""
        return self._derived("customer")

    @property
    def form_token(self) -> str:
        """Return what every form of this visitor carries: 32 hexadecimal digits."""
        return self._derived("form")

    def sent(self, form_token: str) -> bool:
        """Return whether a form with this token came from a page that was made for this visitor."""
        return not self.is_new and hmac.compare_digest(self.form_token.encode(), form_token.encode())

    def remember(self, response: Response, *, secure: bool) -> None:
        """Let the browser keep the secret; ``secure`` if the visitor came by HTTPS."""
        response.set_cookie(
            _COOKIE, self.secret, max_age=_COOKIE_SECONDS, path="/shop", httponly=True, samesite="lax", secure=secure
        )

    def _derived(self, purpose: str) -> str:
        return hmac.new(self.secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()[:32]


def visitor_of(request: Request) -> Visitor:
    """Return the visitor that the request's cookie names, or a new one."""
    secret = request.cookies.get(_COOKIE, "")
    if _SECRET.fullmatch(secret):
        return Visitor(secret, is_new=False)
    return Visitor(secrets.token_urlsafe(32), is_new=True)
