"""The stages of a recovery, from t0: detected, rescheduled, started, ready, routed, first success, steady.

Replacements are matched by owner and uid: a pod of the same workload that was not there before the fault. With
several pods lost, a stage is reached when the last one that is still missing reaches it. How many pods are to be ready
is what the workload wants at that moment: whoever scales it meanwhile, an autoscaler or a person, has the last word.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from flametest.measure.pods import PodTrack, WorkloadView, counts_as_ready, ready_uids
from flametest.measure.samples import Samples
from flametest.measure.timeline import Timeline
from flametest.model.events import ChangeKind, PodObserved
from flametest.model.measures import Stage, SteadyState
from flametest.model.samples import Lane

__all__ = ["Moments", "recovery_moments", "recovery_stages"]


@dataclass(frozen=True, slots=True)
class Moments:
    """The moments of a recovery in monotonic nanoseconds; None for one that was not seen.

    Attributes:
        lost: pods that the fault took, by name.
        replacements: the pods in their place, by name.
        endpoint_out_ns: a lost pod was taken out of an EndpointSlice.
        first_failure_ns: sending time of the first bad request of the prober's fresh lane.
        rescheduled_ns: every lost pod has its replacement.
        started_ns: the containers of all replacements run.
        ready_ns: the ready count is back at the desired count.
        routed_ns: every replacement is ready in an EndpointSlice.
        first_success_ns: sending time of the first good request after the first bad one.
        undisturbed: the fault named no pod, and the ready count never fell.
        wishes: how many pods were wanted before the fault and in the end, where somebody else changed that; else None.
    """

    lost: tuple[str, ...]
    replacements: tuple[str, ...]
    endpoint_out_ns: int | None
    first_failure_ns: int | None
    rescheduled_ns: int | None
    started_ns: int | None
    ready_ns: int | None
    routed_ns: int | None
    first_success_ns: int | None
    undisturbed: bool
    wishes: tuple[int, int] | None = None


def recovery_moments(view: WorkloadView, samples: Samples, axis: Timeline) -> Moments:
    """Return when each step of the recovery from the fault of ``axis`` was seen."""
    failure, success = _client_moments(samples.lane(Lane.FRESH), axis.sent_ns)
    lost = _lost(view, axis)
    named = _taken(axis)
    places = max(len(lost), len(_relevant(view, named)))
    undisturbed = not lost and not named
    heirs = _heirs(view, lost, axis.sent_ns)
    gone = [_gone_ns(track, axis.sent_ns) for track in lost]
    all_gone_ns = max((moment for moment in gone if moment is not None), default=None)
    if len(lost) < places or None in gone:
        all_gone_ns = None
    wishes = _wishes(view, axis)
    ready_ns = _ready_again_ns(view, all_gone_ns, axis.sent_ns, wishes)
    if any(track.uid not in view.own_uids for track in lost):
        # Another workload's pods: they are whole again with their replacements, and this workload's own count.
        replaced_ns = _nth_state(heirs, lost, places, axis.sent_ns, counts_as_ready)
        ready_ns = None if ready_ns is None or replaced_ns is None else max(ready_ns, replaced_ns)
    return Moments(
        lost=tuple(track.name for track in lost),
        replacements=tuple(heir.name for heir in heirs if heir not in lost)[:places],
        endpoint_out_ns=_endpoint_out_ns(view, {track.uid for track in lost}, axis.sent_ns),
        first_failure_ns=failure,
        rescheduled_ns=_nth((heir.first_seen_ns for heir in heirs if heir not in lost), places),
        started_ns=_nth_state(heirs, lost, places, axis.sent_ns, _runs),
        ready_ns=ready_ns,
        routed_ns=_routed_ns(view, heirs, lost, places, axis.sent_ns),
        first_success_ns=success,
        undisturbed=undisturbed,
        wishes=None if wishes.imposed or wishes.before == wishes.since else (wishes.before, wishes.since),
    )


def recovery_stages(moments: Moments, axis: Timeline, steady: SteadyState | None) -> tuple[Stage, ...]:
    """Return the stages in their order, in seconds from t0; each is as uncertain as t0 itself."""

    def stage(name: str, title: str, moment_ns: int | None, detail: str) -> Stage:
        seconds = None if moment_ns is None else axis.seconds_after(moment_ns)
        return Stage(name, title, seconds, axis.uncertainty_seconds, detail)

    seen = {"endpoint taken out": moments.endpoint_out_ns, "first client failure": moments.first_failure_ns}
    known = {what: moment for what, moment in seen.items() if moment is not None}
    noticed = min(known, key=known.__getitem__, default="")
    heirs = ", ".join(moments.replacements)
    routed = heirs or ", ".join(moments.lost)
    none = "no pod was lost" if moments.undisturbed else "no replacement was seen"
    unhurt = "no request of the prober failed"
    steady_detail = "" if steady is None else steady.reason or f"held for {steady.hold_seconds:.1f} s"
    return (
        stage("detected", "Detected", known.get(noticed), noticed or "nobody noticed"),
        stage("rescheduled", "Replacement created", moments.rescheduled_ns, heirs or none),
        stage("started", "Containers started", moments.started_ns, routed or none),
        stage("ready", "Ready count restored", moments.ready_ns, _ready_detail(moments)),
        stage("routed", "Routed to again", moments.routed_ns, routed or none),
        stage(
            "first_success",
            "First success after the first failure",
            moments.first_success_ns,
            unhurt if moments.first_failure_ns is None else "prober, fresh connections",
        ),
        Stage(
            "steady",
            "Steady state",
            None if steady is None else steady.seconds,
            axis.uncertainty_seconds,
            steady_detail,
        ),
    )


def _ready_detail(moments: Moments) -> str:
    if moments.undisturbed:
        return "the ready count never fell"
    return "" if moments.ready_ns is not None else "the ready count was not back when the watch ended"


def _client_moments(fresh: Samples, affected_from_ns: int) -> tuple[int | None, int | None]:
    """Return the sending times of the first bad sample and of the first good one after it."""
    bad = np.flatnonzero(fresh.bad & (fresh.done_ns >= affected_from_ns))
    if not len(bad):
        return None, None
    good = np.flatnonzero(fresh.good[bad[0] :])
    success = int(fresh.sent_ns[bad[0] + good[0]]) if len(good) else None
    return int(fresh.sent_ns[bad[0]]), success


def _taken(axis: Timeline) -> list[str]:
    """Return the uids of the pods that a fault was to take away."""
    return [target.uid for target in axis.targets if target.kind == "Pod" and target.uid not in axis.kept_uids]


def _relevant(view: WorkloadView, uids: list[str]) -> list[str]:
    """Return the uids of the workload's own pods, or all of them when none is its own."""
    return [uid for uid in uids if uid in view.own_uids] or uids


def _lost(view: WorkloadView, axis: Timeline) -> list[PodTrack]:
    """Return the pods that the fault took: its targets; for a fault on other things, the pods that went with them."""
    named = _relevant(view, _taken(axis))
    if named:
        return [view.tracks[uid] for uid in named if uid in view.tracks]
    return [
        track
        for track in view.own()
        if (before := track.before(axis.sent_ns)) is not None
        and counts_as_ready(before)
        and _gone_ns(track, axis.sent_ns) is not None
    ]


def _gone_ns(track: PodTrack, sent_ns: int) -> int | None:
    """Return when a pod stopped counting as ready, or was restarted between two looks."""
    before = track.before(sent_ns)
    restarts = before.restarts if before is not None else 0
    return next(
        (
            pod.at.monotonic_ns
            for pod in track.seen
            if pod.at.monotonic_ns >= sent_ns and (not counts_as_ready(pod) or pod.restarts > restarts)
        ),
        None,
    )


def _heirs(view: WorkloadView, lost: list[PodTrack], sent_ns: int) -> list[PodTrack]:
    """Return the pods that take the lost ones' places: new ones of the same workload, and those that only restarted.

    Of the new ones those that became ready stand first: during a rollout there may be others, which never do.
    """
    groups = {track.group for track in lost}
    new = [
        track
        for track in view.tracks.values()
        if track.group in groups and track.first_seen_ns >= sent_ns and track not in lost
    ]
    new.sort(key=lambda track: not any(map(counts_as_ready, track.seen)))
    restarted = [
        track for track in lost if not any(pod.terminating or pod.change is ChangeKind.DELETED for pod in track.seen)
    ]
    return new + restarted


def _nth(moments_ns: Iterable[int], count: int) -> int | None:
    """Return when the ``count``-th of some moments passed; None when there are not that many, or none is asked for."""
    ordered = sorted(moments_ns)
    return ordered[count - 1] if 0 < count <= len(ordered) else None


def _nth_state(
    heirs: list[PodTrack], lost: list[PodTrack], count: int, sent_ns: int, holds: Callable[[PodObserved], bool]
) -> int | None:
    """Return when the ``count``-th heir was first in a state, for a restarted pod after it was gone."""
    moments: list[int] = []
    for heir in heirs:
        since = _gone_ns(heir, sent_ns) if heir in lost else heir.first_seen_ns
        if since is None:
            continue
        seen = [pod.at.monotonic_ns for pod in heir.seen if pod.at.monotonic_ns >= since and holds(pod)]
        moments += seen[:1]
    return _nth(moments, count)


def _runs(pod: PodObserved) -> bool:
    return pod.containers_started and pod.change is not ChangeKind.DELETED


@dataclass(frozen=True, slots=True)
class _Wishes:
    """How many pods a workload wanted before the fault and in the end; ``imposed`` when the fault itself is the cause.

    A fault may be that fewer are wanted: it is over when as many are ready as were wanted before it. If what is wanted
    in the end is neither what the fault left nor what was there before, somebody else wants it so.
    """

    before: int
    since: int
    imposed: bool

    @property
    def least(self) -> int:
        """Return how many pods have to be ready at least, whatever is wanted meanwhile."""
        return self.before if self.imposed else min(self.before, self.since)


def _wishes(view: WorkloadView, axis: Timeline) -> _Wishes:
    before = view.desired.at(axis.sent_ns - 1) or 0
    changes = [
        value
        for moment, value in zip(view.desired.moments_ns, view.desired.values, strict=True)
        if moment >= axis.sent_ns
    ]
    since = changes[-1] if changes else before
    is_scaled = bool(axis.scaled_uids & view.uids)
    return _Wishes(before, since, imposed=is_scaled and (not axis.is_healed or changes[:1] == [since]))


def _ready_again_ns(view: WorkloadView, gone_ns: int | None, sent_ns: int, wishes: _Wishes) -> int | None:
    """Return when, after all lost pods were gone, as many pods were ready as were desired by then."""
    if gone_ns is None:
        return None
    before = view.ready.at(sent_ns - 1)
    later = {moment for steps in (view.ready, view.desired) for moment in steps.moments_ns if moment > gone_ns}
    for moment in (gone_ns, *sorted(later)):
        count, desired = view.ready.at(moment), view.desired.at(moment)
        wanted = max(desired, wishes.least) if desired is not None else before
        if count is not None and wanted is not None and count >= wanted:
            return moment
    return None


def _endpoint_out_ns(view: WorkloadView, uids: set[str], sent_ns: int) -> int | None:
    """Return when a slice that routed to one of the pods first stopped doing so."""
    routed: dict[str, frozenset[str]] = {}
    for event in view.endpoints:
        now = ready_uids(event)
        lost = (routed.get(event.slice_name, frozenset()) - now) & uids
        if lost and event.at.monotonic_ns >= sent_ns:
            return event.at.monotonic_ns
        routed[event.slice_name] = now
    return None


def _routed_ns(view: WorkloadView, heirs: list[PodTrack], lost: list[PodTrack], count: int, sent_ns: int) -> int | None:
    """Return when the last heir that was missing was ready in a slice."""
    since = {heir.uid: _gone_ns(heir, sent_ns) if heir in lost else heir.first_seen_ns for heir in heirs}
    first: dict[str, int] = {}
    for event in view.endpoints:
        moment = event.at.monotonic_ns
        for uid in ready_uids(event):
            begun = since.get(uid)
            if begun is not None and moment >= begun:
                first.setdefault(uid, moment)
    return _nth(first.values(), count)
