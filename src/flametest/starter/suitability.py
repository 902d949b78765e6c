"""Which faults suit a workload by its role, and why others do not. Pure.

What serves requests loses a pod, is restarted pod by pod, and is scaled. What keeps data is taken away and crashes, and
never gets a second pod beside the first: two servers on the same files would end both. That also keeps a Deployment
that keeps data from losing a pod or being restarted, since the replacement starts while the pod still ends.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from flametest.starter.roles import Role, RoleName
from flametest.starter.system import Workload
from flametest.starter.topology import Topology

__all__ = ["REPLICAS_MAX", "Suitability", "Suited", "named", "reasons_told", "suitability"]

REPLICAS_MAX = 10  # more than these are refused unless an experiment widens its blast radius
_PARTS_NAMED_MAX = 5


class Suited(StrEnum):
    """A kind of experiment on a workload; the value names its file, before the workload's name."""

    DELETION = "pod-delete"
    RESTART = "rolling-restart"
    SCALING = "scale"
    OUTAGE = "outage"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Suitability:
    """What suits a workload.

    Attributes:
        workload: which one.
        kinds: the experiments that suit it; none when it is left alone.
        reasons: what is not written for it, such as ``no scaling``, and why.
    """

    workload: Workload
    kinds: frozenset[Suited]
    reasons: tuple[tuple[str, str], ...]


def suitability(topology: Topology, workload: Workload) -> Suitability:
    """Return which experiments suit a workload, and why others do not."""
    role = topology.role_of(workload)
    reason = _left_alone(topology, workload, role)
    if reason:
        return Suitability(workload, frozenset(), (("no experiment of its own for", reason),))
    return (_of_store if role.keeps_data else _of_server)(topology, workload)


def reasons_told(found: Iterable[Suitability]) -> tuple[str, ...]:
    """Return what is not written, and why: a line for all workloads that have the same reason."""
    parts: dict[tuple[str, str], list[str]] = {}
    for one in found:
        for reason in one.reasons:
            parts.setdefault(reason, []).append(str(one.workload))
    return tuple(f"{what} {named(names)}: {reason}" for (what, reason), names in parts.items())


def named(parts: Iterable[str]) -> str:
    """Return parts as a list that stays short: the first few, and how many more there are."""
    first = list(parts)
    more = len(first) - _PARTS_NAMED_MAX
    return ", ".join(first[:_PARTS_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _left_alone(topology: Topology, one: Workload, role: Role) -> str:
    """Return why nothing is done to a workload; empty when something may be."""
    # Without any Service nothing tells a worker from a server, and what happens to its pods can be measured.
    is_worker = role.name is RoleName.WORKER and not role.keeps_data and bool(topology.system.services)
    reasons = (
        (one.replicas == 0, "it is to have no pod"),
        (
            one.kind == "DaemonSet",
            "the nodes decide about its pods; node-drain and node-loss of Flametest's own system show how",
        ),
        (not one.selector.requirements, "its selector would select every pod"),
        (role.name is RoleName.GENERATOR, f"it plays the user ({role.reason})"),
        (role.name is RoleName.OBSERVER, f"it looks on, and users do not need it ({role.reason})"),
        (is_worker, "no Service leads to it, so users do not feel its pods directly"),
    )
    return next((reason for holds, reason in reasons if holds), "")


def _of_server(topology: Topology, one: Workload) -> Suitability:
    kinds = {Suited.DELETION}
    reasons = []
    if one.kind == "Deployment":
        kinds |= {Suited.RESTART, Suited.SCALING}
        if reason := _not_scaled(topology, one):
            kinds.remove(Suited.SCALING)
            reasons.append(("no scaling of", reason))
    return Suitability(one, frozenset(kinds), tuple(reasons))


def _not_scaled(topology: Topology, one: Workload) -> str:
    if (one.kind, one.name) in topology.system.scaled:
        return "an autoscaler would scale it back"
    if one.rollout.kind == "Recreate":
        return "its strategy Recreate says that no second pod may run alongside the first"
    if one.replicas >= REPLICAS_MAX:
        return f"it has {REPLICAS_MAX} pods or more, and more than {REPLICAS_MAX} are outside of the blast radius"
    return ""


def _of_store(topology: Topology, one: Workload) -> Suitability:
    role = topology.role_of(one)
    reasons = list(_never_doubled(one, role))
    if role.name is RoleName.STORE and not (one.claims or one.own_claims or one.host_paths):
        lost = "it keeps its data in no volume, so that they would be lost for good"
        return Suitability(one, frozenset(), (*reasons, ("no outage and no crash of", lost)))
    kinds = {Suited.CRASH}
    # Its pods are replaced one at a time, each only once the former one is gone.
    if one.kind == "StatefulSet" and one.replicas > 1:
        kinds.add(Suited.DELETION)
    if topology.serves(one):
        kinds.add(Suited.OUTAGE)
    else:
        reasons.append(("no outage of", "no Service leads to it, by which its absence could be proved"))
    return Suitability(one, frozenset(kinds), tuple(reasons))


def _never_doubled(one: Workload, role: Role) -> Iterator[tuple[str, str]]:
    reason = f"it is a {role.name}, and a pod alongside the one that keeps its data could harm them"
    if one.kind == "Deployment":
        yield "no scaling, pod deletion or restart of", reason
    else:
        yield "no scaling of", reason
