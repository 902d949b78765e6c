"""Reviews: questions about the caller that are answered and not stored. Whoever has the token may do everything."""

from flametest.sandbox.objects import Object

__all__ = ["REVIEW_PATHS", "review"]

REVIEW_PATHS = frozenset(
    (
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    )
)

_USER = {"username": "flametest-admin", "groups": ["system:masters", "system:authenticated"]}


def review(body: Object) -> Object:
    """Return a review with its answer as its status."""
    if body.get("kind") == "SelfSubjectReview":
        return {**body, "status": {"userInfo": _USER}}
    return {**body, "status": {"allowed": True, "reason": "the sandbox knows one user, who may do everything"}}
