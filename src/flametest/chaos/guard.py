"""Refuses an action that would hit more than it means to, before anything is started or injected.

``terminate_pods`` of chaostoolkit-kubernetes draws from all pods of the namespace when it is given neither a label
selector nor a name pattern, and its elder name ``delete_pods`` does the same.
"""

from collections.abc import Mapping
from typing import Any

from flametest.chaos.errors import UnsafeExperimentError
from flametest.chaos.places import Step

__all__ = ["refuse_unselective"]

# The arguments of which one has to be given, by module and function.
_SELECTORS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("chaosk8s.pod.actions", "terminate_pods"): ("label_selector", "name_pattern"),
    ("chaosk8s.pod.actions", "delete_pods"): ("label_selector", "name"),
    ("chaosk8s.actions", "terminate_pods"): ("label_selector", "name_pattern"),
    ("chaosk8s.actions", "delete_pods"): ("label_selector", "name"),
}


def refuse_unselective(step: Step, arguments: Mapping[str, Any]) -> None:
    """Refuse an action that deletes pods and has no selector.

    Args:
        step: the action.
        arguments: its arguments, with the values of configuration and secrets in their places.

    Raises:
        UnsafeExperimentError: it has none; the message names the action.
    """
    needed = _SELECTORS.get((str(step.provider.get("module")), str(step.provider.get("func"))))
    if needed is not None and not any(str(arguments.get(name) or "").strip() for name in needed):
        raise UnsafeExperimentError(
            f"action {step.name!r} selects every pod of the namespace: expected {' or '.join(needed)}, found neither",
            f'add "{needed[0]}" to its arguments, such as "app=api"',
        )
