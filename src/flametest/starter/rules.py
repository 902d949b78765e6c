"""Weaknesses that can be told from what is written down: a pure function each, and `RULES`, which lists them.

Only what is certain is told: each weakness has its evidence in the objects themselves. Whether users feel it, and for
how long, is for an experiment to say.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from flametest.starter.system import Budget, Workload
from flametest.starter.topology import Topology

__all__ = ["RULES", "Severity", "Weakness", "allowed_to_miss", "find_weaknesses", "is_floating"]


class Severity(StrEnum):
    """What a weakness leads to: HIGH an outage by itself, MEDIUM one together with an ordinary event, LOW doubt."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Weakness:
    """One weakness.

    Attributes:
        rule: its name, which stays the same between versions.
        severity: how bad.
        part: the object, such as ``Deployment api``.
        evidence: what was found.
        advice: what to do about it.
    """

    rule: str
    severity: Severity
    part: str
    evidence: str
    advice: str


Rule = Callable[[Topology], Iterator[Weakness]]


def find_weaknesses(topology: Topology) -> tuple[Weakness, ...]:
    """Return what all rules find, the worst first, then by rule and object."""
    ranks = list(Severity)
    found = [weakness for rule in RULES for weakness in rule(topology)]
    return tuple(sorted(found, key=lambda one: ranks.index(one.severity)))


def single_pod(topology: Topology) -> Iterator[Weakness]:
    """One pod: whenever it goes, nobody is there."""
    for one in _running(topology):
        if one.replicas == 1 and one.kind != "DaemonSet":
            kept = one.kind == "StatefulSet"
            advice = (
                "replicate it, or make its users bear its absence, which its outage experiment shows"
                if kept
                else "run two or more pods"
            )
            users = ", ".join(
                user.workload.name for name in topology.services_of(one) for user in topology.users_of(name)
            )
            evidence = f"1 replica{f', needed by {users}' if users else ''}"
            severity = Severity.HIGH if topology.serves(one) else Severity.MEDIUM
            yield Weakness("single-pod", severity, str(one), evidence, advice)


def no_readiness_probe(topology: Topology) -> Iterator[Weakness]:
    """Requests are sent to pods that cannot answer yet."""
    for one in _serving(topology):
        if all(container.readiness is None for container in one.containers):
            yield Weakness(
                "no-readiness-probe",
                Severity.HIGH,
                str(one),
                f"no readinessProbe in {_containers(one)}, so a pod gets requests as soon as its process is there",
                "add a readinessProbe that fails while the pod cannot serve",
            )


def no_liveness_probe(topology: Topology) -> Iterator[Weakness]:
    """A process that hangs stays."""
    for one in _running(topology):
        if all(container.liveness is None for container in one.containers):
            yield Weakness(
                "no-liveness-probe",
                Severity.LOW,
                str(one),
                f"no livenessProbe in {_containers(one)}, so a process that hangs is never started again",
                "add a patient livenessProbe that asks for nothing but the process itself",
            )


def no_budget(topology: Topology) -> Iterator[Weakness]:
    """Nodes may be drained of all pods at once."""
    if "PodDisruptionBudget" in topology.system.unread:
        return
    for one in _serving(topology):
        if one.replicas > 1 and one.kind != "DaemonSet" and not _budgets(topology, one):
            yield Weakness(
                "no-disruption-budget",
                Severity.MEDIUM,
                str(one),
                f"no PodDisruptionBudget selects its {one.replicas} pods, so drains may evict all of them at once",
                "add a PodDisruptionBudget with maxUnavailable: 1",
            )


def budget_that_blocks(topology: Topology) -> Iterator[Weakness]:
    """Nodes can never be drained."""
    for one in _running(topology):
        for budget in _budgets(topology, one):
            if _evictable(budget, one.replicas) < 1:
                limit = (
                    f"maxUnavailable: {budget.max_unavailable}"
                    if budget.max_unavailable
                    else f"minAvailable: {budget.min_available}"
                )
                yield Weakness(
                    "budget-blocks-drains",
                    Severity.MEDIUM,
                    str(one),
                    f"PodDisruptionBudget {budget.name} has {limit} for {one.replicas} pods: none may be evicted, "
                    "so its node cannot be drained",
                    "allow one pod to be missing, and run enough of them",
                )


def no_requests(topology: Topology) -> Iterator[Weakness]:
    """The scheduler packs what it takes for free; the node then ends it first."""
    for one in _running(topology):
        lacking = {
            container.name: [name for name in ("cpu", "memory") if name not in container.requests]
            for container in one.containers
        }
        told = "; ".join(
            f"container {name}: no {' and no '.join(missing)}" for name, missing in lacking.items() if missing
        )
        if told:
            yield Weakness(
                "no-resource-requests",
                Severity.MEDIUM,
                str(one),
                f"{told} requested, so nodes may be overcommitted and these pods are evicted first",
                "request what it uses under load",
            )


def not_spread(topology: Topology) -> Iterator[Weakness]:
    """One node takes all pods with it."""
    for one in _running(topology):
        if one.replicas > 1 and one.kind != "DaemonSet" and not one.is_spread:
            yield Weakness(
                "not-spread",
                Severity.MEDIUM if topology.serves(one) else Severity.LOW,
                str(one),
                f"neither topologySpreadConstraints nor podAntiAffinity: its {one.replicas} pods may share one node",
                "add a topologySpreadConstraint on kubernetes.io/hostname",
            )


def service_without_pods(topology: Topology) -> Iterator[Weakness]:
    """Every request to it fails."""
    for service in topology.system.services:
        if not service.selector.requirements or service.kind == "ExternalName":
            continue
        if topology.behind[service.name] or any(map(service.selector.matches, topology.system.other_pods)):
            continue
        yield Weakness(
            "service-without-pods",
            Severity.HIGH,
            str(service),
            f"its selector {service.selector} selects no pod",
            "mend the selector or the pods' labels, or remove the Service",
        )


def service_without_port(topology: Topology) -> Iterator[Weakness]:
    """It has pods, and none of their ports is the one that it names."""
    for service in topology.system.services:
        for workload in topology.behind[service.name]:
            names = {port.name for container in workload.containers for port in container.ports}
            for number, target in service.ports.items():
                if not target.isdigit() and target not in names:
                    yield Weakness(
                        "service-without-port",
                        Severity.HIGH,
                        str(service),
                        f"port {number} leads to {target!r}, and no container of {workload} has a port of that name",
                        "mend targetPort, or name the container's port",
                    )


def rollout_takes_all(topology: Topology) -> Iterator[Weakness]:
    """A rollout is an outage."""
    for one in _serving(topology):
        if one.kind != "Deployment" or one.rollout.kind != "RollingUpdate":
            continue
        missing = allowed_to_miss(one.rollout.max_unavailable, one.replicas)
        if missing >= one.replicas:
            yield Weakness(
                "rollout-takes-all",
                Severity.HIGH,
                str(one),
                f"maxUnavailable: {one.rollout.max_unavailable} lets a rollout take "
                f"{'its only pod' if one.replicas == 1 else f'all {one.replicas} pods'} at once",
                "set maxUnavailable: 0 and maxSurge: 1",
            )


def recreated(topology: Topology) -> Iterator[Weakness]:
    """Likewise, on purpose."""
    for one in _serving(topology):
        if one.kind == "Deployment" and one.rollout.kind == "Recreate":
            yield Weakness(
                "recreate-strategy",
                Severity.HIGH,
                str(one),
                "strategy Recreate ends every pod before a new one starts: each rollout is an outage",
                "use RollingUpdate; or, where only one pod may write, a StatefulSet and users that bear its absence",
            )


def floating_image(topology: Topology) -> Iterator[Weakness]:
    """What runs changes without a rollout, and cannot be rolled back."""
    for one in _running(topology):
        for container in one.containers:
            if is_floating(container.image):
                yield Weakness(
                    "floating-image",
                    Severity.MEDIUM,
                    str(one),
                    f"container {container.name} runs {container.image}, so a pod that is replaced may run other code "
                    "than its siblings",
                    "name a version, or a digest",
                )


def no_drain(topology: Topology) -> Iterator[Weakness]:
    """Pods end while requests still come to them."""
    for one in _serving(topology):
        if one.kind != "Deployment":
            continue
        if one.grace_seconds == 0:
            yield Weakness(
                "no-grace",
                Severity.HIGH,
                str(one),
                "terminationGracePeriodSeconds: 0 kills its pods in the middle of their requests",
                "give them the time that a request takes",
            )
        elif not any(container.has_pre_stop for container in one.containers):
            yield Weakness(
                "no-pre-stop",
                Severity.LOW,
                str(one),
                f"no preStop in {_containers(one)}: a pod may stop before every node has learnt not to send to it",
                "add a preStop sleep of a few seconds, or keep accepting for as long after SIGTERM",
            )


RULES: tuple[Rule, ...] = (
    single_pod,
    service_without_pods,
    service_without_port,
    no_readiness_probe,
    recreated,
    rollout_takes_all,
    no_drain,
    no_budget,
    budget_that_blocks,
    not_spread,
    no_requests,
    floating_image,
    no_liveness_probe,
)


def allowed_to_miss(limit: str, replicas: int) -> int:
    """Return how many of ``replicas`` pods a rollout's ``maxUnavailable`` lets be missing; a share is rounded down.

    https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-unavailable
    """
    return min(_amount(limit, replicas, math.floor), replicas)


def is_floating(image: str) -> bool:
    """Return whether an image's name leaves open what it is: without tag and digest, or with the tag latest."""
    name, _, digest = image.partition("@")
    if digest or not name:
        return False
    # A colon before the last slash is that of a registry's port.
    tag = name.rsplit("/", maxsplit=1)[-1].partition(":")[2]
    return tag in ("", "latest")


def _evictable(budget: Budget, replicas: int) -> int:
    """Return how many pods may be evicted while all are well; both shares are rounded up.

    https://kubernetes.io/docs/tasks/run-application/configure-pdb/#rounding-logic-when-specifying-percentages
    """
    if budget.max_unavailable:
        return _amount(budget.max_unavailable, replicas, math.ceil)
    if budget.min_available:
        return replicas - _amount(budget.min_available, replicas, math.ceil)
    return replicas


def _amount(limit: str, replicas: int, rounded: Callable[[float], int]) -> int:
    share = limit.removesuffix("%")
    if not share.isascii() or not share.isdigit():
        return 0  # the API refuses such a limit, so it allows nothing
    return rounded(replicas * int(share) / 100) if share != limit else int(share)


def _budgets(topology: Topology, workload: Workload) -> tuple[Budget, ...]:
    return tuple(budget for budget in topology.system.budgets if budget.covers(workload))


def _running(topology: Topology) -> Iterator[Workload]:
    """Yield what is to have pods; what is scaled to none has no weakness yet."""
    return (one for one in topology.system.workloads if one.replicas > 0)


def _serving(topology: Topology) -> Iterator[Workload]:
    return (one for one in _running(topology) if topology.serves(one))


def _containers(workload: Workload) -> str:
    names = [one.name for one in workload.containers]
    return f"{'container' if len(names) == 1 else 'containers'} {', '.join(names)}"
