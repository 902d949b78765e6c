"""What the watches saw of a workload: each pod by uid, and its ready, desired and routed counts as step functions.

Pods are told apart by uid only: names come again in a StatefulSet, and nodes are shared. Whose they are is told by
the uids of their owners.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from flametest.measure.owners import Owners
from flametest.model.events import ChangeKind, EndpointsObserved, PodObserved, WorkloadObserved
from flametest.model.history import History

__all__ = [
    "PodTrack",
    "Steps",
    "WorkloadView",
    "answer_names",
    "counts_as_ready",
    "names_in",
    "ready_uids",
    "workload_view",
]

_HOSTNAME_LENGTH_MAX = 63  # longer names of pods are cut off in their containers, see setDefaultHostname of Kubernetes


def counts_as_ready(pod: PodObserved) -> bool:
    """Return whether a pod counts towards the ready count: Ready, there, and not on its way out."""
    return pod.ready and not pod.terminating and pod.change is not ChangeKind.DELETED


def names_in(served_by: str) -> list[str]:
    """Return the names in an answer's X-Served-By, to which each proxy that names itself adds its own."""
    return [name for part in served_by.split(",") if (name := part.strip())]


def answer_names(pod: PodObserved) -> frozenset[str]:
    """Return by what a pod may name itself in answers: by its name, cut off as hostnames are, or by its hostname."""
    shortened = pod.name[:_HOSTNAME_LENGTH_MAX].rstrip("-.")
    return frozenset(name for name in (pod.name, shortened, pod.hostname) if name)


@dataclass(frozen=True, slots=True)
class PodTrack:
    """One pod's life as it was watched, earliest first.

    Attributes:
        uid: its uid.
        name: its name.
        workload: what the workload that it belongs to is called.
        group: what it has in common with the other pods of that workload, and with no pod of another one.
        seen: each of its states.
    """

    uid: str
    name: str
    workload: str
    group: str
    seen: tuple[PodObserved, ...]

    @property
    def first_seen_ns(self) -> int:
        """Return when the pod was first seen."""
        return self.seen[0].at.monotonic_ns

    @property
    def node(self) -> str:
        """Return the node it was bound to; empty when it never was."""
        return next((pod.node for pod in reversed(self.seen) if pod.node), "")

    def before(self, moment_ns: int) -> PodObserved | None:
        """Return its last state before a moment; None when it was not there yet."""
        return next((pod for pod in reversed(self.seen) if pod.at.monotonic_ns < moment_ns), None)

    def ready_ns(self, start_ns: int, end_ns: int) -> int:
        """Return for how many nanoseconds of [start, end) it counted as ready."""
        total = 0
        for index, pod in enumerate(self.seen):
            until = self.seen[index + 1].at.monotonic_ns if index + 1 < len(self.seen) else end_ns
            if counts_as_ready(pod):
                total += max(0, min(until, end_ns) - max(pod.at.monotonic_ns, start_ns))
        return total


@dataclass(frozen=True, slots=True)
class Steps:
    """A step function of time: at each moment, ascending, it takes a new value."""

    moments_ns: tuple[int, ...] = ()
    values: tuple[int, ...] = ()

    def at(self, moment_ns: int) -> int | None:
        """Return the value at a moment; None before the first step."""
        reached = [value for moment, value in zip(self.moments_ns, self.values, strict=True) if moment <= moment_ns]
        return reached[-1] if reached else None


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """A workload in the record.

    Attributes:
        name: its name.
        uids: the uids that objects of that name had; more than one when it was made again.
        own_uids: the uids of its pods.
        tracks: every pod of the record by uid, other workloads' too.
        desired: the desired count.
        ready: the ready count, from the pods themselves; from the workload's status where no pod was watched.
        routed: how many of its pods are ready in EndpointSlices.
        endpoints: what was seen of EndpointSlices.
        answering: the name of the pod that calls itself so in its answers; without what several pods call themselves.
    """

    name: str
    uids: frozenset[str]
    own_uids: frozenset[str]
    tracks: Mapping[str, PodTrack]
    desired: Steps
    ready: Steps
    routed: Steps
    endpoints: tuple[EndpointsObserved, ...]
    answering: Mapping[str, str]

    def own(self) -> list[PodTrack]:
        """Return the workload's pods, in the order in which they were first seen."""
        return [track for track in self.tracks.values() if track.uid in self.own_uids]


def workload_view(history: History, name: str) -> WorkloadView:
    """Return what the record shows of the workload ``name`` (a Deployment's, StatefulSet's or DaemonSet's name)."""
    owners = Owners(history)
    observed = [event for event in history.of(WorkloadObserved) if event.name == name]
    pods = [pod for pod in history.of(PodObserved) if owners.owns(name, pod)]
    own_uids = frozenset(pod.uid for pod in pods)
    endpoints = tuple(history.of(EndpointsObserved))
    return WorkloadView(
        name=name,
        uids=owners.uids(name),
        own_uids=own_uids,
        tracks=_tracks(history.of(PodObserved), owners),
        desired=_summed_steps(observed, lambda event: event.desired),
        ready=_ready_steps(history, own_uids, owners, name) if pods else _summed_steps(observed, lambda one: one.ready),
        routed=_routed_steps(endpoints, own_uids),
        endpoints=endpoints,
        answering=_answering(history.of(PodObserved)),
    )


def _answering(pods: Iterable[PodObserved]) -> Mapping[str, str]:
    called: dict[str, set[str]] = {}
    for pod in pods:
        for name in answer_names(pod):
            called.setdefault(name, set()).add(pod.name)
    # Pods of a StatefulSet have the same name one after the other, so it is names that have to be one.
    return MappingProxyType({name: found.pop() for name, found in called.items() if len(found) == 1})


def _tracks(pods: Iterable[PodObserved], owners: Owners) -> Mapping[str, PodTrack]:
    by_uid: dict[str, list[PodObserved]] = {}
    for pod in pods:
        by_uid.setdefault(pod.uid, []).append(pod)
    return MappingProxyType({uid: _track(seen, owners) for uid, seen in by_uid.items()})


def _track(seen: list[PodObserved], owners: Owners) -> PodTrack:
    # A pod may be adopted after it was first seen, and released before it goes.
    owned = next((pod for pod in reversed(seen) if pod.owner_uid), seen[-1])
    return PodTrack(owned.uid, owned.name, owners.title(owned), owners.group(owned), tuple(seen))


def _summed_steps(observed: Iterable[WorkloadObserved], count: Callable[[WorkloadObserved], int]) -> Steps:
    """Return a count of the objects of one name, those that are there together."""
    present: dict[str, int] = {}
    values: list[tuple[int, int]] = []
    for event in observed:
        present[event.uid] = count(event)
        if event.change is ChangeKind.DELETED:
            del present[event.uid]
        values.append((event.at.monotonic_ns, sum(present.values())))
    return _steps(values)


def _steps(values: Iterable[tuple[int, int]]) -> Steps:
    """Return steps without those that change nothing; of several at one moment the last counts."""
    by_moment = dict(values)
    kept: list[tuple[int, int]] = []
    for moment, value in sorted(by_moment.items()):
        if not kept or kept[-1][1] != value:
            kept.append((moment, value))
    return Steps(tuple(moment for moment, _ in kept), tuple(value for _, value in kept))


def _ready_steps(history: History, own_uids: frozenset[str], owners: Owners, name: str) -> Steps:
    """Return how many pods were ready while they belonged to the workload."""
    ready: set[str] = set()
    values: list[tuple[int, int]] = []
    for pod in history.of(PodObserved):
        if pod.uid in own_uids:
            counts = counts_as_ready(pod) and owners.owns(name, pod)
            ready = ready | {pod.uid} if counts else ready - {pod.uid}
            values.append((pod.at.monotonic_ns, len(ready)))
    return _steps(values)


def _routed_steps(endpoints: tuple[EndpointsObserved, ...], uids: frozenset[str]) -> Steps:
    slices: dict[str, frozenset[str]] = {}
    values: list[tuple[int, int]] = []
    for event in endpoints:
        ready = ready_uids(event) & uids
        if not ready and event.slice_name not in slices:
            continue
        slices[event.slice_name] = ready
        values.append((event.at.monotonic_ns, len(frozenset().union(*slices.values()))))
    return _steps(values)


def ready_uids(event: EndpointsObserved) -> frozenset[str]:
    """Return the uids of the pods that a slice routes to after ``event``."""
    if event.change is ChangeKind.DELETED:
        return frozenset()
    return frozenset(one.pod_uid for one in event.endpoints if one.ready and one.pod_uid)
