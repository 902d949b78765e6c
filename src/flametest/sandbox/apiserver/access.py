"""Who sends a request, and whether it may be answered: the one place between HTTP and `authorization`.

The administrator has the sandbox's one secret token; service accounts have tokens of their own. Whoever has the right
to ``impersonate`` may ask in another's name, as ``kubectl --as`` does:
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation.
"""

import hmac
from collections.abc import Iterator, Mapping
from typing import cast
from urllib.parse import unquote

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
from flametest.sandbox.apiserver.failures import bad_request, forbidden, unauthorized
from flametest.sandbox.apiserver.registry import Registry
from flametest.sandbox.apiserver.requests import Target, is_true
from flametest.sandbox.errors import StatusError
from flametest.sandbox.tokens import ServiceAccountTokens

__all__ = ["Access", "actions_of", "refused"]

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# A WebSocket opens by GET. Since Kubernetes 1.35 what it opens needs the right to create as well.
_STREAMS = frozenset(("exec", "attach", "portforward"))
_ACCOUNT = "system:serviceaccount:"
_AUTHENTICATION = "authentication.k8s.io"
_PREFIX = "impersonate-"


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

    def _impersonated(self, request: web.BaseRequest, user: User) -> User:
        """Return in whose name a request is made, each part of which ``user`` must have the right to take on.

        Raises:
            StatusError: 400, groups or other parts without a user; 403, a right is missing.
        """
        asked = list(_impersonations(request.headers))
        if not asked:
            return user
        name = request.headers.get("Impersonate-User", "")
        if not name:
            raise bad_request("requested groups, a uid or extra fields without impersonating a user")
        for action in asked:
            if not decide(user, action, self.policies).allowed:
                raise refused(user, action)
        groups = tuple(request.headers.getall("Impersonate-Group", ()))
        uid = request.headers.get("Impersonate-Uid", "")
        if _is_account(name) and not groups:
            namespace, _, account = name.removeprefix(_ACCOUNT).partition(":")
            return service_account(namespace, account, uid)
        if name == ANONYMOUS.name:
            return User(name, groups or ANONYMOUS.groups, uid)
        return User(name, (*groups, *({"system:authenticated"} - set(groups))), uid)


def _impersonations(headers: Mapping[str, str]) -> Iterator[Action]:
    """Yield what has to be allowed for the name in which a request is made: a right for each of its parts."""
    for header, value in headers.items():
        match header.lower().removeprefix("impersonate-").split("-", 1) if header.lower().startswith(_PREFIX) else []:
            case ["user"] if _is_account(value):
                namespace, name = value.removeprefix(_ACCOUNT).split(":")
                yield Action("impersonate", resource="serviceaccounts", namespace=namespace, name=name)
            case ["user"]:
                yield Action("impersonate", resource="users", name=value)
            case ["group"]:
                yield Action("impersonate", resource="groups", name=value)
            case ["uid"]:
                yield Action("impersonate", _AUTHENTICATION, "uids", name=value)
            case ["extra", key]:
                yield Action("impersonate", _AUTHENTICATION, "userextras", unquote(key).lower(), name=value)


def _is_account(name: str) -> bool:
    return name.startswith(_ACCOUNT) and name.count(":") == 3


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
