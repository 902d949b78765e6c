"""Weaknesses that can be told from what is written down: `RULES`, a pure function of the evidence each.

Only what is certain is told: each weakness has its evidence in the objects themselves. Whether users feel it, and for
how long, is for an experiment to say.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

from flametest.starter.absences import ABSENCES
from flametest.starter.readiness import READINESS
from flametest.starter.roles import RoleName
from flametest.starter.system import Budget, Service, Workload
from flametest.starter.topology import Topology
from flametest.starter.weakness import Rule, Severity, Weakness

__all__ = ["RULES", "allowed_to_miss", "find_weaknesses", "is_floating"]


def find_weaknesses(topology: Topology) -> tuple[Weakness, ...]:
    """Return what all rules find, the worst first, then in the order of the rules."""
    ranks = list(Severity)
    found = [weakness for rule in RULES for weakness in rule.weaknesses(topology)]
    return tuple(sorted(found, key=lambda one: ranks.index(one.severity)))


def single_pod(topology: Topology, one: Workload) -> str:
    """One pod: whenever it goes, nobody is there."""
    users = sorted({user.workload.name for name in topology.services_of(one) for user in topology.users_of(name)})
    needed = f", needed by {', '.join(users)}" if users else ""
    return f"1 replica{needed}" if one.replicas == 1 else ""


def no_readiness_probe(_: Topology, one: Workload) -> str:
    """Requests are sent to pods that cannot answer yet."""
    if any(container.readiness for container in one.containers):
        return ""
    return f"no readinessProbe in {_containers(one)}, so a pod gets requests as soon as its process is there"


def no_liveness_probe(_: Topology, one: Workload) -> str:
    """A process that hangs stays."""
    if any(container.liveness for container in one.containers):
        return ""
    return f"no livenessProbe in {_containers(one)}, so a process that hangs is never started again"


def no_budget(topology: Topology, one: Workload) -> str:
    """Nodes may be drained of all pods at once; of a budget that could not be read, nothing is said."""
    if _budgets(topology, one) or "PodDisruptionBudget" in topology.system.unread:
        return ""
    return f"no PodDisruptionBudget selects its {one.replicas} pods, so drains may evict all of them at once"


def budget_that_blocks(topology: Topology, one: Workload) -> str:
    """Nodes can never be drained."""
    blocking = [
        f"PodDisruptionBudget {budget.name} has {budget} for {one.replicas} pods"
        for budget in _budgets(topology, one)
        if _evictable(budget, one.replicas) < 1
    ]
    return f"{' and '.join(blocking)}: none may be evicted, so no node of theirs can be drained" if blocking else ""


def not_spread(_: Topology, one: Workload) -> str:
    """One node takes all pods with it."""
    if one.is_spread:
        return ""
    return f"neither topologySpreadConstraints nor podAntiAffinity: its {one.replicas} pods may share one node"


def no_requests(_: Topology, one: Workload) -> str:
    """The scheduler packs what it takes for free; the node then ends it first."""
    lacking = [
        f"container {container.name} requests no {' and no '.join(missing)}"
        for container in one.containers
        if (missing := [name for name in ("cpu", "memory") if name not in container.requests])
    ]
    return f"{'; '.join(lacking)}: nodes may be overcommitted, and evict it first" if lacking else ""


def service_without_pods(topology: Topology, service: Service) -> str:
    """Every request to it fails; one without a selector has its endpoints from elsewhere."""
    selector = service.selector
    if not selector.requirements or service.kind == "ExternalName" or service.name in topology.backed:
        return ""
    return f"its selector {selector} selects no pod"


def service_without_port(topology: Topology, service: Service) -> str:
    """It has pods, and none of their ports is the one that it names."""
    astray = [
        f"port {port.number} leads to {port.target!r}, and no container of {workload} has a port of that name"
        for workload in topology.behind[service.name]
        for port in service.ports
        if not port.target.isdigit()
        and port.target not in {own.name for one in workload.containers for own in one.ports}
    ]
    return "; ".join(astray)


def rollout_takes_all(_: Topology, one: Workload) -> str:
    """A rollout is an outage."""
    limit = one.rollout.max_unavailable
    if one.rollout.kind != "RollingUpdate" or allowed_to_miss(limit, one.replicas) < one.replicas:
        return ""
    which = "its only pod" if one.replicas == 1 else f"all {one.replicas} pods"
    return f"maxUnavailable: {limit} lets a rollout take {which} at once"


def recreated(topology: Topology, one: Workload) -> str:
    """Likewise, on purpose; where only one pod may write, it is right."""
    if one.rollout.kind != "Recreate" or topology.role_of(one).name is RoleName.STORE:
        return ""
    return "strategy Recreate ends every pod before a new one starts: each rollout is an outage"


def floating_image(_: Topology, one: Workload) -> str:
    """What runs changes without a rollout, and cannot be rolled back."""
    floating = [
        f"container {container.name} runs {container.image}"
        for container in one.containers
        if is_floating(container.image)
    ]
    return f"{', '.join(floating)}: a pod that is replaced may run other code than its siblings" if floating else ""


def no_grace(_: Topology, one: Workload) -> str:
    """Pods end in the middle of their requests."""
    return (
        "terminationGracePeriodSeconds: 0 kills its pods in the middle of their requests"
        if not one.grace_seconds
        else ""
    )


def no_pre_stop(_: Topology, one: Workload) -> str:
    """Pods end while requests still come to them."""
    if one.grace_seconds == 0 or any(container.has_pre_stop for container in one.containers):
        return ""
    return f"no preStop in {_containers(one)}: a pod may stop before every node has learnt not to send to it"


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


def _containers(workload: Workload) -> str:
    names = [one.name for one in workload.containers]
    return f"{'container' if len(names) == 1 else 'containers'} {', '.join(names)}"


def _services(topology: Topology) -> Iterable[Service]:
    return topology.system.services


def _running(topology: Topology) -> list[Workload]:
    """Return what is to have pods; what is scaled to none has no weakness yet."""
    return [one for one in topology.system.workloads if one.replicas > 0]


def _serving(topology: Topology) -> list[Workload]:
    return [one for one in _running(topology) if topology.serves(one)]


def _rolling(topology: Topology) -> list[Workload]:
    return [one for one in _serving(topology) if one.kind == "Deployment"]


def _several(topology: Topology) -> list[Workload]:
    """Return the workloads of several pods that serve; a DaemonSet has them on several nodes anyway."""
    return [one for one in _serving(topology) if one.replicas > 1 and one.kind != "DaemonSet"]


def _keeping(topology: Topology) -> list[Workload]:
    return [one for one in _running(topology) if _keeps(topology, one)]


def _single(topology: Topology) -> list[Workload]:
    return [one for one in _rolling(topology) if not _keeps(topology, one)]


def _workers(topology: Topology) -> list[Workload]:
    return [
        one
        for one in _running(topology)
        if one.kind == "Deployment" and not topology.serves(one) and not _keeps(topology, one)
    ]


def _keeps(topology: Topology, one: Workload) -> bool:
    """Return whether a second pod would not be just one more of the same, so that the advice is another one."""
    return one.kind == "StatefulSet" or (one.kind == "Deployment" and topology.role_of(one).keeps_data)


RULES: tuple[Rule[Any], ...] = (
    *ABSENCES,
    Rule("single-pod", Severity.HIGH, _single, single_pod, "run two or more pods"),
    Rule(
        "single-pod",
        Severity.HIGH,
        _keeping,
        single_pod,
        "replicate it, or make its users bear its absence, which its outage experiment shows",
    ),
    Rule("single-pod", Severity.MEDIUM, _workers, single_pod, "run two or more pods"),
    Rule(
        "service-without-pods",
        Severity.HIGH,
        _services,
        service_without_pods,
        "fix the selector or the pods' labels, or remove the Service",
    ),
    Rule(
        "service-without-port",
        Severity.HIGH,
        _services,
        service_without_port,
        "fix targetPort, or name the container's port",
    ),
    Rule(
        "no-readiness-probe",
        Severity.HIGH,
        _serving,
        no_readiness_probe,
        "add a readinessProbe that fails while the pod cannot serve",
    ),
    Rule(
        "recreate-strategy",
        Severity.HIGH,
        _rolling,
        recreated,
        "use RollingUpdate; or, where only one pod may write, a StatefulSet and users that bear its absence",
    ),
    Rule("rollout-takes-all", Severity.HIGH, _rolling, rollout_takes_all, "set maxUnavailable: 0 and maxSurge: 1"),
    Rule("no-grace", Severity.HIGH, _rolling, no_grace, "give them the time that a request takes"),
    *READINESS,
    Rule(
        "no-disruption-budget",
        Severity.MEDIUM,
        _several,
        no_budget,
        "add a PodDisruptionBudget with maxUnavailable: 1",
    ),
    Rule(
        "budget-blocks-drains",
        Severity.MEDIUM,
        _running,
        budget_that_blocks,
        "allow one pod to be missing, and run enough of them",
    ),
    Rule(
        "not-spread", Severity.MEDIUM, _several, not_spread, "add a topologySpreadConstraint on kubernetes.io/hostname"
    ),
    Rule("no-resource-requests", Severity.MEDIUM, _running, no_requests, "request what it uses under load"),
    Rule("floating-image", Severity.MEDIUM, _running, floating_image, "name a version, or a digest"),
    Rule(
        "no-pre-stop",
        Severity.LOW,
        _rolling,
        no_pre_stop,
        "add a preStop sleep of a few seconds, or keep accepting for as long after SIGTERM",
    ),
    Rule(
        "no-liveness-probe",
        Severity.LOW,
        _running,
        no_liveness_probe,
        "add a patient livenessProbe that checks only the process itself",
    ),
)
