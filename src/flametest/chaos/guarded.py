"""chaostoolkit-kubernetes' own actions as faults: what they would hit, and how to take it back. Pure.

Those that are not known here are refused, and so is whatever else could change a cluster without anybody knowing how:
an action by a program, by HTTP or by a foreign module runs only if the experiment names it as ``unguarded``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flametest.chaos.errors import UnsafeExperimentError
from flametest.faults.node_drain import NodeDrain
from flametest.faults.nodes import NodeSelection
from flametest.faults.pod_deletion import PodDeletion
from flametest.faults.protocol import Fault
from flametest.faults.scaling import Scaling
from flametest.faults.selection import PodSelection
from flametest.faults.service_removal import ServiceRemoval

__all__ = ["OWN_MODULE", "guarded_fault"]

OWN_MODULE = "flametest.chaos.actions"
_EXTENSION = "chaosk8s"

Arguments = Mapping[str, Any]


def guarded_fault(activity: Mapping[str, Any], arguments: Arguments, unguarded: frozenset[str]) -> Fault | None:
    """Return what an activity would do; None for one that changes nothing, or that guards itself.

    Args:
        activity: the activity of the experiment.
        arguments: its arguments, with the values of configuration and secrets in their places.
        unguarded: names of activities that the experiment lets run though nobody knows what they do.

    Raises:
        UnsafeExperimentError: it may change the cluster, and nobody can say what.
    """
    provider = activity.get("provider") or {}
    module, func = str(provider.get("module", "")), str(provider.get("func", ""))
    extension = module.split(".", maxsplit=1)[0] == _EXTENSION
    acts = activity.get("type") == "action" or (extension and module.endswith("actions"))
    if not acts or module == OWN_MODULE or activity.get("name") in unguarded:
        return None
    translate = _FAULTS.get(func) if extension else None
    if translate is None:
        what = f"{module}.{func}" if module else f"a provider of type {provider.get('type')!r}"
        raise UnsafeExperimentError(
            f"action {activity.get('name')!r} uses {what}, of which nobody can tell beforehand what it would hit",
            f"use an action of {OWN_MODULE}; or name it in unguarded of the recorder control, at your own risk",
        )
    return translate(arguments)


def _deletion(arguments: Arguments) -> Fault:
    selection = PodSelection(
        namespace=str(arguments.get("ns") or "default"),
        label_selector=str(arguments.get("label_selector") or ""),
        name_pattern=str(arguments.get("name_pattern") or ""),
        count=int(arguments.get("qty", 1)),
        every=bool(arguments.get("all", False)),
        at_random=bool(arguments.get("rand", False)),
        oldest_first=arguments.get("order") == "oldest",
        percent=arguments.get("mode") == "percentage",
        listed=True,
    )
    return PodDeletion(selection, int(arguments.get("grace_period", -1)))


def _elder_deletion(arguments: Arguments) -> Fault:
    return _deletion(
        {"ns": arguments.get("ns"), "label_selector": arguments.get("label_selector")}
        | {"name_pattern": arguments.get("name")}
    )


def _scaling(kind: str) -> Callable[[Arguments], Fault]:
    return lambda arguments: Scaling(
        str(arguments.get("ns") or "default"), str(arguments.get("name") or ""), int(arguments["replicas"]), kind
    )


def _removal(arguments: Arguments) -> Fault:
    return ServiceRemoval(str(arguments.get("ns") or "default"), str(arguments.get("name") or ""))


def _drain(arguments: Arguments) -> Fault:
    """Return the drain of one named node; by any other selector the extension itself may draw one node twice."""
    others = [name for name in ("label_selector", "count", "pod_label_selector") if arguments.get(name)]
    if others or not arguments.get("name"):
        raise UnsafeExperimentError(
            "drain_nodes does not name its node, so it may drain every node of the cluster",
            f'name the node, or use "inject_node_drain" of {OWN_MODULE}, which draws one',
        )
    return NodeDrain(NodeSelection("", str(arguments["name"])), float(arguments.get("timeout", 120)))


_FAULTS: Mapping[str, Callable[[Arguments], Fault]] = {
    "delete_pods": _elder_deletion,
    "delete_service": _removal,
    "drain_nodes": _drain,
    "remove_service_endpoint": _removal,
    "scale_deployment": _scaling("Deployment"),
    "scale_microservice": _scaling("Deployment"),
    "scale_statefulset": _scaling("StatefulSet"),
    "terminate_pods": _deletion,
}
