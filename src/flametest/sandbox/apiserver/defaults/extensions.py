"""Defaults of definitions of custom resources; their names are always accepted, and served at once."""

from flametest.sandbox.objects import Object

__all__ = ["CLEANUP", "carry_definition", "default_definition", "prepare_definition"]

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer by which a definition waits until its objects are gone."""


def prepare_definition(definition: Object) -> None:
    """Accept the names of a new definition."""
    metadata = definition["metadata"]
    finalizers = metadata.setdefault("finalizers", [])
    if CLEANUP not in finalizers:
        finalizers.append(CLEANUP)
    default_definition(definition)
    conditions = [
        _condition("NamesAccepted", "NoConflicts", "no conflicts found", metadata["creationTimestamp"]),
        _condition(
            "Established", "InitialNamesAccepted", "the initial names have been accepted", metadata["creationTimestamp"]
        ),
    ]
    definition["status"] = {"conditions": conditions, **_accepted(definition, [])}


def _condition(kind: str, reason: str, message: str, time: str) -> Object:
    return {"type": kind, "status": "True", "lastTransitionTime": time, "reason": reason, "message": message}


def _accepted(definition: Object, stored: list[str]) -> Object:
    spec = definition["spec"]
    storing = [version.get("name", "") for version in spec.get("versions", ()) if version.get("storage")]
    return {"acceptedNames": spec["names"], "storedVersions": list(dict.fromkeys([*stored, *storing]))}


def default_definition(definition: Object) -> None:
    """Fill in a definition: names that follow from the kind, and versions that differ in nothing but their name."""
    spec = definition.setdefault("spec", {})
    spec.setdefault("conversion", {}).setdefault("strategy", "None")
    names = spec.setdefault("names", {})
    kind = names.get("kind", "")
    names["singular"] = names.get("singular") or kind.lower()
    names["listKind"] = names.get("listKind") or f"{kind}List"


def carry_definition(new: Object, old: Object) -> None:
    """Accept the names and versions of a changed definition."""
    default_definition(new)
    status = old.get("status", {})
    new["status"] = {**status, **_accepted(new, status.get("storedVersions", []))}
