"""Defaults of limit ranges, resource quotas and priority classes."""

from flametest.sandbox.objects import Object

__all__ = ["default_limit_range", "default_priority_class", "prepare_resource_quota"]


def default_limit_range(limit_range: Object) -> None:
    """Fill in what containers get by default: limits from the maximum, requests from the limits or the minimum."""
    for item in limit_range.setdefault("spec", {}).setdefault("limits", []):
        if item.get("type") != "Container":
            continue
        limits = {**item.get("max", {}), **item.get("default", {})}
        requests = {**item.get("min", {}), **limits, **item.get("defaultRequest", {})}
        item.update({name: one for name, one in (("default", limits), ("defaultRequest", requests)) if one})


def prepare_resource_quota(quota: Object) -> None:
    """Give a new quota its empty status."""
    quota["status"] = {}


def default_priority_class(priority_class: Object) -> None:
    """Fill in a priority class."""
    priority_class.setdefault("value", 0)
    priority_class.setdefault("preemptionPolicy", "PreemptLowerPriority")
