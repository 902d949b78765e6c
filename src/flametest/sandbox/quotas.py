"""What objects take from a ResourceQuota: shared by admission, which refuses, and by the controller, which counts.

Pure functions of JSON objects. Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from flametest.sandbox.objects import Object
from flametest.sandbox.quantities import format_quantity, parse_quantity

__all__ = ["amount_text", "counted_resources", "is_counted", "total", "usage_of"]

_ONE = Decimal(1)
_COUNTED = (
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
)
_PLAIN = ("cpu", "memory", "ephemeral-storage")
_SERVICE_PORTS = ("NodePort", "LoadBalancer")


def is_counted(quota: Object) -> bool:
    """Return whether a quota is about all objects: the scopes of one that is not are not evaluated."""
    spec = quota.get("spec", {})
    return not spec.get("scopes") and not spec.get("scopeSelector")


def counted_resources(hard: Iterable[str]) -> frozenset[str]:
    """Return the resources whose objects take from what a quota names."""
    found = set()
    for name in hard:
        kind, _, rest = name.partition("/")
        if kind == "count" and rest:
            found.add(rest)
        elif name in _COUNTED:
            found.add(name)
        elif name.startswith("services."):
            found.add("services")
        elif name == "requests.storage":
            found.add("persistentvolumeclaims")
        else:
            found.add("pods")
    return frozenset(found)


def usage_of(resource: str, obj: Object) -> dict[str, Decimal]:
    """Return what one object of a resource takes, by the names that quotas use."""
    usage = {f"count/{resource}": _ONE}
    if resource == "pods":
        # Pods that have ended count as objects and take nothing else.
        ended = obj.get("status", {}).get("phase") in ("Succeeded", "Failed")
        return usage if ended else usage | {"pods": _ONE} | _pod_amounts(obj["spec"])
    if resource in _COUNTED:
        usage[resource] = _ONE
    if resource == "services":
        kind = obj["spec"].get("type")
        usage |= {"services.nodeports": Decimal(len(obj["spec"].get("ports", ())))} if kind in _SERVICE_PORTS else {}
        usage |= {"services.loadbalancers": _ONE} if kind == "LoadBalancer" else {}
    if resource == "persistentvolumeclaims":
        size = obj["spec"].get("resources", {}).get("requests", {}).get("storage", "0")
        usage["requests.storage"] = parse_quantity(size)
    return usage


def _pod_amounts(spec: Object) -> dict[str, Decimal]:
    amounts: dict[str, Decimal] = {}
    for kind in ("requests", "limits"):
        for name, amount in _pod_total(spec, kind).items():
            amounts[f"{kind}.{name}"] = amount
            if kind == "requests" and name in _PLAIN:
                amounts[name] = amount
    return amounts


def _pod_total(spec: Object, kind: str) -> dict[str, Decimal]:
    """Return the sum over containers; init containers run one after the other, so that the largest counts."""
    together: list[dict[str, Decimal]] = []
    apart: list[dict[str, Decimal]] = []
    for container in spec.get("containers", ()):
        together.append(_amounts(container, kind))
    for container in spec.get("initContainers", ()):
        (together if container.get("restartPolicy") == "Always" else apart).append(_amounts(container, kind))
    sums = total(together)
    for amounts in apart:
        sums |= {name: max(amount, sums.get(name, Decimal(0))) for name, amount in amounts.items()}
    return sums


def _amounts(container: Object, kind: str) -> dict[str, Decimal]:
    given: dict[str, str] = container.get("resources", {}).get(kind, {})
    return {name: parse_quantity(amount) for name, amount in given.items()}


def total(usages: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """Return the sum of amounts by name."""
    sums: dict[str, Decimal] = {}
    for name, amount in _pairs(usages):
        sums[name] = sums.get(name, Decimal(0)) + amount
    return sums


def _pairs(usages: Iterable[Mapping[str, Decimal]]) -> Iterator[tuple[str, Decimal]]:
    for usage in usages:
        yield from usage.items()


def amount_text(name: str, amount: Decimal) -> str:
    """Return an amount of what a quota names, as its status shows it."""
    return format_quantity(amount, binary=name.endswith(("memory", "storage")))
