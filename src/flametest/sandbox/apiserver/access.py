"""Who sends a request, and whether it may be answered: the one place between HTTP and `authorization`.

The administrator has the sandbox's one secret token; service accounts have tokens of their own. The administrator may
ask in another's name, as ``kubectl --as`` does; nobody else may.
"""

import hmac
from collections.abc import Iterator
from typing import cast

from aiohttp import web

from flametest.sandbox.apiserver.authorization import (
    ADMIN,
    ANONYMOUS,
    Action,
    Policies,
    User,
    decide,
    service_account,
)
from flametest.sandbox.apiserver.failures import forbidden, unauthorized
from flametest.sandbox.apiserver.registry import Registry
from flametest.sandbox.apiserver.requests import Target, is_true
from flametest.sandbox.errors import StatusError
from flametest.sandbox.tokens import ServiceAccountTokens

__all__ = ["Access", "actions_of", "refused"]

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# A WebSocket opens by GET. Since Kubernetes 1.35 what it opens needs the right to create as well.
_STREAMS = frozenset(("exec", "attach", "portforward"))
_ACCOUNT = "system:serviceaccount:"


class Access:
    """Tells who asks and whether they may.

    Args:
        registry: holds service accounts, roles and bindings.
        token: the administrator's.
    """

    def __init__(self, registry: Registry, token: str) -> None:
        self._registry = registry
        self._token = token.encode()
        self.tokens = ServiceAccountTokens(token)

    @property
    def policies(self) -> Policies:
        """Where roles and bindings are."""
        return cast("Policies", self._registry)

    def admit(self, request: web.BaseRequest, target: Target | None, other: Action | None = None) -> User:
        """Return who asks, if they may have it.

        Args:
            request: the request.
            target: the resource that its path names; None for none.
            other: what is done where the path names no stored resource, as a review does.

        Raises:
            StatusError: 401 for a token that is nobody's; 403 without one, or for what one may not do.
        """
        user = self._impersonated(request, self._authenticated(request))
        for action in actions_of(request, target) if other is None else (other,):
            if not decide(user, action, self.policies).allowed:
                raise refused(user, action)
        return user

    def _authenticated(self, request: web.BaseRequest) -> User:
        header = request.headers.get("Authorization", "")
        if not header:
            return ANONYMOUS
        scheme, _, rest = header.partition(" ")
        token = rest.strip()
        if scheme.lower() != "bearer":
            raise unauthorized()
        if hmac.compare_digest(token.encode(errors="surrogateescape"), self._token):
            return ADMIN
        owner = self.tokens.read(token)
        if owner is None:
            raise unauthorized()
        account = self._registry.get("serviceaccounts", owner.namespace, owner.name)
        if account is None or account["metadata"]["uid"] != owner.uid:
            raise unauthorized()
        return service_account(owner.namespace, owner.name, owner.uid)

    @staticmethod
    def _impersonated(request: web.BaseRequest, user: User) -> User:
        name = request.headers.get("Impersonate-User", "")
        if not name:
            return user
        if user != ADMIN:
            raise refused(user, Action("impersonate", resource="users", name=name))
        groups = tuple(request.headers.getall("Impersonate-Group", ()))
        if name.startswith(_ACCOUNT) and name.count(":") == 3 and not groups:
            return service_account(*name.removeprefix(_ACCOUNT).split(":"))
        return User(name, (*groups, "system:authenticated"))


def actions_of(request: web.BaseRequest, target: Target | None) -> Iterator[Action]:
    """Yield what a request does, each of which has to be allowed."""
    if target is None:
        yield Action(request.method.lower(), path=request.path)
        return
    verb = _VERBS.get(request.method, "get" if target.name else "list")
    if verb in ("get", "list") and not target.subresource and is_true(request.query, "watch"):
        verb = "watch"
    if verb == "delete" and not target.name:
        verb = "deletecollection"
    resource = target.resource
    # A namespace is in itself, so that a role in it can grant rights to it.
    namespace = target.name if resource.kind == "Namespace" else target.namespace or ""
    yield Action(verb, resource.group, resource.plural, target.subresource, namespace, target.name)
    if verb == "get" and target.subresource in _STREAMS:
        yield Action("create", resource.group, resource.plural, target.subresource, namespace, target.name)


def refused(user: User, action: Action) -> StatusError:
    """Return the 403 which says who may not do what."""
    who = f'User "{user.name}" cannot'
    if action.path:
        return forbidden(f'forbidden: {who} {action.verb} path "{action.path}"', {})
    details = {"kind": action.resource}
    if action.name:
        details["name"] = action.name
    if action.group:
        details["group"] = action.group
    plural = f"{action.resource}.{action.group}" if action.group else action.resource
    about = f'{plural} "{action.name}"' if action.name else plural
    scope = f'in the namespace "{action.namespace}"' if action.namespace else "at the cluster scope"
    text = f'{about} is forbidden: {who} {action.verb} resource "{action.shown}" in API group "{action.group}" {scope}'
    return forbidden(text, details)
