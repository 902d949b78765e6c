"""Workloads whose pods all became unready at once, by themselves, while a fault hit another part. Pure.

Their containers ran on, so it was a readiness probe that failed: one that asks the part which was hit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from flametest.measure.pods import PodTrack, WorkloadView, counts_as_ready
from flametest.measure.timeline import Timeline
from flametest.model.events import ChangeKind, PodObserved

__all__ = ["Dropout", "dropouts"]

_SECONDS_MIN = 1.0  # less than a probe's period is one probe that came late
_SECONDS_MIN_ALONE = 5.0  # one pod by itself may have been slow by chance, several at once hardly

_Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Dropout:
    """All pods of a workload that no fault hit were unready together.

    Attributes:
        workload: its name.
        pods: how many pods that were.
        begin_ns: monotonic stamp from which on all of them were unready.
        seconds: for how long.
    """

    workload: str
    pods: int
    begin_ns: int
    seconds: float


def dropouts(view: WorkloadView, axis: Timeline) -> tuple[Dropout, ...]:
    """Return the workloads that dropped out; none where a node was hit, since that hits whatever runs there."""
    if any(target.kind == "Node" for target in axis.targets):
        return ()
    hit = _hit_groups(view, axis)
    tracks = sorted((track for track in view.tracks.values() if track.group not in hit), key=lambda one: one.group)
    found = (_dropout(list(group), axis) for _, group in groupby(tracks, key=lambda one: one.group))
    return tuple(one for one in found if one is not None)


def _hit_groups(view: WorkloadView, axis: Timeline) -> frozenset[str]:
    """Return the groups of pods that a fault acted on: by themselves, by their workload, or by a Service of theirs."""
    uids = {target.uid for target in axis.targets}
    names = {target.name for target in axis.targets if target.kind not in ("Pod", "Service")}
    services = {target.name for target in axis.targets if target.kind == "Service"}
    behind = {one.pod_uid for seen in view.endpoints if seen.service in services for one in seen.endpoints}
    return frozenset(
        track.group
        for track in view.tracks.values()
        if track.uid in uids | behind or track.group in uids or track.workload in names
    )


def _dropout(tracks: Sequence[PodTrack], axis: Timeline) -> Dropout | None:
    before = [(track, state) for track in tracks if (state := track.before(axis.sent_ns)) is not None]
    ready = [(track, state) for track, state in before if counts_as_ready(state)]
    if not ready:
        return None
    together = [(axis.sent_ns, axis.end_ns)]
    for track, state in ready:
        together = list(_overlaps(together, _unready(track, state, axis)))
    longest = max(together, key=lambda one: one[1] - one[0], default=None)
    least = _SECONDS_MIN if len(ready) > 1 else _SECONDS_MIN_ALONE
    if longest is None or (seconds := (longest[1] - longest[0]) / 1e9) < least:
        return None
    return Dropout(ready[0][0].workload, len(ready), longest[0], seconds)


def _unready(track: PodTrack, before: PodObserved, axis: Timeline) -> list[_Interval]:
    """Return when a pod was unready though its containers ran on and nobody wanted it gone."""
    following = [pod.at.monotonic_ns for pod in track.seen[1:]] + [axis.end_ns]
    return [
        (pod.at.monotonic_ns, until)
        for pod, until in zip(track.seen, following, strict=True)
        if pod.at.monotonic_ns >= axis.sent_ns and _is_unready_by_itself(pod, before)
    ]


def _is_unready_by_itself(pod: PodObserved, before: PodObserved) -> bool:
    is_there = pod.change is not ChangeKind.DELETED and not pod.terminating
    return is_there and not pod.ready and pod.containers_started and pod.restarts == before.restarts


def _overlaps(some: Iterable[_Interval], others: Sequence[_Interval]) -> Iterable[_Interval]:
    for begin, end in some:
        for other_begin, other_end in others:
            if max(begin, other_begin) < min(end, other_end):
                yield max(begin, other_begin), min(end, other_end)
