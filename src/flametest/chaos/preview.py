"""What an experiment would hit, resolved on the cluster, without injecting anything."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flametest.chaos import session
from flametest.chaos.arguments import check_arguments
from flametest.chaos.errors import MalformedExperimentError
from flametest.chaos.gate import check_experiment, unguarded_of
from flametest.chaos.guarded import guarded_fault, is_fault, is_own_fault
from flametest.chaos.injections import Foreseen, Listing, Preview
from flametest.chaos.places import Place, Step, activities_of
from flametest.chaos.radius import Limits
from flametest.chaos.reading import OWN_ACTIONS, OWN_PROBES
from flametest.chaos.values import Values
from flametest.faults.protocol import Fault
from flametest.kube import KubeClient
from flametest.model.events import Target

__all__ = ["UNGUARDED", "Aimed", "foreseen", "preview"]

UNGUARDED = "not checked (unguarded)"


@dataclass(frozen=True, slots=True)
class Aimed:
    """One fault of an experiment: the activity's name, what it would do, and to what.

    What is not known beforehand has no targets, and its title says why.
    """

    activity: str
    title: str
    targets: tuple[Target, ...]

    @property
    def is_looked_into(self) -> bool:
        """Return whether its targets were resolved and gated."""
        return bool(self.targets)


def preview(experiment: Mapping[str, Any], values: Values, client: KubeClient, namespace: str) -> tuple[Aimed, ...]:
    """Return what every fault of an experiment would hit now; random ones are drawn again when they are injected.

    The blast radius is that of the whole experiment: a fault counts until the method heals it, and pods that were
    deleted or crashed until the method waits for recovery.

    Args:
        experiment: the experiment.
        values: its configuration and secrets.
        client: the cluster.
        namespace: the namespace of the system under test.

    Raises:
        FlametestError: a fault is outside of the radius, selects nothing, or cannot be told beforehand.
    """
    limits = check_experiment(experiment, values)
    faults = Preview(client, limits.radius(namespace), namespace)
    aimed = [Aimed(name, UNGUARDED, ()) for name in unguarded_of(experiment, limits)]
    for step in _acting(experiment, limits):
        later = values.unknown(step.provider.get("arguments"))
        if later and is_fault(step.provider):
            aimed.append(Aimed(step.name, f"known only in the run, by the configuration {', '.join(later)}", ()))
            continue
        before = len(faults.shown)
        _hand_over(step, values, limits, faults)
        aimed += [Aimed(step.name, one.title, targets) for one, targets in faults.shown[before:]]
    return tuple(aimed)


def foreseen(experiment: Mapping[str, Any], values: Values, namespace: str) -> tuple[Fault, ...]:
    """Return the faults of an experiment with their options, and ask no cluster; see `preview` for the arguments.

    Raises:
        FlametestError: nobody can tell beforehand what an action would do, or it cannot be run.
    """
    limits = check_experiment(experiment, values)
    faults = Listing(namespace)
    for step in _acting(experiment, limits):
        if not values.unknown(step.provider.get("arguments")):
            _hand_over(step, values, limits, faults)
    return tuple(faults.listed)


def _acting(experiment: Mapping[str, Any], limits: Limits) -> Iterator[Step]:
    for step in activities_of(experiment):
        if step.name not in limits.unguarded or is_own_fault(step.provider):
            yield step


def _hand_over(step: Step, values: Values, limits: Limits, faults: Foreseen) -> None:
    """Give the fault of an activity, if it has one, to ``faults``, by the activity's own action where it is ours.

    The fault of a foreign action is called by its function.
    """
    arguments = values.fill(step.provider.get("arguments") or {})
    module, name = step.provider.get("module"), str(step.provider.get("func", ""))
    if module in (OWN_ACTIONS, OWN_PROBES):
        function = getattr(importlib.import_module(str(module)), name, None)
        if function is None:
            raise MalformedExperimentError(f"{step.name!r} uses {module}.{name}, which does not exist", "fix its func")
        check_arguments(step.name, function, arguments)
        if is_own_fault(step.provider):
            with session.previewing(faults):
                function(**arguments)
        elif name in ("heal_faults", "await_recovery") and step.place is not Place.HYPOTHESIS:
            faults.recover(lasting=name == "heal_faults", names=arguments.get("names"))
        return
    fault = guarded_fault(step.activity, arguments, limits.unguarded)
    if fault is not None:
        faults.inject(fault)
