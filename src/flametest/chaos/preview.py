"""What an experiment would hit, resolved on the cluster, without injecting anything."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flametest.chaos import session
from flametest.chaos.guarded import OWN_MODULE, guarded_fault
from flametest.chaos.injections import Faults, Listing, Preview
from flametest.faults.protocol import Fault
from flametest.faults.safety import Radius
from flametest.kube import KubeClient
from flametest.model.events import Target

__all__ = ["Aimed", "Limits", "foreseen", "preview", "read_limits"]

INJECTING = "inject_"  # how the actions of Flametest that inject are named


@dataclass(frozen=True, slots=True)
class Limits:
    """What the recorder control of an experiment says about its blast radius.

    Attributes:
        targets_max, pods_share_max, nodes_max: see `Radius`.
        unguarded: names of actions that may run though nobody knows what they would hit.
    """

    targets_max: int = 5
    pods_share_max: float = 0.5
    nodes_max: int = 0
    unguarded: frozenset[str] = frozenset()

    def radius(self, namespace: str) -> Radius:
        """Return the radius in a namespace."""
        return Radius(frozenset({namespace}), self.targets_max, self.pods_share_max, self.nodes_max)


@dataclass(frozen=True, slots=True)
class Aimed:
    """One fault of an experiment: the activity's name, what it would do, and to what."""

    activity: str
    title: str
    targets: tuple[Target, ...]


def read_limits(arguments: Mapping[str, Any]) -> Limits:
    """Return the limits among the arguments of a recorder control.

    Raises:
        ValueError: one is no number, or out of its range; the message names it.
    """
    defaults = Limits()
    share = _number(arguments, "pods_share_max", defaults.pods_share_max)
    if not 0 < share <= 1:
        raise ValueError(f"pods_share_max is {share!r}: expected a share between 0 and 1")
    unguarded = arguments.get("unguarded") or []
    if not isinstance(unguarded, list) or not all(isinstance(name, str) for name in unguarded):
        raise ValueError(f"unguarded is {unguarded!r}: expected a list of the names of activities")
    return Limits(
        targets_max=int(_number(arguments, "targets_max", defaults.targets_max)),
        pods_share_max=share,
        nodes_max=int(_number(arguments, "nodes_max", defaults.nodes_max)),
        unguarded=frozenset(unguarded),
    )


def preview(
    experiment: Mapping[str, Any],
    substitute: Callable[[Any], Any],
    client: KubeClient,
    namespace: str,
    limits: Limits,
) -> tuple[Aimed, ...]:
    """Return what every fault of an experiment would hit now; random ones are drawn anew when they are injected.

    Args:
        experiment: the experiment.
        substitute: puts the values of configuration and secrets in place of ``${name}``.
        client: the cluster.
        namespace: the namespace of the system under test.
        limits: the experiment's blast radius.

    Raises:
        FlametestError: a fault is outside of the radius, selects nothing, or cannot be told beforehand.
    """
    aimed = []
    for activity in _activities(experiment):
        faults = Preview(client, limits.radius(namespace), namespace)
        _hand_over(activity, substitute, limits, faults)
        aimed += [Aimed(str(activity.get("name")), one.title, targets) for one, targets in faults.shown]
    return tuple(aimed)


def foreseen(
    experiment: Mapping[str, Any], substitute: Callable[[Any], Any], namespace: str, limits: Limits
) -> tuple[Fault, ...]:
    """Return the faults of an experiment with their options, and ask no cluster; see `preview` for the arguments.

    Raises:
        FlametestError: nobody can tell beforehand what an action would do.
    """
    faults = Listing(namespace)
    for activity in _activities(experiment):
        _hand_over(activity, substitute, limits, faults)
    return tuple(faults.listed)


def _hand_over(activity: Mapping[str, Any], substitute: Callable[[Any], Any], limits: Limits, faults: Faults) -> None:
    """Give the fault of an activity, if it has one, to ``faults``, by the activity's own action where it is ours."""
    provider = activity.get("provider") or {}
    arguments = substitute(provider.get("arguments") or {}) or {}
    fault = guarded_fault(activity, arguments, limits.unguarded)
    if fault is not None:
        faults.inject(fault)
    elif provider.get("module") == OWN_MODULE and str(provider.get("func", "")).startswith(INJECTING):
        with session.previewing(faults):
            getattr(importlib.import_module(OWN_MODULE), provider["func"])(**arguments)


def _activities(experiment: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    hypothesis = experiment.get("steady-state-hypothesis") or {}
    yield from hypothesis.get("probes") or ()
    yield from experiment.get("method") or ()
    yield from experiment.get("rollbacks") or ()


def _number(arguments: Mapping[str, Any], name: str, default: float) -> float:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{name} is {value!r}: expected a number of at least 0")
    return value
