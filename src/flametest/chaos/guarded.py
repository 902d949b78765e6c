"""chaostoolkit-kubernetes' own actions as faults: what they would hit, and how to take it back. Pure.

Those that are not known here are refused, and so is whatever else could change a cluster without anybody knowing how:
a program, a request that writes, or a foreign module, be it called an action or a probe, runs only if the experiment
names it as ``unguarded``.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from flametest.chaos.errors import UnsafeExperimentError
from flametest.chaos.reading import OWN_ACTIONS, only_reads
from flametest.chaos.values import Values
from flametest.faults.node_drain import NodeDrain
from flametest.faults.nodes import NodeSelection
from flametest.faults.pod_deletion import PodDeletion
from flametest.faults.protocol import Fault
from flametest.faults.scaling import Scaling
from flametest.faults.selection import PodSelection
from flametest.faults.service_removal import ServiceRemoval

__all__ = ["OWN_MODULE", "guarded_fault", "is_fault", "is_own_fault", "refuse_other_cluster"]

OWN_MODULE = OWN_ACTIONS
_INJECTING = "inject_"  # how the actions of Flametest that inject are named
_EXTENSION = "chaosk8s"
_HARMLESS_SECRETS = frozenset({"KUBERNETES_DEBUG", "KUBERNETES_VERIFY_SSL"})

Arguments = Mapping[str, Any]


def is_own_fault(provider: Mapping[str, Any]) -> bool:
    """Return whether a provider is an action of Flametest that injects; it guards itself."""
    own = provider.get("type") == "python" and provider.get("module") == OWN_MODULE
    return own and str(provider.get("func")).startswith(_INJECTING)


def is_fault(provider: Mapping[str, Any]) -> bool:
    """Return whether a provider is an action whose targets can be told beforehand."""
    return is_own_fault(provider) or _translation(provider) is not None


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
    if activity.get("name") in unguarded or only_reads(provider) or is_own_fault(provider):
        return None
    translate = _translation(provider)
    if translate is None:
        raise UnsafeExperimentError(
            f"{_plain(activity.get('type'))} {activity.get('name')!r} uses {_told(provider)}, "
            "and there is no way to know in advance what it would hit",
            f"use an action of {OWN_MODULE}; or name it in unguarded of the recorder control, at your own risk",
        )
    try:
        return translate(arguments)
    except (TypeError, ValueError) as error:
        raise UnsafeExperimentError(
            f"action {activity.get('name')!r} cannot be run: {error}", "fix its arguments"
        ) from error


def refuse_other_cluster(activity: Mapping[str, Any], values: Values) -> None:
    """Refuse an activity of chaostoolkit-kubernetes that would act on another cluster than the system's.

    Raises:
        UnsafeExperimentError: its secrets choose a cluster.
    """
    provider = activity.get("provider") or {}
    if str(provider.get("module")).split(".", maxsplit=1)[0] != _EXTENSION:
        return
    for key, value in _secrets(provider, values).items():
        same = key == "KUBERNETES_CONTEXT" and values.context in ("", value)
        if str(key).startswith("KUBERNETES_") and key not in _HARMLESS_SECRETS and not same:
            raise UnsafeExperimentError(
                f"activity {activity.get('name')!r} chooses a cluster by the secret {key}, "
                "and it may be another one than the system's",
                "leave it out: the cluster is that of KUBECONFIG and KUBERNETES_CONTEXT",
            )


def _secrets(provider: Mapping[str, Any], values: Values) -> dict[Any, Any]:
    """Return the secrets that Chaos Toolkit hands to a function, by whichever way."""
    found: dict[Any, Any] = {}
    arguments = values.fill(provider.get("arguments") or {})
    given = arguments.get("secrets") if isinstance(arguments, Mapping) else None
    for part in (given, *(values.secrets.get(one) for one in provider.get("secrets") or ())):
        found |= part if isinstance(part, dict) else {}
    return found


def _told(provider: Mapping[str, Any]) -> str:
    if provider.get("type") == "http":
        return f"a request by {provider.get('method', 'GET')!r}"
    if provider.get("type") == "python":
        return f"{_plain(provider.get('module'))}.{_plain(provider.get('func'))}"
    return f"a provider of type {provider.get('type')!r}"


def _plain(value: Any) -> str:
    """Return a text as it is; one that would break the line, and what is no text, as Python writes it."""
    return value if isinstance(value, str) and value.isprintable() else repr(value)


def _translation(provider: Mapping[str, Any]) -> "Callable[[Arguments], Fault] | None":
    module, func = str(provider.get("module", "")), str(provider.get("func", ""))
    parts = module.split(".")
    is_action = provider.get("type") == "python" and parts[0] == _EXTENSION and parts[-1] == "actions"
    return _FAULTS.get(func) if is_action else None


def _deletion(arguments: Arguments) -> Fault:
    selection = PodSelection(
        namespace=_text(arguments, "ns") or "default",
        label_selector=_text(arguments, "label_selector"),
        name_pattern=_text(arguments, "name_pattern"),
        count=_whole(arguments, "qty", 1),
        every=bool(arguments.get("all", False)),
        at_random=bool(arguments.get("rand", False)),
        oldest_first=_choice(arguments, "order", ("alphabetic", "oldest")) == "oldest",
        percent=_choice(arguments, "mode", ("fixed", "percentage")) == "percentage",
        listed=True,
    )
    try:
        re.compile(selection.name_pattern)
    except re.error as error:
        raise ValueError(f"its name pattern {selection.name_pattern!r} is no regular expression: {error}") from error
    return PodDeletion(selection, _whole(arguments, "grace_period", -1, at_least=None))


def _elder_deletion(arguments: Arguments) -> Fault:
    return _deletion(
        {"ns": arguments.get("ns"), "label_selector": arguments.get("label_selector")}
        | {"name_pattern": arguments.get("name")}
    )


def _scaling(kind: str) -> Callable[[Arguments], Fault]:
    return lambda arguments: Scaling(
        _text(arguments, "ns") or "default", _name(arguments), _whole(arguments, "replicas"), kind
    )


def _removal(arguments: Arguments) -> Fault:
    return ServiceRemoval(_text(arguments, "ns") or "default", _name(arguments))


def _drain(arguments: Arguments) -> Fault:
    """Return the drain of one named node; by any other selector the extension itself may draw one node twice."""
    others = [name for name in ("label_selector", "count", "pod_label_selector") if arguments.get(name)]
    if others or not arguments.get("name"):
        raise UnsafeExperimentError(
            "drain_nodes does not name its node, so it may drain every node of the cluster",
            f'name the node, or use "inject_node_drain" of {OWN_MODULE}, which draws one',
        )
    return NodeDrain(NodeSelection("", _name(arguments)), float(_whole(arguments, "timeout", 120)))


def _text(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str | None):
        raise TypeError(f"its {name} is {value!r}: expected a text")
    return value or ""


def _name(arguments: Arguments) -> str:
    name = _text(arguments, "name")
    if not name:
        raise ValueError("it names nothing: expected a name")
    return name


def _whole(arguments: Arguments, name: str, default: int | None = None, at_least: int | None = 0) -> int:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or (at_least is not None and value < at_least):
        found = "none" if value is None and name not in arguments else repr(value)
        wanted = "a whole number" if at_least is None else f"a whole number of at least {at_least}"
        raise ValueError(f"its {name} is {found}: expected {wanted}")
    return value


def _choice(arguments: Arguments, name: str, choices: tuple[str, ...]) -> str:
    value = arguments.get(name, choices[0])
    if value not in choices:
        raise ValueError(f"its {name} is {value!r}: expected {' or '.join(choices)}")
    return str(value)


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
