"""The gate: whether a fault's targets lie inside the blast radius. Pure; `flametest.faults.survey` asks the cluster.

Nothing may be hit by mistake, so a target needs two consents: its namespace is on the list of the one who runs the
experiment, and carries the label of the one to whom it belongs. And the targets must be few: those of all faults of an
experiment that it has not recovered from, so that many small faults are no way around the radius.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flametest.faults.errors import BlastRadiusError
from flametest.model.consent import CONSENT_LABEL, CONSENT_VALUE
from flametest.model.events import Target
from flametest.model.plurals import counted

__all__ = ["Hit", "Radius", "Surroundings", "check", "refusals"]

_NAMED_MAX = 5


@dataclass(frozen=True, slots=True)
class Radius:
    """What the faults of an experiment may hit at most at one time.

    Attributes:
        namespaces: the only namespaces in which anything may be hit.
        targets_max: objects at most.
        pods_share_max: of the pods of one controller, at most this share, between 0 and 1.
        nodes_max: nodes at most; they belong to no namespace, so none may be hit unless an experiment says so.
        replicas_max: replicas that a workload may be scaled to at most, unless it has more already. Pods that nobody
            planned for take room from everything on their nodes; ten fit on the smallest clusters, whose nodes take
            110 pods each, and show what scaling shows.
    """

    namespaces: frozenset[str]
    targets_max: int = 5
    pods_share_max: float = 0.5
    nodes_max: int = 0
    replicas_max: int = 10


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


@dataclass(frozen=True, slots=True)
class Hit:
    """What a fault of the experiment hits, or has hit.

    Attributes:
        targets: its targets.
        around: what the cluster said about them before the fault.
        gone: whether its targets are gone by now, so that another fault that selects the same ones hits others.
    """

    targets: tuple[Target, ...]
    around: Surroundings
    gone: bool = False


def check(
    title: str,
    targets: Sequence[Target],
    radius: Radius,
    around: Surroundings,
    *,
    earlier: Sequence[Hit] = (),
    replicas: int = 0,
) -> None:
    """Return if every target may be hit.

    Args:
        title: what the fault does.
        targets: its targets.
        radius: what may be hit.
        around: what the cluster says about the targets.
        earlier: what faults before it have hit, as far as the system has not recovered from them.
        replicas: how many more replicas than now it makes a workload have; 0 for none more.

    Raises:
        BlastRadiusError: one may not, or there is none; the message names all reasons.
    """
    reasons = refusals(targets, radius, around, earlier)
    if replicas > radius.replicas_max:
        reasons += (f"it scales to {replicas} replicas, more than the {radius.replicas_max} that are allowed",)
    if reasons:
        raise BlastRadiusError(f"{title!r} was stopped before anything was touched: {'; '.join(reasons)}", _remedy())


def refusals(
    targets: Sequence[Target], radius: Radius, around: Surroundings, earlier: Sequence[Hit] = ()
) -> tuple[str, ...]:
    """Return why the targets may not be hit, a reason each; empty when they may."""
    if not targets:
        return ("it selects nothing",)
    reasons = [
        f"{reason} ({_listed(targets, namespace)})"
        for namespace in _namespaces(targets)
        if (reason := _foreign(namespace, radius, around))
    ]
    # An object without a namespace is everybody's; nodes have a limit of their own.
    reasons += [
        f"{one.kind} {one.name} is in no namespace" for one in targets if not one.namespace and one.kind != "Node"
    ]
    together = _together(targets, earlier)
    hits = "it hits" if len(together) == len(targets) else "with the faults before it, it hits"
    nodes = [target for target in together if target.kind == "Node"]
    if len(together) > radius.targets_max:
        reasons.append(
            f"{hits} {counted(len(together), 'object')}, more than the {radius.targets_max} that are allowed"
        )
    if len(nodes) > radius.nodes_max:
        reasons.append(f"{hits} {counted(len(nodes), 'node')}, more than the {radius.nodes_max} that are allowed")
    reasons += [f"{hits} {reason}" for reason in _too_many_pods(together, radius, _joined(around, earlier))]
    return tuple(reasons)


def _together(targets: Sequence[Target], earlier: Sequence[Hit]) -> list[Target]:
    """Return the targets of all faults, each object once."""
    gone = [target for hit in earlier if hit.gone for target in hit.targets]
    there = [*targets, *(target for hit in earlier if not hit.gone for target in hit.targets)]
    return [*{target.uid or (target.kind, target.namespace, target.name): target for target in there}.values(), *gone]


def _joined(around: Surroundings, earlier: Sequence[Hit]) -> Surroundings:
    """Return the controllers of all pods, each with as many pods as it had before the first fault."""
    controllers, populations = dict(around.controllers), dict(around.populations)
    for hit in earlier:
        controllers = {**hit.around.controllers, **controllers}
        for controller, population in hit.around.populations.items():
            populations[controller] = max(population, populations.get(controller, 0))
    return Surroundings(around.labels, controllers, populations)


def _namespaces(targets: Sequence[Target]) -> list[str]:
    return sorted({target.namespace for target in targets if target.namespace})


def _listed(targets: Sequence[Target], namespace: str) -> str:
    """Return the targets in a namespace, such as ``Pod dns-1, Pod dns-2``."""
    names = [f"{target.kind} {target.name}" for target in targets if target.namespace == namespace]
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _foreign(namespace: str, radius: Radius, around: Surroundings) -> str:
    if namespace not in radius.namespaces:
        return f"namespace {namespace!r} is not one of {', '.join(sorted(radius.namespaces))}"
    labels = around.labels.get(namespace)
    if labels is None:
        return f"namespace {namespace!r} does not exist"
    if labels.get(CONSENT_LABEL) != CONSENT_VALUE:
        return f"namespace {namespace!r} does not carry the label {CONSENT_LABEL}={CONSENT_VALUE}"
    return ""


def _too_many_pods(targets: Sequence[Target], radius: Radius, around: Surroundings) -> list[str]:
    hit = Counter(around.controllers.get(one.uid, "") for one in targets if one.kind == "Pod")
    reasons = []
    for controller, count in hit.items():
        # A pod without a controller is all there is of it.
        population = max(around.populations.get(controller, 0) if controller else count, count)
        if count > radius.pods_share_max * population:
            reasons.append(
                f"{count} of {population} pods of one controller, "
                f"more than the share of {radius.pods_share_max:.0%} that is allowed"
            )
    return reasons


def _remedy() -> str:
    return (
        "narrow the selector; or widen the radius on purpose by targets_max, pods_share_max, nodes_max, replicas_max "
        "or namespaces of the recorder control; a namespace gives its consent by the label "
        f"{CONSENT_LABEL}={CONSENT_VALUE}"
    )
