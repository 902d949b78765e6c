"""What is refused of roles and their bindings."""

from flametest.sandbox.apiserver.failures import Cause, bad_value, required, unsupported_value
from flametest.sandbox.objects import Object

__all__ = ["check_binding", "check_binding_update", "check_cluster_role", "check_role", "path_segment"]

_SUBJECTS = ("Group", "ServiceAccount", "User")


def path_segment(value: str) -> list[str]:
    """Check a name that may be anything which fits into a path, such as ``system:discovery``."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in value]


def check_role(role: Object) -> list[Cause]:
    """Return the faults of a Role: rules without verbs, or for nothing, or for paths."""
    return _rules(role, namespaced=True)


def check_cluster_role(role: Object) -> list[Cause]:
    """Return the faults of a ClusterRole."""
    causes = _rules(role, namespaced=False)
    if role.get("aggregationRule"):
        causes.append(bad_value("aggregationRule", role["aggregationRule"], "the sandbox aggregates no cluster roles"))
    return causes


def _rules(role: Object, *, namespaced: bool) -> list[Cause]:
    causes: list[Cause] = []
    for index, rule in enumerate(role.get("rules") or ()):
        field = f"rules[{index}]"
        if not rule.get("verbs"):
            causes.append(required(f"{field}.verbs", "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            if namespaced:
                detail = "namespaced rules cannot apply to non-resource URLs"
                causes.append(bad_value(f"{field}.nonResourceURLs", rule["nonResourceURLs"], detail))
            continue
        if not rule.get("apiGroups"):
            causes.append(required(f"{field}.apiGroups", "resource rules must supply at least one api group"))
        if not rule.get("resources"):
            causes.append(required(f"{field}.resources", "resource rules must supply at least one resource"))
    return causes


def check_binding(binding: Object) -> list[Cause]:
    """Return the faults of a RoleBinding or a ClusterRoleBinding."""
    reference = binding.get("roleRef") or {}
    causes = []
    kinds = ("ClusterRole", "Role") if binding["metadata"].get("namespace") else ("ClusterRole",)
    if reference.get("kind") not in kinds:
        causes.append(unsupported_value("roleRef.kind", reference.get("kind"), kinds))
    if not reference.get("name"):
        causes.append(required("roleRef.name"))
    for index, subject in enumerate(binding.get("subjects") or ()):
        field = f"subjects[{index}]"
        if subject.get("kind") not in _SUBJECTS:
            causes.append(unsupported_value(f"{field}.kind", subject.get("kind"), _SUBJECTS))
        if not subject.get("name"):
            causes.append(required(f"{field}.name"))
        if subject.get("kind") == "ServiceAccount" and not subject.get("namespace"):
            causes.append(required(f"{field}.namespace"))
    return causes


def check_binding_update(new: Object, old: Object) -> list[Cause]:
    """Return the fault of a binding that is to grant another role than it did."""
    if new.get("roleRef") == old.get("roleRef"):
        return []
    return [bad_value("roleRef", new.get("roleRef"), "cannot change roleRef")]
