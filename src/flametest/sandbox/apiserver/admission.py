"""Admission: what other objects of the cluster add to a new object, or why they refuse it.

Priority classes and limit ranges fill in what pods leave open; limit ranges and quotas refuse with 403. Functions of
the object and of a reader of the state. Only creations are asked about.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Protocol

from flametest.sandbox.apiserver.defaults.pods import SYSTEM_PRIORITIES, containers_of
from flametest.sandbox.apiserver.failures import forbidden
from flametest.sandbox.apiserver.resources import Resource
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object
from flametest.sandbox.quantities import parse_quantity
from flametest.sandbox.quotas import amount_text, is_counted, total, usage_of

__all__ = ["admit", "fill_in"]

_PRIORITY_CLASSES = "priorityclasses.scheduling.k8s.io"


class _Reader(Protocol):
    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        """Return the objects of a namespace, or of all."""


def fill_in(reader: _Reader, resource: Resource, namespace: str, obj: Object) -> None:
    """Fill in a new pod: its priority by its class, and what limit ranges give its containers by default.

    Raises:
        StatusError: 403, there is no such priority class.
    """
    if resource.name != "pods":
        return
    spec = obj.setdefault("spec", {})
    _set_priority(reader, obj)
    for item in _container_limits(reader, namespace):
        for container in containers_of(spec):
            resources = container.setdefault("resources", {})
            limits, requests = resources.get("limits", {}), resources.get("requests", {})
            # A request that is left out is the limit, where there is one, before a limit range is asked.
            requests = {**item.get("defaultRequest", {}), **limits, **requests}
            limits = {**item.get("default", {}), **limits}
            resources |= {name: one for name, one in (("limits", limits), ("requests", requests)) if one}


def _set_priority(reader: _Reader, pod: Object) -> None:
    spec = pod["spec"]
    name = spec.get("priorityClassName")
    if name in SYSTEM_PRIORITIES:
        return
    classes = reader.list(_PRIORITY_CLASSES)
    if name:
        found = next((one for one in classes if one["metadata"]["name"] == name), None)
        if found is None:
            raise _refusal("pods", pod, f"no PriorityClass with name {name} was found")
    else:
        # Of several defaults the lowest counts, as on a cluster.
        found = min((one for one in classes if one.get("globalDefault")), key=lambda one: one["value"], default=None)
    if found is not None:
        spec |= {"priorityClassName": found["metadata"]["name"], "priority": found["value"]}
        spec["preemptionPolicy"] = found["preemptionPolicy"]


def _container_limits(reader: _Reader, namespace: str) -> Iterator[Object]:
    for limit_range in reader.list("limitranges", namespace):
        yield from (item for item in limit_range["spec"]["limits"] if item["type"] == "Container")


def admit(reader: _Reader, resource: Resource, namespace: str, obj: Object) -> None:
    """Check that limit ranges and quotas of its namespace leave room for a new object.

    Raises:
        StatusError: 403, one does not.
    """
    if not resource.namespaced:
        return
    if resource.name == "pods":
        faults = [fault for item in _container_limits(reader, namespace) for fault in _out_of_bounds(obj, item)]
        if faults:
            raise _refusal("pods", obj, faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    for quota in reader.list("resourcequotas", namespace):
        if is_counted(quota):
            _check_quota(reader, resource, obj, quota)


def _out_of_bounds(pod: Object, item: Object) -> Iterator[str]:
    for container in containers_of(pod["spec"]):
        resources = container.get("resources", {})
        given = {"request": resources.get("requests", {}), "limit": resources.get("limits", {})}
        for bound, wanted, fails in (("min", "request", Decimal.__lt__), ("max", "limit", Decimal.__gt__)):
            for name, edge in item.get(bound, {}).items():
                text = f"{bound}imum {name} usage per Container is {edge}"
                if name not in given[wanted]:
                    yield f"{text}.  No {wanted} is specified"
                    continue
                # What the bound is mainly about is named, where both lie beyond it.
                for kind in sorted(given, key=lambda one: one != wanted):
                    found = given[kind].get(name)
                    if found is not None and fails(parse_quantity(found), parse_quantity(edge)):
                        yield f"{text}, but {kind} is {found}"
                        break


def _check_quota(reader: _Reader, resource: Resource, obj: Object, quota: Object) -> None:
    hard = {name: parse_quantity(amount) for name, amount in quota.get("spec", {}).get("hard", {}).items()}
    name = quota["metadata"]["name"]
    if resource.name == "pods":
        missing = _unspecified(obj["spec"], hard)
        if missing:
            raise _refusal("pods", obj, f"failed quota: {name}: must specify {missing}")
    asked = {one: amount for one, amount in usage_of(resource.name, obj).items() if one in hard and amount > 0}
    if not asked:
        return
    present = reader.list(resource.name, quota["metadata"]["namespace"])
    used = total(usage_of(resource.name, one) for one in present)
    over = sorted(one for one in asked if used.get(one, Decimal(0)) + asked[one] > hard[one])
    if over:
        requested, taken, limited = (
            ",".join(f"{one}={amount_text(one, amounts.get(one, Decimal(0)))}" for one in over)
            for amounts in (asked, used, hard)
        )
        because = f"exceeded quota: {name}, requested: {requested}, used: {taken}, limited: {limited}"
        raise _refusal(resource.name, obj, because)


def _unspecified(spec: Object, hard: dict[str, Decimal]) -> str:
    """Return which amounts that a quota bounds are left open, and by which containers; empty for none."""
    found = []
    for name in sorted(hard):
        kind, _, amount = name.partition(".") if "." in name else ("requests", "", name)
        if kind not in ("requests", "limits") or amount not in ("cpu", "memory"):
            continue
        silent = [each["name"] for each in containers_of(spec) if amount not in each.get("resources", {}).get(kind, {})]
        if silent:
            found.append(f"{name} for: {','.join(sorted(silent))}")
    return "; ".join(found)


def _refusal(resource: str, obj: Object, because: str) -> StatusError:
    name = obj["metadata"].get("name", "")
    plural, _, group = resource.partition(".")
    details = {"name": name, "kind": plural, **({"group": group} if group else {})}
    return forbidden(f'{resource} "{name}" is forbidden: {because}', details)
