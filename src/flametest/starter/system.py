"""The parts of a system, as far as they decide how it fails: plain values, read by `flametest.starter.parsing`.

They hold what was written down or what the API server has made of it; defaults of Kubernetes are applied, so that a
folder of manifests and the namespace that it was applied to give the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flametest.starter.selectors import Selector

__all__ = [
    "Budget",
    "Claim",
    "Container",
    "Port",
    "Probe",
    "Rollout",
    "Route",
    "Service",
    "System",
    "Workload",
]


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe of a container: the HTTP path that it asks for, empty for other kinds, and the port's number or name."""

    path: str = ""
    port: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a container; ``name`` is empty where it has none."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a workload's pods.

    Attributes:
        name, image: as written.
        ports: those that it declares.
        readiness, liveness: its probes, None without.
        requests: the resources that it requests, such as ``cpu``.
        has_pre_stop: whether something runs before it is told to stop.
        texts: values of its environment, command and arguments by where they stand, such as ``env REDIS_URL``.
    """

    name: str
    image: str
    ports: tuple[Port, ...] = ()
    readiness: Probe | None = None
    liveness: Probe | None = None
    requests: frozenset[str] = frozenset()
    has_pre_stop: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a Deployment replaces its pods: Recreate or RollingUpdate, and how many may be missing meanwhile."""

    kind: str = "RollingUpdate"
    max_unavailable: str = "25%"


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet.

    Attributes:
        kind, name: which one.
        replicas: pods that are wanted; of a DaemonSet those that the cluster wants, 1 where that is not known.
        selector: selects its pods.
        labels: those of its pods.
        containers: those of its pods, without init containers.
        rollout: of a Deployment.
        is_spread: whether its pods are told to keep apart, by a spread constraint or an anti-affinity.
        grace_seconds: what its pods have to end in.
        config_maps: names of the ConfigMaps that its pods read.
        claims: names of the claims that its pods mount and may write.
        own_claims: names of the templates by which each pod of a StatefulSet has a claim of its own.
        host_paths: folders of the node that its pods mount and may write.
    """

    kind: str
    name: str
    replicas: int
    selector: Selector
    labels: Mapping[str, str]
    containers: tuple[Container, ...]
    rollout: Rollout = Rollout()
    is_spread: bool = False
    grace_seconds: int = 30
    config_maps: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    own_claims: tuple[str, ...] = ()
    host_paths: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Service:
    """A Service.

    Attributes:
        name: its name.
        kind: ClusterIP, NodePort, LoadBalancer or ExternalName.
        selector: selects its pods; without requirements, somebody else provides its endpoints.
        ports: its ports by number, each with the number or name of the container's port behind it.
        node_ports: those of its ports that are open on each node.
    """

    name: str
    kind: str
    selector: Selector
    ports: Mapping[int, str] = field(default_factory=dict)
    node_ports: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"Service {self.name}"


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget; of the two counts, each a number or a percentage, the other is empty.

    Attributes:
        name: its name.
        selector: selects its pods; None for all pods of the namespace.
    """

    name: str
    selector: Selector | None
    min_available: str = ""
    max_unavailable: str = ""

    def covers(self, workload: Workload) -> bool:
        """Return whether it speaks of the workload's pods."""
        return self.selector is None or self.selector.matches(workload.labels)

    def __str__(self) -> str:
        return (
            f"maxUnavailable: {self.max_unavailable}" if self.max_unavailable else f"minAvailable: {self.min_available}"
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """A PersistentVolumeClaim, and its access modes."""

    name: str
    modes: tuple[str, ...]

    @property
    def is_single(self) -> bool:
        """Return whether one node or one pod only may write what it holds."""
        return not {"ReadWriteMany", "ReadOnlyMany"} & set(self.modes)


@dataclass(frozen=True, slots=True)
class Route:
    """A rule of an Ingress: a host, empty for any, a path, and the Service behind it."""

    host: str
    path: str
    service: str


@dataclass(frozen=True, slots=True)
class System:
    """All of a namespace.

    Attributes:
        namespace: its name.
        origin: where it was read, for people.
        workloads, services, budgets, routes: its parts, by name.
        config_maps: the texts of its ConfigMaps, by name.
        scaled: kind and name of the workloads that an autoscaler scales.
        other_pods: labels of pods beyond the templates of the workloads: running ones, single ones, those of Jobs.
        claims: its claims, by name.
        places: file and line where an object begins, by its kind and name; none for what a cluster holds.
        consents: whether the namespace carries the label that allows faults; None where that was not to be seen.
        unread: kinds that the cluster did not let be read; nothing is said about them.
    """

    namespace: str
    origin: str
    workloads: tuple[Workload, ...] = ()
    services: tuple[Service, ...] = ()
    budgets: tuple[Budget, ...] = ()
    routes: tuple[Route, ...] = ()
    config_maps: Mapping[str, str] = field(default_factory=dict)
    scaled: frozenset[tuple[str, str]] = frozenset()
    other_pods: tuple[Mapping[str, str], ...] = ()
    claims: Mapping[str, Claim] = field(default_factory=dict)
    places: Mapping[tuple[str, str], str] = field(default_factory=dict)
    consents: bool | None = None
    unread: tuple[str, ...] = ()

    def place(self, kind: str, name: str) -> str:
        """Return file and line where an object begins, such as ``web.yaml:3``; empty for one of a cluster."""
        return self.places.get((kind, name), "")
