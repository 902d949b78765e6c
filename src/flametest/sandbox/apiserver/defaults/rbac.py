"""What is filled in of bindings: the API groups of roles and subjects."""

from flametest.sandbox.objects import Object

__all__ = ["default_binding"]

_GROUP = "rbac.authorization.k8s.io"


def default_binding(binding: Object) -> None:
    """Fill in a RoleBinding or a ClusterRoleBinding."""
    reference = binding.get("roleRef")
    if isinstance(reference, dict) and not reference.get("apiGroup"):
        reference["apiGroup"] = _GROUP
    for subject in binding.get("subjects") or ():
        if subject.get("kind") in ("User", "Group") and not subject.get("apiGroup"):
            subject["apiGroup"] = _GROUP
