"""The gate: whether a fault's targets lie inside the blast radius. Pure; `flametest.faults.survey` asks the cluster.

Nothing may be hit by mistake, so a target needs two consents: its namespace is on the list of the one who runs the
experiment, and carries the label of the one to whom it belongs. And the targets must be few.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flametest.faults.errors import BlastRadiusError
from flametest.model.events import Target

__all__ = ["OPT_IN_LABEL", "OPT_IN_VALUE", "Radius", "Surroundings", "check", "refusals"]

OPT_IN_LABEL = "flametest.dev/faults"
OPT_IN_VALUE = "allowed"


@dataclass(frozen=True, slots=True)
class Radius:
    """What one fault may hit at most.

    Attributes:
        namespaces: the only namespaces in which anything may be hit.
        targets_max: objects at most.
        pods_share_max: of the pods of one controller, at most this share, between 0 and 1.
        nodes_max: nodes at most; they belong to no namespace, so none may be hit unless an experiment says so.
    """

    namespaces: frozenset[str]
    targets_max: int = 5
    pods_share_max: float = 0.5
    nodes_max: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the cluster says about the targets.

    Attributes:
        labels: the labels of each namespace that has a target; a namespace that does not exist is left out.
        controllers: the uid of the controller of each pod among the targets, by the pod's uid; empty without one.
        populations: how many pods each of these controllers has now.
    """

    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    controllers: Mapping[str, str] = field(default_factory=dict)
    populations: Mapping[str, int] = field(default_factory=dict)


def check(title: str, targets: Sequence[Target], radius: Radius, around: Surroundings) -> None:
    """Return if every target may be hit.

    Raises:
        BlastRadiusError: one may not, or there is none; the message names all reasons.
    """
    reasons = refusals(targets, radius, around)
    if reasons:
        raise BlastRadiusError(f"{title!r} was stopped before anything was touched: {'; '.join(reasons)}", _remedy())


def refusals(targets: Sequence[Target], radius: Radius, around: Surroundings) -> tuple[str, ...]:
    """Return why the targets may not be hit, a reason each; empty when they may."""
    if not targets:
        return ("it selects nothing",)
    nodes = [target for target in targets if target.kind == "Node"]
    reasons = [reason for namespace in _namespaces(targets) if (reason := _foreign(namespace, radius, around))]
    # An object without a namespace is everybody's; nodes have a limit of their own.
    reasons += [
        f"{one.kind} {one.name} is in no namespace" for one in targets if not one.namespace and one not in nodes
    ]
    if len(targets) > radius.targets_max:
        reasons.append(f"it hits {len(targets)} objects, more than the {radius.targets_max} that are allowed")
    if len(nodes) > radius.nodes_max:
        reasons.append(f"it hits {len(nodes)} nodes, more than the {radius.nodes_max} that are allowed")
    reasons += _too_many_pods(targets, radius, around)
    return tuple(reasons)


def _namespaces(targets: Sequence[Target]) -> list[str]:
    return sorted({target.namespace for target in targets if target.namespace})


def _foreign(namespace: str, radius: Radius, around: Surroundings) -> str:
    if namespace not in radius.namespaces:
        return f"namespace {namespace!r} is not one of {', '.join(sorted(radius.namespaces))}"
    labels = around.labels.get(namespace)
    if labels is None:
        return f"namespace {namespace!r} does not exist"
    if labels.get(OPT_IN_LABEL) != OPT_IN_VALUE:
        return f"namespace {namespace!r} does not carry the label {OPT_IN_LABEL}={OPT_IN_VALUE}"
    return ""


def _too_many_pods(targets: Sequence[Target], radius: Radius, around: Surroundings) -> list[str]:
    hit = Counter(around.controllers.get(one.uid, "") for one in targets if one.kind == "Pod")
    reasons = []
    for controller, count in hit.items():
        # A pod without a controller is all there is of it.
        population = max(around.populations.get(controller, 0) if controller else count, count)
        if count > radius.pods_share_max * population:
            reasons.append(
                f"it hits {count} of {population} pods of one controller, "
                f"more than the share of {radius.pods_share_max:.0%} that is allowed"
            )
    return reasons


def _remedy() -> str:
    return (
        "narrow the selector; or widen the radius on purpose by targets_max, pods_share_max or nodes_max of the "
        f"recorder control; a namespace gives its consent by the label {OPT_IN_LABEL}={OPT_IN_VALUE}"
    )
