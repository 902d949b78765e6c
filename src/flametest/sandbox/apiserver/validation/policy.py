"""What is refused of limit ranges, resource quotas and priority classes."""

from collections.abc import Iterator

from flametest.sandbox.apiserver.failures import Cause, bad_value, duplicate, forbidden_value, required
from flametest.sandbox.apiserver.validation.names import check_enum
from flametest.sandbox.objects import Object
from flametest.sandbox.quantities import parse_quantity

__all__ = ["check_limit_range", "check_priority_class", "check_priority_class_update", "check_resource_quota"]

_USER_PRIORITY_MAX = 1_000_000_000
_ORDER = ("min", "defaultRequest", "default", "max")


def check_limit_range(limit_range: Object) -> list[Cause]:
    """Return the faults of a limit range: types that are there twice, and bounds that contradict each other."""
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, item in enumerate(limit_range["spec"]["limits"]):
        field, kind = f"spec.limits[{index}]", item.get("type", "")
        if not kind:
            causes.append(required(f"{field}.type"))
        elif kind in seen:
            causes.append(duplicate(f"{field}.type", kind))
        seen.add(kind)
        if kind == "Pod":
            names = [name for name in ("default", "defaultRequest") if item.get(name)]
            causes += [forbidden_value(f"{field}.{n}", "may not be specified when `type` is 'Pod'") for n in names]
        causes += _check_bounds(item, field)
    return causes


def _check_bounds(item: Object, field: str) -> Iterator[Cause]:
    for number, lower in enumerate(_ORDER):
        for higher in _ORDER[number + 1 :]:
            for name, value in item.get(lower, {}).items():
                bound = item.get(higher, {}).get(name)
                if bound is not None and parse_quantity(value) > parse_quantity(bound):
                    detail = f"{lower} value {value} is greater than {higher} value {bound}"
                    yield bad_value(f"{field}.{lower}[{name}]", value, detail)


def check_resource_quota(quota: Object) -> list[Cause]:
    """Return the faults of a quota: amounts below zero."""
    hard = quota.get("spec", {}).get("hard", {})
    detail = "must be greater than or equal to 0"
    return [bad_value(f"spec.hard[{name}]", one, detail) for name, one in hard.items() if parse_quantity(one) < 0]


def check_priority_class(priority_class: Object) -> list[Cause]:
    """Return the faults of a priority class."""
    name, value = priority_class["metadata"]["name"], priority_class["value"]
    causes = check_enum(priority_class["preemptionPolicy"], "preemptionPolicy", ("Never", "PreemptLowerPriority"))
    if name.startswith("system-"):
        detail = "priority class names with 'system-' prefix are reserved for system use only"
        causes.append(forbidden_value("metadata.name", detail))
    elif value > _USER_PRIORITY_MAX:
        detail = f"maximum allowed value of a user defined priority is {_USER_PRIORITY_MAX}"
        causes.append(forbidden_value("value", detail))
    return causes


def check_priority_class_update(new: Object, old: Object) -> list[Cause]:
    """Return the faults of a change of what stays fixed in a priority class."""
    fixed = [name for name in ("value", "preemptionPolicy") if new.get(name) != old.get(name)]
    return [bad_value(name, new.get(name), "field is immutable") for name in fixed]
