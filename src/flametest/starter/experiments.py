"""The experiments that `flametest.starter.suitability` chooses: what each does, claims, teaches and promises. Pure.

The promise is the same for one pod as for several, so that what a single one cannot keep shows. What keeps data may be
felt while it is away, and has to be served again by itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flametest.starter.documents import FAULT_SECONDS, RECOVERY_SECONDS_MAX, Call, Experiment
from flametest.starter.suitability import REPLICAS_MAX, Suited
from flametest.starter.system import Service, Workload
from flametest.starter.topology import Topology

__all__ = ["DEFAULT_LIMITS", "Basis", "control", "experiment_for", "removal", "silence"]

DEFAULT_LIMITS: Mapping[str, float] = {
    "outage_seconds": 3,
    "recovery_seconds": 30,
    "steady_seconds": 40,
    "availability": 0.99,
    "p95_ms": 1000,
}
_CONTROL_LIMITS = {"outage_seconds": 0, "recovery_seconds": 0, "steady_seconds": 1, "availability": 0.999}
_SCALING_LIMITS = {"outage_seconds": 1, "availability": 0.999}
# As long as a fault is waited for: pods are replaced one after another.
_RESTART_LIMITS = {
    "outage_seconds": 1,
    "recovery_seconds": RECOVERY_SECONDS_MAX,
    "steady_seconds": RECOVERY_SECONDS_MAX + 10,
    "availability": 0.999,
}
# As long as the fault itself, and some seconds for the last request that waits in vain and for routes to come back.
_REMOVAL_LIMITS = {"outage_seconds": FAULT_SECONDS + 7, "availability": 0.4, "p95_ms": 2500}
_OUTAGE_LIMITS = {
    "outage_seconds": FAULT_SECONDS + 17,
    "recovery_seconds": 45,
    "steady_seconds": 50,
    "availability": 0.3,
    "p95_ms": 2500,
}
_CRASH_LIMITS = {
    "outage_seconds": 15,
    "recovery_seconds": 45,
    "steady_seconds": 50,
    "availability": 0.5,
    "p95_ms": 2500,
}
# On SIGTERM PostgreSQL waits for its clients to leave; SIGINT is what its image asks to be stopped by.
# https://www.postgresql.org/docs/current/server-shutdown.html
_INTERRUPTED = ("postg", "pgvector", "timescale", "spilo")


@dataclass(frozen=True, slots=True)
class Basis:
    """What all experiments of a system share.

    Attributes:
        topology: the system.
        url: where its users enter.
        paths: what they ask for, the most telling first.
        front: the workload that answers users first.
        telling: the path that is seen to need a workload, by its kind and name.
        ambiguous: names that several workloads have.
    """

    topology: Topology
    url: str
    paths: tuple[str, ...]
    front: Workload
    telling: Mapping[str, str]
    ambiguous: frozenset[str]

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
        path = self.telling.get(str(hit), self.paths[0])
        return Experiment(
            name=name,
            title=told[0],
            description=told[1],
            tags=("kubernetes", *tags),
            namespace=self.topology.system.namespace,
            url=self.url,
            workload=hit.name,
            ready=tuple(ready),
            path=path,
            fault=fault,
            lasts=lasts,
            limits=limits,
            pods_share_max=pods_share_max,
        )

    def name(self, kind: Suited, workload: Workload) -> str:
        """Return an experiment's name; it tells the kind of a workload whose name another one has too."""
        return f"{kind}-{workload.name}" + (f"-{workload.kind.lower()}" if workload.name in self.ambiguous else "")


def control(basis: Basis) -> Experiment:
    """Return the experiment that injects nothing."""
    told = (
        "Without a fault users notice nothing",
        "Injects nothing, but measures and judges everything as after a fault. Teaches what the system and its "
        "surroundings do by themselves: no fault is to blame for what users notice here.",
    )
    return basis.experiment("control", basis.front, told, None, _CONTROL_LIMITS, tags=("control",))


def experiment_for(basis: Basis, kind: Suited, workload: Workload) -> Experiment:
    """Return the experiment of a kind on a workload that it suits."""
    return {
        Suited.DELETION: _deletion,
        Suited.RESTART: _restart,
        Suited.SCALING: _scaling,
        Suited.OUTAGE: _outage,
        Suited.CRASH: _crash,
    }[kind](basis, workload)


def removal(basis: Basis, service: Service, hit: Workload) -> Experiment:
    """Return the removal of a Service, behind which are pods of ``hit``."""
    name = service.name
    users = ", ".join(one.workload.name for one in basis.topology.users_of(name)) or "users"
    told = (
        f"Users are served again once the Service {name} is back",
        f"Removes the Service {name}, which {users} used, and recreates it after {FAULT_SECONDS} s. Teaches what users "
        "notice when a part cannot be reached, and that they are served again without manual help.",
    )
    fault = Call(f"remove-service-{name}", "inject_service_removal", {"service": name})
    return basis.experiment(f"remove-service-{name}", hit, told, fault, _REMOVAL_LIMITS, tags=("service",), lasts=True)


def silence(basis: Basis, service: Service, hit: Workload) -> Experiment:
    """Return the silence of a Service, behind which are pods of ``hit``: it accepts, and never answers."""
    name = service.name
    told = (
        f"Users are served again once {name} answers again",
        f"Makes the Service {name} accept connections but never answer for {FAULT_SECONDS} s, by a proxy in front of "
        f"it. {_asked_by(basis.topology, (name,))}"
        "Teaches whether its callers have timeouts: a part that hangs is worse than one that refuses.",
    )
    fault = Call(f"silence-{name}", "inject_edge", {"service": name, "effect": {"silence": True}})
    named = f"edge-silent-{name}"
    return basis.experiment(named, hit, told, fault, _OUTAGE_LIMITS, tags=("service", "edge"), lasts=True)


def _deletion(basis: Basis, workload: Workload) -> Experiment:
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
    share = 1.0 if alone else None
    tags = ("pod", workload.kind.lower())
    named = basis.name(Suited.DELETION, workload)
    return basis.experiment(named, workload, told, fault, {}, tags=tags, pods_share_max=share)


def _restart(basis: Basis, workload: Workload) -> Experiment:
    name = workload.name
    told = (
        f"Users do not notice that {name} is restarted pod by pod",
        f"Replaces every pod of {name} under load, as `kubectl rollout restart` and every deployment of a new version "
        "do. Teaches whether enough pods serve at each moment, whether new ones get requests only once they are ready, "
        "and whether old ones finish the requests in progress.",
    )
    fault = Call(f"restart-{name}", "inject_rolling_restart", {"deployment": name})
    named = basis.name(Suited.RESTART, workload)
    return basis.experiment(named, workload, told, fault, _RESTART_LIMITS, tags=("deployment", "rollout"))


def _scaling(basis: Basis, workload: Workload) -> Experiment:
    name, before = workload.name, workload.replicas
    after = min(before + max(1, before // 2), REPLICAS_MAX)
    told = (
        f"Users do not notice that {name} is scaled from {before} to {after} pods and back",
        f"Scales {name} to {after} pods under load, and back to {before} after {FAULT_SECONDS} s. Teaches whether new "
        "pods get requests only once they are ready, and whether terminating ones finish the requests in progress.",
    )
    fault = Call(f"scale-{name}", "inject_scaling", {"workload": name, "replicas": after})
    named = basis.name(Suited.SCALING, workload)
    return basis.experiment(named, workload, told, fault, _SCALING_LIMITS, tags=("deployment", "scaling"), lasts=True)


def _outage(basis: Basis, workload: Workload) -> Experiment:
    name = workload.name
    told = (
        f"Users are served again soon after an outage of {name}",
        f"Makes {name} unavailable for {FAULT_SECONDS} s: its {workload.kind} is scaled to zero pods, and back. "
        f"{_asked_by(basis.topology, basis.topology.services_of(workload))}"
        "Teaches what users get in the meantime, and whether connections to it are reopened by themselves.",
    )
    fault = Call(f"take-{name}-away", "inject_dependency_outage", {"workload": name, "kind": workload.kind})
    named = basis.name(Suited.OUTAGE, workload)
    tags = (workload.kind.lower(), "dependency")
    return basis.experiment(named, workload, told, fault, _OUTAGE_LIMITS, tags=tags, lasts=True)


def _crash(basis: Basis, workload: Workload) -> Experiment:
    name, main = workload.name, workload.containers[0] if workload.containers else None
    told = (
        f"Users are served again soon after {name} has crashed",
        f"Ends the first process of one {name} container; its pod stays, and keeps its volumes. "
        f"{_asked_by(basis.topology, basis.topology.services_of(workload))}"
        "Teaches how soon it runs again, and whether connections to it are reopened by themselves.",
    )
    arguments: dict[str, str] = {"label_selector": str(workload.selector)}
    if main is not None and len(workload.containers) > 1:
        arguments["container"] = main.name
    if main is not None and any(part in main.image for part in _INTERRUPTED):
        arguments["signal"] = "INT"
    fault = Call(f"crash-one-{name}-container", "inject_container_crash", arguments)
    named = basis.name(Suited.CRASH, workload)
    tags, share = ("container", "dependency"), 1.0 if workload.replicas == 1 else None
    return basis.experiment(named, workload, told, fault, _CRASH_LIMITS, tags=tags, pods_share_max=share)


def _asked_by(topology: Topology, services: Iterable[str]) -> str:
    """Return who asks Services, as a sentence; empty where nobody is seen to."""
    found = sorted({user.workload.name for one in services for user in topology.users_of(one)})
    return f"It is called by {', '.join(found)}. " if found else ""
