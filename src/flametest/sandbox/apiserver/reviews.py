"""Reviews: questions about the caller that are answered and not stored, by the very function that admits requests."""

from collections.abc import Mapping
from typing import Any

from flametest.sandbox.apiserver.authorization import Action, Policies, User, decide
from flametest.sandbox.apiserver.failures import invalid, required
from flametest.sandbox.objects import Object

__all__ = ["REVIEW_PATHS", "review"]

_GROUP = "authorization.k8s.io"

REVIEW_PATHS: Mapping[str, Action] = {
    f"/apis/{_GROUP}/v1/selfsubjectaccessreviews": Action("create", _GROUP, "selfsubjectaccessreviews"),
    "/apis/authentication.k8s.io/v1/selfsubjectreviews": Action(
        "create", "authentication.k8s.io", "selfsubjectreviews"
    ),
}
"""Where reviews are sent, and what sending one is."""


def review(body: Object, user: User, policies: Policies) -> Object:
    """Return a review with its answer as its status.

    Raises:
        StatusError: 422, it asks nothing.
    """
    if body.get("kind") == "SelfSubjectReview":
        told: dict[str, Any] = {"username": user.name, "groups": list(user.groups)}
        return {**body, "status": {"userInfo": told | ({"uid": user.uid} if user.uid else {})}}
    spec = body.get("spec") or {}
    asked, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (asked is None) == (path is None):
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise invalid("SelfSubjectAccessReview", _GROUP, "", [required("spec.resourceAttributes", detail)])
    decision = decide(user, _path(path or {}) if asked is None else _action(asked), policies)
    answer: Object = {"allowed": decision.allowed}
    return {**body, "status": answer | ({"reason": decision.reason} if decision.reason else {})}


def _action(asked: Mapping[str, Any]) -> Action:
    names = ("verb", "group", "resource", "subresource", "namespace", "name")
    return Action(**{name: str(asked.get(name) or "") for name in names})


def _path(asked: Mapping[str, Any]) -> Action:
    return Action(str(asked.get("verb") or ""), path=str(asked.get("path") or "") or "/")
