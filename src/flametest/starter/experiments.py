"""Which experiments suit a system, what each promises, and which of them make a short suite. Pure.

A pod of every Deployment that serves requests is deleted, whatever their number: the promise is the same for one pod
as for several, so what a single one cannot keep shows. What keeps data is taken away, and has to come back. Services
are removed, and Deployments scaled, where requests run through them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flametest.starter.documents import FAULT_SECONDS, Call, Experiment
from flametest.starter.errors import StarterError
from flametest.starter.system import Workload
from flametest.starter.topology import Topology

__all__ = ["DEFAULT_LIMITS", "Plan", "make_plan"]

CORE_DELETIONS_MAX = 3
CORE_OUTAGES_MAX = 2

DEFAULT_LIMITS: Mapping[str, float] = {
    "outage_seconds": 3,
    "recovery_seconds": 30,
    "steady_seconds": 40,
    "availability": 0.99,
    "p95_ms": 1000,
}
_CONTROL_LIMITS = {"outage_seconds": 0, "recovery_seconds": 0, "steady_seconds": 1, "availability": 0.999}
_SCALING_LIMITS = {"outage_seconds": 1, "availability": 0.999}
# As long as the fault itself, and some seconds for the last request that waits in vain and for routes to come back.
_REMOVAL_LIMITS = {"outage_seconds": FAULT_SECONDS + 7, "availability": 0.4, "p95_ms": 2500}
_OUTAGE_LIMITS = {
    "outage_seconds": FAULT_SECONDS + 17,
    "recovery_seconds": 45,
    "steady_seconds": 50,
    "availability": 0.3,
    "p95_ms": 2500,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What tests a system.

    Attributes:
        topology: the system.
        url: where its users enter.
        paths: what they ask for, the most telling first.
        experiments: in the order in which they are run.
        core: the names of those of the short suite.
        left_out: parts without an experiment of their own, and why.
    """

    topology: Topology
    url: str
    paths: tuple[str, ...]
    experiments: tuple[Experiment, ...]
    core: tuple[str, ...]
    left_out: tuple[str, ...]


def make_plan(topology: Topology, url: str, paths: tuple[str, ...]) -> Plan:
    """Return what tests a system.

    Args:
        topology: the system.
        url: where its users enter.
        paths: what they can ask for, the most telling first; at least one.

    Raises:
        StarterError: it has no Deployment and no StatefulSet with a pod, so that nothing could be measured; or a path
            is none.
    """
    if wrong := [path for path in paths if not path.startswith("/")]:
        raise StarterError(
            f"path {wrong[0]!r} does not begin with a slash", "write it as users ask for it, such as /shop"
        )
    # The recorder measures how these recover; of a DaemonSet the nodes decide.
    measured = [one for one in topology.system.workloads if one.kind != "DaemonSet" and one.replicas > 0]
    if not measured:
        raise StarterError(
            f"namespace {topology.system.namespace!r} holds no Deployment and no StatefulSet that is to have pods",
            "scale one up first",
        )
    front = next((one for one in topology.entry_workloads if one in measured), measured[0])
    basis = _Basis(topology, url, paths[0], front)
    deletions = [_deletion(basis, one) for one in _exposed(topology, measured)]
    scalings = [_scaling(basis, one) for one in _exposed(topology, measured) if not _is_scaled(topology, one)]
    removals = list(_removals(basis, measured))
    outages = [_outage(basis, one) for one in _kept(topology, measured)]
    core = [*deletions[:CORE_DELETIONS_MAX], *outages[:CORE_OUTAGES_MAX]]
    control = _control(basis)
    return Plan(
        topology=topology,
        url=url,
        paths=paths,
        experiments=(control, *deletions, *scalings, *removals, *outages),
        core=tuple(one.name for one in core or [control]),
        left_out=tuple(_left_out(topology)),
    )


@dataclass(frozen=True, slots=True)
class _Basis:
    """What all experiments of a system share; ``front`` is the workload that answers users first."""

    topology: Topology
    url: str
    path: str
    front: Workload

    def experiment(
        self,
        name: str,
        hit: Workload,
        told: tuple[str, str],
        fault: Call | None,
        limits: Mapping[str, float],
        *,
        tags: tuple[str, ...],
        lasts: bool = False,
        pods_share_max: float | None = None,
    ) -> Experiment:
        """Return an experiment; ``told`` is its title and its description."""
        ready = dict.fromkeys((hit.name, self.front.name))
        return Experiment(
            name=name,
            title=told[0],
            description=told[1],
            tags=tags,
            namespace=self.topology.system.namespace,
            url=self.url,
            workload=hit.name,
            ready=tuple(ready),
            path=self.path,
            fault=fault,
            lasts=lasts,
            limits=limits,
            pods_share_max=pods_share_max,
        )


def _exposed(topology: Topology, measured: list[Workload]) -> list[Workload]:
    """Return the Deployments that serve requests, the entry's first; all of them where no Service is to be seen."""
    deployments = [one for one in measured if one.kind == "Deployment" and one.selector.requirements]
    serving = [one for one in deployments if topology.serves(one)] or deployments
    return sorted(serving, key=lambda one: one not in topology.entry_workloads)


def _kept(topology: Topology, measured: list[Workload]) -> list[Workload]:
    """Return the StatefulSets that others ask, those that are seen to be asked first; not what users ask themselves."""
    asked = [
        one
        for one in measured
        if one.kind == "StatefulSet" and topology.serves(one) and one not in topology.entry_workloads
    ]
    return sorted(asked, key=lambda one: not any(map(topology.users_of, topology.services_of(one))))


def _is_scaled(topology: Topology, workload: Workload) -> bool:
    return (workload.kind, workload.name) in topology.system.scaled


def _control(basis: _Basis) -> Experiment:
    told = (
        "Without a fault nothing is felt",
        "Injects nothing, and measures and judges everything as after a fault. Teaches what the system and its "
        "surroundings do by themselves: what is felt here, no fault is to blame for.",
    )
    return basis.experiment("control", basis.front, told, None, _CONTROL_LIMITS, tags=("control",))


def _deletion(basis: _Basis, workload: Workload) -> Experiment:
    name, alone = workload.name, workload.replicas == 1
    which = "the only" if alone else f"one of {workload.replicas}"
    teaches = (
        "how long users are without an answer while the one pod is replaced"
        if alone
        else "whether requests in flight are drained, how soon the replacement is Ready, and whether it gets its share"
    )
    told = (
        f"Users barely notice when {which} {name} pod{'' if alone else 's'} is deleted",
        f"Deletes {'the only' if alone else 'one'} {name} pod{'' if alone else ', chosen at random,'} under load. "
        f"Teaches {teaches}.",
    )
    arguments = {"label_selector": str(workload.selector), "qty": 1, "rand": True, "ns": "${namespace}"}
    fault = Call(f"delete-one-{name}-pod", "terminate_pods", arguments, "chaosk8s.pod.actions")
    tags = ("kubernetes", "pod", "deployment")
    share = 1.0 if alone else None
    return basis.experiment(f"pod-delete-{name}", workload, told, fault, {}, tags=tags, pods_share_max=share)


def _scaling(basis: _Basis, workload: Workload) -> Experiment:
    name, before = workload.name, workload.replicas
    after = before + max(1, before // 2)
    told = (
        f"Scaling {name} from {before} to {after} pods and back is not felt",
        f"Scales {name} to {after} pods under load, and back to {before} after {FAULT_SECONDS} s. Teaches whether new "
        "pods get requests only once they are ready, and whether those that leave finish what they have begun.",
    )
    fault = Call(f"scale-{name}", "inject_scaling", {"workload": name, "replicas": after})
    tags = ("kubernetes", "deployment", "scaling")
    return basis.experiment(f"scale-{name}", workload, told, fault, _SCALING_LIMITS, tags=tags, lasts=True)


def _removals(basis: _Basis, measured: list[Workload]) -> Iterator[Experiment]:
    """Yield the removal of the entry, and of each Service of a Deployment that another part names."""
    topology = basis.topology
    for service in sorted(topology.system.services, key=lambda one: one != topology.entry):
        hit = next((one for one in topology.behind[service.name] if one in measured), None)
        is_entry = service == topology.entry
        if hit is None or not (is_entry or (hit.kind == "Deployment" and topology.users_of(service.name))):
            continue
        users = ", ".join(one.workload.name for one in topology.users_of(service.name)) or "users"
        name = service.name
        told = (
            f"Service comes back by itself once the Service {name} is there again",
            f"Removes the Service {name}, which {users} asked, and makes it again after {FAULT_SECONDS} s. Teaches how "
            "it looks to users when a part cannot be reached, and that they are served again without anybody's help.",
        )
        fault = Call(f"remove-service-{name}", "inject_service_removal", {"service": name})
        tags = ("kubernetes", "service")
        yield basis.experiment(f"remove-service-{name}", hit, told, fault, _REMOVAL_LIMITS, tags=tags, lasts=True)


def _outage(basis: _Basis, workload: Workload) -> Experiment:
    name, topology = workload.name, basis.topology
    users = sorted({user.workload.name for one in topology.services_of(workload) for user in topology.users_of(one)})
    told = (
        f"Users are served again soon after {name} was away",
        f"Takes {name} away for {FAULT_SECONDS} s: its StatefulSet is scaled to no pod, and back. "
        f"{', '.join(users).capitalize() + ' ask' + ('s' if len(users) == 1 else '') + ' it. ' if users else ''}"
        "Teaches what users get meanwhile, and that connections to it are made anew without anybody's help.",
    )
    fault = Call(f"take-{name}-away", "inject_dependency_outage", {"workload": name, "kind": workload.kind})
    tags = ("kubernetes", "statefulset", "dependency")
    return basis.experiment(f"outage-{name}", workload, told, fault, _OUTAGE_LIMITS, tags=tags, lasts=True)


def _left_out(topology: Topology) -> Iterator[str]:
    for one in topology.system.workloads:
        if one.replicas == 0:
            yield f"{one}: it is to have no pod"
        elif one.kind == "DaemonSet":
            yield f"{one}: the nodes decide about its pods; node-drain and node-loss of Flametest's own system show how"
        elif not topology.serves(one):
            yield f"{one}: no Service leads to it, so users do not feel its pods directly"
        elif _is_scaled(topology, one):
            yield f"{one}: it is not scaled, since an autoscaler would scale it back"
