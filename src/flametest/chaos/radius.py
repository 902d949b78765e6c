"""What the recorder control of an experiment says about its blast radius, and what users may suffer. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flametest.faults.safety import Radius
from flametest.model.harm import HarmLimit, parse_harm_limits, read_variable

__all__ = ["Limits", "harm_limits", "read_limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The blast radius of an experiment.

    Attributes:
        targets_max, pods_share_max, nodes_max, replicas_max: see `Radius`.
        unguarded: names of activities and controls that may run though nobody knows what they would hit.
        namespaces: in which something may be hit besides that of the system under test, such as kube-system, of whose
            pods a drain would evict some; each has to consent as well.
    """

    targets_max: int = 5
    pods_share_max: float = 0.5
    nodes_max: int = 0
    unguarded: frozenset[str] = frozenset()
    replicas_max: int = 10
    namespaces: frozenset[str] = frozenset()

    def radius(self, namespace: str) -> Radius:
        """Return the radius around a system in a namespace."""
        namespaces = self.namespaces | {namespace}
        return Radius(namespaces, self.targets_max, self.pods_share_max, self.nodes_max, self.replicas_max)


def read_limits(arguments: Mapping[str, Any]) -> Limits:
    """Return the limits among the arguments of a recorder control.

    Raises:
        ValueError: one is no number, or out of its range; the message names it.
        TypeError: the arguments are no object.
    """
    if not isinstance(arguments, Mapping):
        raise TypeError(f"its arguments are {arguments!r}: expected an object")
    defaults = Limits()
    share = _number(arguments, "pods_share_max", defaults.pods_share_max)
    if not 0 < share <= 1:
        raise ValueError(f"pods_share_max is {share!r}: expected a share between 0 and 1")
    return Limits(
        targets_max=int(_number(arguments, "targets_max", defaults.targets_max)),
        pods_share_max=share,
        nodes_max=int(_number(arguments, "nodes_max", defaults.nodes_max)),
        unguarded=_names(arguments, "unguarded", "activities"),
        replicas_max=int(_number(arguments, "replicas_max", defaults.replicas_max)),
        namespaces=_names(arguments, "namespaces", "namespaces"),
    )


def harm_limits(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[HarmLimit, ...]:
    """Return the harm limits of a recorder control's ``abort_when``; those of the environment come first.

    Raises:
        ValueError: one cannot be understood.
    """
    given = arguments.get("abort_when") or []
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise ValueError(f'abort_when is {given!r}: expected a list such as ["availability=0.5"]')
    own = {limit.figure: limit for limit in parse_harm_limits(texts)}
    return tuple((own | {limit.figure: limit for limit in read_variable(environment)}).values())


def _names(arguments: Mapping[str, Any], name: str, kind: str) -> frozenset[str]:
    value = arguments.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError(f"{name} is {value!r}: expected a list of the names of {kind}")
    return frozenset(value)


def _number(arguments: Mapping[str, Any], name: str, default: float) -> float:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} is {value!r}: expected a number of at least 0")
    return value
