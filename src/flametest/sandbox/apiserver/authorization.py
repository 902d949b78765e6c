"""Who may do what: role-based access control, as Kubernetes decides it. Rights only add up; nothing takes one away.

`decide` is pure: the roles and bindings are given to it. The server asks it before each request, and a
SelfSubjectAccessReview is answered by it too, so that the two never differ. Written after
https://kubernetes.io/docs/reference/access-authn-authz/rbac/.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from flametest.sandbox.objects import Object

__all__ = ["ADMIN", "ANONYMOUS", "Action", "Decision", "Policies", "User", "decide", "service_account"]

_MASTERS = "system:masters"
_AUTHENTICATED = "system:authenticated"
_ACCOUNTS = "system:serviceaccounts"
_ACCOUNT_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class User:
    """Who asks; ``groups`` in the order in which they are shown."""

    name: str
    groups: tuple[str, ...]
    uid: str = ""


ADMIN = User("flametest-admin", (_MASTERS, _AUTHENTICATED))
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


@dataclass(frozen=True, slots=True)
class Action:
    """What is asked for: a verb on a resource, or, with a ``path``, on something that is none.

    Attributes:
        verb: such as ``get``, ``list``, ``deletecollection``.
        group: of the API; empty for the core group.
        resource: the plural.
        subresource: such as ``exec``; empty for none.
        namespace: empty for what is in none, and for all namespaces.
        name: of the object; empty for a collection.
        path: of a request for no resource, such as ``/version``.
    """

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def shown(self) -> str:
        """The resource as rules name it, such as ``pods/exec``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether somebody may do something, and, if so, by what."""

    allowed: bool
    reason: str = ""


class Policies(Protocol):
    """Where roles and bindings come from."""

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return an object, or None."""

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        """Return the objects of a namespace, or of all."""


def service_account(namespace: str, name: str, uid: str = "") -> User:
    """Return a service account as a user."""
    groups = (_ACCOUNTS, f"{_ACCOUNTS}:{namespace}", _AUTHENTICATED)
    return User(f"{_ACCOUNT_PREFIX}{namespace}:{name}", groups, uid)


def decide(user: User, action: Action, policies: Policies) -> Decision:
    """Return whether ``user`` may do ``action``."""
    if _MASTERS in user.groups:
        return Decision(True, f"members of {_MASTERS} may do everything")
    for binding, kind in _bindings(action, policies):
        subject = next((one for one in binding.get("subjects") or () if _is(one, user)), None)
        if subject is None:
            continue
        reference = binding["roleRef"]
        if any(_matches(rule, action) for rule in _rules(reference, binding, policies)):
            where = binding["metadata"].get("namespace")
            name = f"{where}/{binding['metadata']['name']}" if where else binding["metadata"]["name"]
            whom = f'{subject["kind"]} "{subject["name"]}"'
            return Decision(
                True, f'RBAC: allowed by {kind} "{name}" of {reference["kind"]} "{reference["name"]}" to {whom}'
            )
    return Decision(False)


def _bindings(action: Action, policies: Policies) -> Iterator[tuple[Object, str]]:
    for binding in policies.list("clusterrolebindings.rbac.authorization.k8s.io"):
        yield binding, "ClusterRoleBinding"
    if action.namespace and not action.path:
        for binding in policies.list("rolebindings.rbac.authorization.k8s.io", action.namespace):
            yield binding, "RoleBinding"


def _is(subject: Object, user: User) -> bool:
    kind, name = subject.get("kind"), str(subject.get("name", ""))
    if kind == "User":
        return name == user.name
    if kind == "Group":
        return name in user.groups
    return kind == "ServiceAccount" and user.name == f"{_ACCOUNT_PREFIX}{subject.get('namespace', '')}:{name}"


def _rules(reference: Object, binding: Object, policies: Policies) -> Iterable[Object]:
    """Return the rules of the role that a binding grants; none when there is no such role (yet)."""
    if reference["kind"] == "ClusterRole":
        role = policies.get("clusterroles.rbac.authorization.k8s.io", "", reference["name"])
    else:
        namespace = binding["metadata"].get("namespace", "")
        role = policies.get("roles.rbac.authorization.k8s.io", namespace, reference["name"])
    return (role or {}).get("rules") or ()


def _matches(rule: Object, action: Action) -> bool:
    if not _any(rule.get("verbs"), action.verb):
        return False
    if action.path:
        return any(_is_path(pattern, action.path) for pattern in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames") or ()
    return (
        _any(rule.get("apiGroups"), action.group)
        and any(_is_resource(pattern, action) for pattern in rule.get("resources") or ())
        and (not names or action.name in names)
    )


def _any(patterns: Iterable[str] | None, value: str) -> bool:
    return any(pattern in ("*", value) for pattern in patterns or ())


def _is_resource(pattern: str, action: Action) -> bool:
    return pattern in ("*", action.shown) or bool(action.subresource and pattern == f"*/{action.subresource}")


def _is_path(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == path
