"""Events: everything that a run notes down, as typed, immutable records.

Each event carries the `Stamp` of its receipt and the scenario it belongs to. `History` writes them as JSON lines
and reads them back equal; nothing else in the project knows how they look on disk.
"""

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "NO_FAULT",
    "ChangeKind",
    "ConnectionTried",
    "EdgeCounted",
    "EndpointState",
    "EndpointsObserved",
    "Event",
    "ExperimentStopped",
    "FaultHealed",
    "FaultInjected",
    "FaultProved",
    "HarmLimitPassed",
    "LedgerEnded",
    "LedgerOmitted",
    "LedgerStarted",
    "LoadEnded",
    "LoadStarted",
    "LoadTrouble",
    "LoadTroubled",
    "LoadWorkerEnded",
    "LogsFollowed",
    "Noted",
    "OwnerObserved",
    "Phase",
    "PhaseObserved",
    "PhaseStarted",
    "PodObserved",
    "PodRequests",
    "ProberEnded",
    "RequestsCounted",
    "RuleCount",
    "RunEnded",
    "RunStarted",
    "ScenarioEnded",
    "ScenarioStarted",
    "ServiceAddress",
    "Stamp",
    "Target",
    "WatchCompared",
    "WatchInterrupted",
    "WorkloadObserved",
]


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment on both clocks: durations come from the first, the second shows drift and dates.

    Attributes:
        monotonic_ns: `time.monotonic_ns`, comparable between processes of one machine until it restarts.
        wall_s: `time.time`, seconds since the epoch.
    """

    monotonic_ns: int
    wall_s: float


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events.

    Attributes:
        at: when this process received or did it.
        scenario: name of the scenario it belongs to; empty for the run as a whole.
    """

    at: Stamp
    scenario: str


class Phase(StrEnum):
    """The parts of a scenario, in their order."""

    BASELINE = "baseline"
    FAULT = "fault"
    RECOVERY = "recovery"


class ChangeKind(StrEnum):
    """What a watch said of an object; ``listed`` is an object found when the watch began."""

    LISTED = "listed"
    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Target:
    """An object that a fault acts on."""

    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run began: its identifier, the cluster's name, the seed and the command line that reproduces it.

    ``parallel`` is how many scenarios run at the same time.
    """

    run_id: str
    cluster: str
    seed: int
    command: str
    parallel: int = 1


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """A run ended; ``reason`` is ``completed``, ``interrupted`` or the error."""

    reason: str


@dataclass(frozen=True, slots=True)
class ScenarioStarted(Event):
    """The recorder of an experiment began; ``experiment`` is the file, ``title`` the experiment's own."""

    title: str
    experiment: str


@dataclass(frozen=True, slots=True)
class ScenarioEnded(Event):
    """The recorder ended.

    ``status`` is Chaos Toolkit's (completed, deviated, failed, interrupted, aborted); ``deviated`` is its word
    on the steady-state hypothesis after the method.
    """

    status: str
    deviated: bool


@dataclass(frozen=True, slots=True)
class ExperimentStopped(Event):
    """Chaos Toolkit stopped before the end of the experiment, injected nothing, or deviated; ``reason`` is one line."""

    reason: str


@dataclass(frozen=True, slots=True)
class PhaseStarted(Event):
    """A phase began."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class PhaseObserved(Event):
    """The system was observed through the baseline, or held after recovery, for as long as its questions took.

    Attributes:
        phase: which of the two.
        seconds: how long.
        bound_seconds: how long it could have taken.
        decided: the questions that were decided, by the names of criteria.
        undecided: those that were not when the time was over.
    """

    phase: Phase
    seconds: float
    bound_seconds: float
    decided: tuple[str, ...]
    undecided: tuple[str, ...]


NO_FAULT = "nothing"
"""The fault of a control: its moment is noted as that of an injection, and nothing is done."""


@dataclass(frozen=True, slots=True)
class FaultInjected(Event):
    """A fault was injected.

    t0 is the midpoint of ``sent_ns`` and ``acknowledged_ns``, its uncertainty half their distance.

    Attributes:
        fault: what was done, such as ``terminate_pods``.
        sent_ns: monotonic stamp before the first mutating request of the activity.
        acknowledged_ns: monotonic stamp after the answer to that request.
        targets: what it acted on.
        injection: its number among those of its scenario, from 1; 0 in records made before they were numbered.
        name: what the experiment calls it, unique among its faults; empty in records made before they had names.
    """

    fault: str
    sent_ns: int
    acknowledged_ns: int
    targets: tuple[Target, ...]
    injection: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class FaultProved(Event):
    """The evidence that a fault took effect, or the lack of it; ``injection`` is the number of the one it is of."""

    fault: str
    proved: bool
    evidence: str
    injection: int = 0


@dataclass(frozen=True, slots=True)
class FaultHealed(Event):
    """A fault was taken back; ``injection`` is the number of the one that was, 0 where that is not known."""

    fault: str
    evidence: str
    injection: int = 0


@dataclass(frozen=True, slots=True)
class HarmLimitPassed(Event):
    """Users suffered more than ``--abort-when`` allows, so that all faults are healed at once.

    Attributes:
        figure: such as ``availability``.
        value: what it was.
        limit: what was allowed.
        window_seconds: the time that it was taken over, until ``at``.
        requests: how many requests it was taken from.
    """

    figure: str
    value: float
    limit: float
    window_seconds: float
    requests: int

    @property
    def words(self) -> str:
        """Return what was passed, as a part of a sentence."""
        side = "under" if self.value < self.limit else "over"
        unit = " s" if self.figure.endswith("_seconds") else ""
        name = self.figure.removesuffix("_seconds").replace("_", " ")
        return (
            f"stopped by --abort-when {self.figure}={self.limit:g}: {name} was {self.value:.3g}{unit} over the last "
            f"{self.window_seconds:.1f} s, {side} {self.limit:g}{unit}"
        )


@dataclass(frozen=True, slots=True)
class ConnectionTried(Event):
    """A pod that has no business there tried to connect to one that is isolated.

    Attributes:
        source: the pod that tried.
        destination: the app whose pod it tried.
        port: the port.
        outcome: ``connected``, ``failed``, or ``unknown`` when the pod could not be asked to try.
    """

    source: str
    destination: str
    port: int
    outcome: str


@dataclass(frozen=True, slots=True)
class PodObserved(Event):
    """A pod as a watch showed it.

    Attributes:
        change: what the watch said.
        uid: the pod's uid: names and nodes come again, uids do not.
        name: its name, which is also the value of X-Served-By.
        node: node it is bound to; empty before that.
        app: value of its label ``app`` (or ``app.kubernetes.io/name``); tells nothing of whose it is.
        owner_uid: uid of its controlling owner; empty without one.
        phase: Pending, Running, Succeeded, Failed or Unknown.
        ready: its Ready condition.
        terminating: whether it has a deletion timestamp.
        containers_started: whether all its containers run.
        restarts: sum of the restart counts.
        created_wall_s: metadata.creationTimestamp (resolution 1 s).
        ended_because: why a container of it ended last, such as ``OOMKilled``; empty while none has.
        hostname: by what its containers call themselves, where that is not its name; else empty.
        owner_kind: kind of its controlling owner, ``Pod`` for one without; empty in records made before owners counted.
    """

    change: ChangeKind
    uid: str
    name: str
    node: str
    app: str
    owner_uid: str
    phase: str
    ready: bool
    terminating: bool
    containers_started: bool
    restarts: int
    created_wall_s: float
    ended_because: str = ""
    hostname: str = ""
    owner_kind: str = ""


@dataclass(frozen=True, slots=True)
class OwnerObserved(Event):
    """What stands between a workload and its pods, such as a ReplicaSet, as a watch showed it.

    Attributes:
        change: what the watch said.
        kind: its kind.
        name: its name.
        uid: its uid, which is the owner of pods.
        owner_uid: uid of its own controlling owner; empty without one.
    """

    change: ChangeKind
    kind: str
    name: str
    uid: str
    owner_uid: str


@dataclass(frozen=True, slots=True)
class EndpointState:
    """One address of an EndpointSlice, with its conditions; ``pod_uid`` is empty without a target."""

    address: str
    pod_uid: str
    pod_name: str
    ready: bool
    serving: bool
    terminating: bool


@dataclass(frozen=True, slots=True)
class EndpointsObserved(Event):
    """An EndpointSlice as a watch showed it."""

    change: ChangeKind
    service: str
    slice_name: str
    endpoints: tuple[EndpointState, ...]


@dataclass(frozen=True, slots=True)
class WorkloadObserved(Event):
    """A Deployment, StatefulSet or DaemonSet as a watch showed it; counts are pods."""

    change: ChangeKind
    kind: str
    name: str
    app: str
    uid: str
    desired: int
    replicas: int
    ready: int
    available: int
    updated: int


@dataclass(frozen=True, slots=True)
class PodRequests:
    """How many requests one pod had counted since its program began, without those of probes and of this reading."""

    pod_uid: str
    pod_name: str
    app: str
    requests: int


@dataclass(frozen=True, slots=True)
class RequestsCounted(Event):
    """What the pods that count their requests said at one moment; one that could not be read is left out."""

    pods: tuple[PodRequests, ...]


@dataclass(frozen=True, slots=True)
class RuleCount:
    """What one rule of an edge's proxy has seen, soundings left out; units are connections (TCP) or requests (HTTP).

    Attributes:
        rule: what it does, and to what.
        passed: units that came to the proxy while its rules were on.
        matched: those of them that the rule means, by caller, method, path and header, and no rule before it took.
        hit: those of them to which it was done.
    """

    rule: str
    passed: int
    matched: int
    hit: int


@dataclass(frozen=True, slots=True)
class EdgeCounted(Event):
    """What the proxy of an edge had counted when it was about to be healed.

    Attributes:
        edge: the Service, with the caller where only one was meant.
        rules: one entry a rule, in their order.
        injection: the number of the injection.
    """

    edge: str
    rules: tuple[RuleCount, ...]
    injection: int = 0


@dataclass(frozen=True, slots=True)
class WatchInterrupted(Event):
    """A watch broke or fell silent and was started again; what happened in between was listed or shown late, not seen.

    Attributes:
        resource: what it watches, in the plural.
        reason: what happened.
        silent_since_ns: when a watch that fell silent was heard last (monotonic); 0 for one that broke.
        objects: how many objects there were when the silence was noticed.
        missed: how many of them the silent watch had not shown as they were then.
    """

    resource: str
    reason: str
    silent_since_ns: int = 0
    objects: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class WatchCompared(Event):
    """What a watch had shown was compared with a list of the same objects.

    Attributes:
        resource: what it watches, in the plural.
        objects: how many objects the list has.
        unseen: how many the watch had not shown as the list has them, a few seconds after it.
        names: some of these.
        heard_ns: when the watch was heard last before the list (monotonic).
        problem: why they could not be compared; empty when they could.
    """

    resource: str
    objects: int
    unseen: int
    names: tuple[str, ...]
    heard_ns: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LoadStarted(Event):
    """The load generator began to offer requests.

    ``is_reached`` when no rate was asked for: the one that it reaches in the baseline is then what it offers, and
    ``offered_per_second`` is 0.
    """

    users: int
    offered_per_second: float
    is_reached: bool = False


@dataclass(frozen=True, slots=True)
class LoadEnded(Event):
    """The load generator ended; ``reason`` is ``stopped`` or what went wrong.

    ``by_itself`` when the load test ended it, in order: everything that it had sent until then is recorded.
    """

    reason: str
    by_itself: bool = False


class LoadTrouble(StrEnum):
    """What can go wrong in the load generator itself."""

    UNRECORDED = "unrecorded"  # a request was told of that is no sample: it may have failed, and counts nowhere
    LISTENER = "listener"  # a listener of the load test raised
    TASK = "task"  # a task, or what a user does at its start or end, raised
    DIED = "died"  # a greenlet ended by an exception, and with it a user, or what the load test does beside them
    MISSING = "missing"  # fewer users ran than were to


@dataclass(frozen=True, slots=True)
class LoadTroubled(Event):
    """Something went wrong in the load generator itself; ``at`` is when it first did.

    Attributes:
        trouble: what.
        where: the listener's event, the task or class; the pod before it where pods send the load. May be empty.
        count: how often; for missing users how many at most.
        cause: the first error, in one line.
    """

    trouble: LoadTrouble
    where: str
    count: int
    cause: str


@dataclass(frozen=True, slots=True)
class LoadWorkerEnded(Event):
    """What came of a pod that sent a part of the load.

    Attributes:
        pod: its name.
        requests: how many requests of it are recorded.
        clock_offset_ns: what was added to its stamps to have them on this machine's clock.
        clock_uncertainty_ns: by how much that may be wrong; 0 where both read the same clock.
    """

    pod: str
    requests: int
    clock_offset_ns: int
    clock_uncertainty_ns: int


@dataclass(frozen=True, slots=True)
class LedgerStarted(Event):
    """The ledger began to write.

    Attributes:
        prefix: what its keys begin with.
        name: what the writes are called, such as ``orders``.
        per_second: how many it sends.
        through_entry: whether it sends them to the entry, and not to a database.
    """

    prefix: str
    name: str
    per_second: float
    through_entry: bool = True


@dataclass(frozen=True, slots=True)
class LedgerEnded(Event):
    """The ledger ended; ``dropped`` writes of its schedule were not sent, ``reason`` is ``stopped`` or an error."""

    dropped: int
    reason: str


@dataclass(frozen=True, slots=True)
class LedgerOmitted(Event):
    """No ledger was kept, for this reason; whether that leaves something unjudged depends on who asked for one."""

    reason: str
    asked_for: bool


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """A Service of the system, and an address of it inside the cluster."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class LogsFollowed(Event):
    """How the pods' logs were followed for lines that carry the id of a failed or slow request.

    Attributes:
        containers: how many logs were followed.
        lines: how many lines with an id were seen.
        kept: how many of them belong to requests that failed or were slow.
        lost: how many were let go for want of room before it was known whose they are.
        problem: why nothing, or not everything, could be followed; empty when all is well.
        services: the Services of the system.
        link: the address of a trace in the user's own tracing system, with a place for the id; empty for none.
    """

    containers: int
    lines: int
    kept: int
    lost: int
    problem: str
    services: tuple[ServiceAddress, ...]
    link: str


@dataclass(frozen=True, slots=True)
class ProberEnded(Event):
    """What the prober says of itself.

    Attributes:
        interval_ns: its interval Δ.
        sent: samples sent.
        dropped: samples of its schedule that it did not send.
        send_lag_max_ns: worst distance between intended and sent.
        late: those of the dropped that were due while the prober did not run; the others met a limit of its own.
        looked_ms: for how long it looked at the processors of its machine.
        busy_ms: for how long of that all of them were busy.
    """

    interval_ns: int
    sent: int
    dropped: int
    send_lag_max_ns: int
    late: int = 0
    looked_ms: int = 0
    busy_ms: int = 0


@dataclass(frozen=True, slots=True)
class Noted(Event):
    """A remark for the reader of the history."""

    message: str
