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
    "Reference",
    "Rollout",
    "Route",
    "Scaler",
    "Service",
    "ServicePort",
    "Setting",
    "SourceFile",
    "System",
    "Workload",
]


@dataclass(frozen=True, slots=True)
class Setting:
    """A text that a pod is given.

    Attributes:
        field: where it stands, such as ``container api, env REDIS_URL``.
        key: what it sets, such as ``REDIS_URL``; empty for a command and its arguments.
        text: the text.
        is_command: whether a shell or a program gets it word by word.
    """

    field: str
    key: str
    text: str
    is_command: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """Another object that a pod needs in order to start.

    Attributes:
        kind, name: which one: a ConfigMap, Secret, PersistentVolumeClaim or ServiceAccount.
        field: where it is named, such as ``container api, env REDIS_URL``.
        keys: those of its keys that the pod gets; none for all of them.
        variable: the environment variable that gets the key's text; empty where each key is a file or a variable.
        prefix: what stands before each key in the names of variables.
        is_files: whether each key becomes a file.
        is_optional: whether the pod starts without it.
    """

    kind: str
    name: str
    field: str
    keys: tuple[str, ...] = ()
    variable: str = ""
    prefix: str = ""
    is_files: bool = False
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe of a container.

    Attributes:
        path: the HTTP path that it asks for; empty for other kinds.
        port: the port's number or name.
        host: the host that it asks in place of the pod; empty for the pod itself.
        command: the command that it runs; empty for other kinds.
    """

    path: str = ""
    port: str = ""
    host: str = ""
    command: str = ""


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
    """

    name: str
    image: str
    ports: tuple[Port, ...] = ()
    readiness: Probe | None = None
    liveness: Probe | None = None
    requests: frozenset[str] = frozenset()
    has_pre_stop: bool = False


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a Deployment replaces its pods: Recreate or RollingUpdate, and how many may be missing meanwhile."""

    kind: str = "RollingUpdate"
    max_unavailable: str = "25%"


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that has pods: a Deployment, StatefulSet or DaemonSet, or any other kind.

    Attributes:
        kind, name: which one.
        replicas: pods that are wanted; of a DaemonSet those that the cluster wants, 1 where that is not known.
        selector: selects its pods.
        labels: those of its pods.
        containers: those of its pods, native sidecars among them, without other init containers.
        rollout: of a Deployment.
        is_spread: whether its pods are told to keep apart, by a spread constraint or an anti-affinity.
        grace_seconds: what its pods have to end in.
        settings: the texts of environment, commands and arguments, those of init containers among them.
        references: what its pods need to be there.
        aliases: hosts that its pods know beside DNS, by ``hostAliases``.
        headless: the Service that gives each of its pods a name of its own; empty without.
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
    settings: tuple[Setting, ...] = ()
    references: tuple[Reference, ...] = ()
    aliases: frozenset[str] = frozenset()
    headless: str = ""
    claims: tuple[str, ...] = ()
    own_claims: tuple[str, ...] = ()
    host_paths: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service.

    Attributes:
        number: the port.
        target: number or name of the container's port behind it.
        protocol: TCP, UDP or SCTP.
        name: its name; empty without.
        node_port: the port that is open on each node; 0 without.
    """

    number: int
    target: str
    protocol: str = "TCP"
    name: str = ""
    node_port: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """A Service.

    Attributes:
        name: its name.
        kind: ClusterIP, NodePort, LoadBalancer or ExternalName.
        selector: selects its pods; without requirements, somebody else provides its endpoints.
        ports: its ports.
        is_headless: whether it has no address of its own.
        external: the host that an ExternalName stands for; empty for others.
        addresses: what a load balancer has given it.
    """

    name: str
    kind: str
    selector: Selector
    ports: tuple[ServicePort, ...] = ()
    is_headless: bool = False
    external: str = ""
    addresses: tuple[str, ...] = ()

    @property
    def node_ports(self) -> tuple[int, ...]:
        """Return the ports that are open on each node."""
        return tuple(port.node_port for port in self.ports if port.node_port)

    def __str__(self) -> str:
        return f"Service {self.name}"


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget; of the two counts, each a number or a percentage, the other is empty.

    Attributes:
        name: its name.
        selector: selects its pods; None for all pods of the namespace. One that was left out selects none.
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
    """A rule of an Ingress or an HTTPRoute.

    Attributes:
        part: the object, such as ``Ingress shop``.
        host: empty for any.
        path: as it is written; ``/`` for all.
        service: the Service behind it.
        is_tls: whether it is served by https.
    """

    part: str
    host: str
    path: str
    service: str
    is_tls: bool = False

    def __str__(self) -> str:
        return self.part


@dataclass(frozen=True, slots=True)
class Scaler:
    """A HorizontalPodAutoscaler: what it scales, and between how many pods."""

    name: str
    kind: str
    target: str
    pods_min: int
    pods_max: int

    def pods(self, wanted: int) -> int:
        """Return how many pods it makes of those that are wanted; none stay none, since it does not act then."""
        return min(max(wanted, self.pods_min), self.pods_max) if wanted else 0


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of an image's source: its name in the build context, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class System:
    """All of a namespace.

    Attributes:
        namespace: its name.
        origin: where it was read, for people.
        workloads: its Deployments, StatefulSets and DaemonSets.
        others: what has pods beyond those: single pods, Jobs, CronJobs, ReplicaSets, Rollouts.
        services, budgets, routes: its other parts, by name.
        config_maps: the texts of its ConfigMaps by key, by name.
        secrets: likewise of the Secrets of a folder; None for a cluster, whose Secrets are never read.
        claims: its claims, by name.
        accounts: the names of its service accounts; None where they were not to be seen.
        scaled: the autoscalers, by kind and name of what they scale.
        other_pods: labels of running pods, which may have come from controllers that are not known.
        made: names of what others make: of an add-on's objects, after which its controller calls Services, Secrets and
            ConfigMaps, and of what a kustomization generates.
        neighbours: names of Services in other namespaces that are to be seen, by namespace.
        sources: the source files of images that are built from beside the manifests, by image.
        places: file and line where an object begins, by its kind and name; none for what a cluster holds.
        notes: what a reader should know, each a sentence.
        consents: whether the namespace carries the label that allows faults; None where that was not to be seen.
        unread: kinds that the cluster did not let be read; nothing is said about them.
    """

    namespace: str
    origin: str
    workloads: tuple[Workload, ...] = ()
    others: tuple[Workload, ...] = ()
    services: tuple[Service, ...] = ()
    budgets: tuple[Budget, ...] = ()
    routes: tuple[Route, ...] = ()
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] | None = None
    claims: Mapping[str, Claim] = field(default_factory=dict)
    accounts: frozenset[str] | None = None
    scaled: Mapping[tuple[str, str], Scaler] = field(default_factory=dict)
    other_pods: tuple[Mapping[str, str], ...] = ()
    made: frozenset[str] = frozenset()
    neighbours: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sources: Mapping[str, tuple[SourceFile, ...]] = field(default_factory=dict)
    places: Mapping[tuple[str, str], str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    consents: bool | None = None
    unread: tuple[str, ...] = ()

    def place(self, kind: str, name: str) -> str:
        """Return file and line where an object begins, such as ``web.yaml:3``; empty for one of a cluster."""
        return self.places.get((kind, name), "")
