"""Values of the downward API: fields of the pod and resource figures, for environment and volumes. Pure."""

import math
import re
from decimal import ROUND_CEILING, Decimal

from flametest.sandbox.objects import Object
from flametest.sandbox.quantities import parse_quantity

__all__ = ["field_value", "resource_value"]

_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


def field_value(pod: Object, path: str, addresses: dict[str, str]) -> str:
    """Return a field of a pod; ``addresses`` has what is not stored yet, such as ``status.podIP``.

    Raises:
        ValueError: the downward API does not have that field.
    """
    metadata = pod["metadata"]
    if match := _KEYED.fullmatch(path):
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = metadata.get(path.partition(".")[2]) or {}
        return "\n".join(f'{key}="{_escaped(value)}"' for key, value in sorted(pairs.items()))
    if path in ("metadata.name", "metadata.namespace", "metadata.uid"):
        return str(metadata.get(path.partition(".")[2], ""))
    if path == "spec.nodeName":
        return str(pod["spec"].get("nodeName", ""))
    if path == "spec.serviceAccountName":
        return str(pod["spec"].get("serviceAccountName", "default"))
    if path in addresses:
        return addresses[path]
    raise ValueError(f"the downward API has no field {path!r}")


def resource_value(container: Object, resource: str, divisor: str, capacity: dict[str, str]) -> str:
    """Return a figure such as ``limits.cpu`` in units of ``divisor``, rounded up; without a limit, the node's."""
    kind, _, name = resource.partition(".")
    resources = container.get("resources") or {}
    text = (resources.get(kind) or {}).get(name)
    if text is None:
        text = capacity.get(name, "0") if kind == "limits" else "0"
    unit = parse_quantity(divisor) if divisor and divisor != "0" else Decimal(1)
    return str(math.ceil((parse_quantity(str(text)) / unit).quantize(Decimal("1e-9"), rounding=ROUND_CEILING)))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
