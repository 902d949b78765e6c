"""Refuses an experiment that would hit more than it means to, before anything is started or injected.

``terminate_pods`` of chaostoolkit-kubernetes draws from all pods of the namespace when it is given neither a label
selector nor a name pattern, and its elder name ``delete_pods`` does the same.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flametest.chaos.errors import UnsafeExperimentError

__all__ = ["refuse_unselective"]

# The arguments of which one has to be given, by module and function.
_SELECTORS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("chaosk8s.pod.actions", "terminate_pods"): ("label_selector", "name_pattern"),
    ("chaosk8s.pod.actions", "delete_pods"): ("label_selector", "name"),
    ("chaosk8s.actions", "terminate_pods"): ("label_selector", "name_pattern"),
    ("chaosk8s.actions", "delete_pods"): ("label_selector", "name"),
}


def refuse_unselective(experiment: Mapping[str, Any], substitute: Callable[[Any], Any]) -> None:
    """Refuse an experiment in which an action that deletes pods has no selector.

    Args:
        experiment: the experiment.
        substitute: puts the values of configuration and secrets in place of ``${name}``.

    Raises:
        UnsafeExperimentError: such an action was found; the message names it.
    """
    for activity in (*experiment.get("method", ()), *experiment.get("rollbacks", ())):
        provider = activity.get("provider") or {}
        needed = _SELECTORS.get((provider.get("module", ""), provider.get("func", "")))
        if needed is None:
            continue
        arguments = substitute(provider.get("arguments") or {}) or {}
        if not any(str(arguments.get(name) or "").strip() for name in needed):
            raise UnsafeExperimentError(
                f"action {activity.get('name')!r} selects every pod of the namespace: "
                f"expected {' or '.join(needed)}, found neither",
                f'add "{needed[0]}" to its arguments, such as "app=api"',
            )
