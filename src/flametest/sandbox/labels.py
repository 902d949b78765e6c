"""Selectors over labels, as controllers and the scheduler evaluate them: the API's LabelSelector and node selectors.

Pure functions of JSON objects. A selector that is None selects nothing, an empty one everything, as in the API.
Semantics: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["includes", "labels_of", "requirement_holds", "selector_matches", "selects_everything"]


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of an object or of a pod template; empty for none."""
    return (obj.get("metadata") or {}).get("labels") or {}


def includes(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether ``labels`` has every pair of ``wanted``."""
    return all(labels.get(key) == value for key, value in wanted.items())


def requirement_holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether one expression (key, operator, values) holds for ``labels``.

    ``NotIn`` holds where the key is missing. ``Gt`` and ``Lt`` (node selectors only) compare whole numbers and fail
    where either side is none. An operator that the API does not know never holds.
    """
    key, operator, values = requirement["key"], requirement["operator"], requirement.get("values") or []
    present = key in labels
    match operator:
        case "In":
            return present and labels[key] in values
        case "NotIn":
            return not present or labels[key] not in values
        case "Exists":
            return present
        case "DoesNotExist":
            return not present
        case "Gt" | "Lt":
            return present and _compares(labels[key], operator, values)
        case _:
            return False


def _compares(value: str, operator: str, limits: list[str]) -> bool:
    try:
        number, limit = int(value), int(limits[0])
    except (ValueError, IndexError):
        return False
    return number > limit if operator == "Gt" else number < limit


def selector_matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Return whether a LabelSelector (matchLabels and matchExpressions) selects ``labels``."""
    if selector is None:
        return False
    if not includes(labels, selector.get("matchLabels") or {}):
        return False
    return all(requirement_holds(each, labels) for each in selector.get("matchExpressions") or [])


def selects_everything(selector: Mapping[str, Any] | None) -> bool:
    """Return whether a LabelSelector is given but empty; workloads refuse to act on such a one."""
    return selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions")
