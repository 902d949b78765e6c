"""What the watches saw of a workload: each pod by uid, and its ready, desired and routed counts as step functions.

Pods are told apart by uid only: names come again in a StatefulSet, and nodes are shared.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from flametest.model.events import ChangeKind, EndpointsObserved, PodObserved, WorkloadObserved
from flametest.model.history import History

__all__ = ["PodTrack", "Steps", "WorkloadView", "counts_as_ready", "ready_uids", "workload_view"]


def counts_as_ready(pod: PodObserved) -> bool:
    """Return whether a pod counts towards the ready count: Ready, there, and not on its way out."""
    return pod.ready and not pod.terminating and pod.change is not ChangeKind.DELETED


@dataclass(frozen=True, slots=True)
class PodTrack:
    """One pod's life as it was watched, earliest first."""

    uid: str
    name: str
    app: str
    owner_uid: str
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
        apps: the values of the label ``app`` that its pods carry.
        tracks: every pod of the record by uid, other workloads' too.
        desired: the desired count.
        ready: the ready count, from the pods themselves; from the workload's status where no pod was watched.
        routed: how many of its pods are ready in EndpointSlices.
        endpoints: what was seen of EndpointSlices.
    """

    name: str
    apps: frozenset[str]
    tracks: Mapping[str, PodTrack]
    desired: Steps
    ready: Steps
    routed: Steps
    endpoints: tuple[EndpointsObserved, ...]

    def own(self) -> list[PodTrack]:
        """Return the workload's pods, in the order in which they were first seen."""
        return [track for track in self.tracks.values() if track.app in self.apps]


def workload_view(history: History, name: str) -> WorkloadView:
    """Return what the record shows of the workload ``name`` (a Deployment's or StatefulSet's name)."""
    observed = [event for event in history.of(WorkloadObserved) if event.name == name]
    apps = frozenset(event.app for event in observed if event.app) or frozenset((name,))
    tracks = _tracks(history.of(PodObserved))
    pods = [pod for pod in history.of(PodObserved) if pod.app in apps]
    endpoints = tuple(history.of(EndpointsObserved))
    status = _steps((event.at.monotonic_ns, event.ready) for event in observed)
    return WorkloadView(
        name=name,
        apps=apps,
        tracks=tracks,
        desired=_steps((event.at.monotonic_ns, event.desired) for event in observed),
        ready=_ready_steps(pods) if pods else status,
        routed=_routed_steps(endpoints, frozenset(pod.uid for pod in pods)),
        endpoints=endpoints,
    )


def _tracks(pods: Iterable[PodObserved]) -> Mapping[str, PodTrack]:
    by_uid: dict[str, list[PodObserved]] = {}
    for pod in pods:
        by_uid.setdefault(pod.uid, []).append(pod)
    return MappingProxyType(
        {uid: PodTrack(uid, seen[0].name, seen[0].app, seen[-1].owner_uid, tuple(seen)) for uid, seen in by_uid.items()}
    )


def _steps(values: Iterable[tuple[int, int]]) -> Steps:
    """Return steps without those that change nothing; of several at one moment the last counts."""
    by_moment = dict(values)
    kept: list[tuple[int, int]] = []
    for moment, value in sorted(by_moment.items()):
        if not kept or kept[-1][1] != value:
            kept.append((moment, value))
    return Steps(tuple(moment for moment, _ in kept), tuple(value for _, value in kept))


def _ready_steps(pods: list[PodObserved]) -> Steps:
    ready: set[str] = set()
    values: list[tuple[int, int]] = []
    for pod in pods:
        ready = ready | {pod.uid} if counts_as_ready(pod) else ready - {pod.uid}
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
