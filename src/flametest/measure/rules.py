"""Rules: what the measurements of a scenario show about its causes, as advice with the evidence for it.

Each rule looks at what was recorded and returns a finding or None. A rule speaks only when its evidence is plain, and
whether or not a limit was missed: what was not felt today may be tomorrow. None of them guesses at what was not seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from flametest.measure.distribution import CONNECTIONS
from flametest.measure.figures import Figures
from flametest.measure.pods import PodTrack, counts_as_ready
from flametest.measure.readiness import dropouts
from flametest.measure.samples import Samples
from flametest.measure.upstream import multiplied_load
from flametest.model.events import ChangeKind, Phase, PodObserved, ProberEnded
from flametest.model.measures import Durability, Upstream
from flametest.model.plurals import counted
from flametest.model.result import Finding
from flametest.model.samples import Lane

__all__ = ["RULES", "Recorded"]

_EARLY_SECONDS = 0.25  # a watch may tell of readiness that much later than the endpoints know
_LINGER_SECONDS = 0.5  # how long a proxy may take to notice a removed endpoint before it is worth a word
_FEW = 3  # single requests are chance
_HUNG_SHARE = 0.5
_UNREADY_SECONDS = 1.0
_UNREADY_SHARE = 0.4
_STARTING_SHARE = 0.5
_STARTING_SECONDS = 2.0
_ENDING_SECONDS = 10.0
_UNEVEN = 1.25
_WARM_UP_SECONDS = 3.0
_BURSTS = 3
_BUSY_SECONDS, _BUSY_SHARE = 5.0, 0.4  # starting programs, and a replacement, take less of a short scenario
_OUT_OF_MEMORY = "OOMKilled"  # as containerd and the kubelet name it


@dataclass(frozen=True, slots=True)
class Recorded:
    """What rules look at.

    Attributes:
        measured: the figures.
        samples: the samples of all lanes.
        kept: what became of the ledger's writes; None without a ledger.
        felt: what users felt, in words.
        upstream: how many requests arrived at the apps inside.
        prober: what the prober says of itself.
    """

    measured: Figures
    samples: Samples
    kept: Durability | None
    felt: str
    upstream: tuple[Upstream, ...] = ()
    prober: tuple[ProberEnded, ...] = ()

    @property
    def bad(self) -> Samples:
        """Return the requests that failed after the injection, of all lanes."""
        return self.samples.where(self.samples.bad & (self.samples.done_ns >= self.measured.axis.sent_ns))

    def finding(self, rule: str, section: str, title: str, evidence: str, advice: str) -> Finding:
        """Return a finding on what users felt."""
        return Finding(title=title, felt=self.felt, evidence=evidence, advice=advice, rule=rule, section=section)


def _served_unready(recorded: Recorded) -> Finding | None:
    """Find a pod that answered before the watch saw it ready."""
    first_ready = {
        track.name: moment
        for track in recorded.measured.view.tracks.values()
        if track.first_seen_ns >= recorded.measured.axis.sent_ns and (moment := _first_ready_ns(track)) is not None
    }
    samples = recorded.samples
    codes = {samples.pods.index(name): moment for name, moment in first_ready.items() if name in samples.pods}
    early = {
        samples.pods[code]: samples.where(
            (samples.served_by_code == code) & (samples.done_ns < moment - round(_EARLY_SECONDS * 1e9))
        )
        for code, moment in codes.items()
    }
    pod = max(early, key=lambda name: len(early[name]), default="")
    if not pod or len(early[pod]) < _FEW:
        return None
    ahead = (first_ready[pod] - int(early[pod].done_ns.min())) / 1e9
    return recorded.finding(
        "served_unready",
        "pods",
        f"{pod} took requests before it was ready",
        f"it answered {counted(len(early[pod]), 'request')}, the first {ahead:.1f} s before its Ready condition was "
        "seen",
        "do not publish addresses that are not ready, and let the readiness probe ask for what requests need",
    )


def _first_ready_ns(track: PodTrack) -> int | None:
    return next((pod.at.monotonic_ns for pod in track.seen if counts_as_ready(pod)), None)


def _dead_upstream(recorded: Recorded) -> Finding | None:
    """Find failures that went on after the lost pod was out of the endpoints, while others were ready."""
    measured = recorded.measured
    out_ns = measured.moments.endpoint_out_ns if measured.moments else None
    if out_ns is None or not measured.moments or not measured.moments.lost:
        return None
    late = recorded.bad.where(recorded.bad.sent_ns > out_ns + round(_LINGER_SECONDS * 1e9))
    late = late.where(_others_routed(recorded, late))
    if len(late) < _FEW:
        return None
    seconds = (int(late.sent_ns[-1]) - out_ns) / 1e9
    return recorded.finding(
        "dead_upstream",
        "waterfall",
        "something kept sending requests to an address that was gone",
        f"{counted(len(late), 'request')} failed up to {seconds:.1f} s after {', '.join(measured.moments.lost)} was "
        "out of the endpoints, though other pods were ready",
        "resolve upstream names again (or go by the Service's address), bound connecting to about a second, and retry "
        "what is safe to repeat on another pod",
    )


def _others_routed(recorded: Recorded, samples: Samples) -> NDArray[np.bool_]:
    routed = recorded.measured.view.routed
    return np.array([(routed.at(int(moment)) or 0) > 0 for moment in samples.sent_ns], dtype=np.bool_)


def _hung(recorded: Recorded) -> Finding | None:
    """Find failures that were mostly time limits."""
    bad = recorded.bad
    hung = bad.where(np.array([bad.errors[code] == "timeout" for code in bad.error_code], dtype=np.bool_))
    if len(hung) < _FEW or len(hung) < _HUNG_SHARE * len(bad):
        return None
    waited = float(np.median(hung.done_ns - hung.intended_ns)) / 1e9
    return recorded.finding(
        "hung_requests",
        "latency",
        "requests hung instead of failing",
        f"{len(hung)} of {len(bad)} failed requests got no answer at all, after a median wait of {waited:.1f} s",
        "set time limits on every call, shorter the further inside, so that a caller can answer, or try another pod, "
        "while its own caller still waits",
    )


def _slow_readiness(recorded: Recorded) -> Finding | None:
    """Find a replacement that ran long before it was ready."""
    seconds = _stages(recorded)
    started, ready = seconds.get("started"), seconds.get("ready")
    if started is None or ready is None or not recorded.measured.moments:
        return None
    wait = ready - started
    if not recorded.measured.moments.replacements or wait < max(_UNREADY_SECONDS, _UNREADY_SHARE * ready):
        return None
    return recorded.finding(
        "slow_readiness",
        "waterfall",
        "the replacement ran long before it counted as ready",
        f"containers ran after {started:.1f} s, the ready count was back after {ready:.1f} s: {wait:.1f} s of waiting "
        "for the program to start and for its readiness probe to ask",
        "shorten periodSeconds of the readiness probe (or use a startup probe with a short period), and start the "
        "program faster",
    )


def _slow_start(recorded: Recorded) -> Finding | None:
    """Find a replacement whose containers took long to run."""
    seconds = _stages(recorded)
    rescheduled, started, ready = (seconds.get(name) for name in ("rescheduled", "started", "ready"))
    if rescheduled is None or started is None or ready is None:
        return None
    wait = started - rescheduled
    if wait < max(_STARTING_SECONDS, _STARTING_SHARE * ready):
        return None
    return recorded.finding(
        "slow_start",
        "waterfall",
        "the replacement's containers took long to start",
        f"it was created after {rescheduled:.1f} s and its containers ran after {started:.1f} s",
        "keep images small and present on every node, init containers short, and volumes quick to attach",
    )


def _slow_end(recorded: Recorded) -> Finding | None:
    """Find a pod whose successor of the same name, as a StatefulSet makes them, had to wait until it had ended."""
    own = recorded.measured.view.own()
    names = [track.name for track in own]
    waits = ((_ending_seconds(track), track.name) for track in own if names.count(track.name) > 1)
    seconds, name = max(waits, default=(0.0, ""))
    if seconds < _ENDING_SECONDS:
        return None
    return recorded.finding(
        "slow_end",
        "waterfall",
        f"{name} took long to end, and its replacement waited for that",
        f"{seconds:.1f} s passed from the request to end it until it was gone; a StatefulSet creates a pod of the same "
        "name only then",
        "have the program end within seconds of its signal: let it handle SIGTERM, or name the signal that it handles "
        "by STOPSIGNAL in its image (PostgreSQL: SIGINT), and keep preStop hooks short",
    )


def _ending_seconds(track: PodTrack) -> float:
    """Return how long a pod that was well took from the request to end it until it was gone; 0 if it did not."""
    asked = next((at for at, pod in enumerate(track.seen) if pod.terminating), 0)
    is_gone = track.seen[-1].change is ChangeKind.DELETED
    if not is_gone or asked == 0 or not track.seen[asked - 1].ready:
        return 0.0  # one on a node that is lost is not ready by then
    return (track.seen[-1].at.monotonic_ns - track.seen[asked].at.monotonic_ns) / 1e9


def _uneven(recorded: Recorded) -> Finding | None:
    """Find a pod that took more than its share once all were back."""
    spread = [one for one in recorded.measured.distribution if one.phase is Phase.RECOVERY]
    worst = max(spread, key=lambda one: one.max_over_mean or 0.0, default=None)
    if worst is None or (worst.max_over_mean or 0.0) <= _UNEVEN:
        return None
    busiest = max(worst.shares, key=lambda share: share.rate or 0.0)
    total = sum(share.requests for share in worst.shares)
    how = "kept" if worst.connections == CONNECTIONS[Lane.LOAD] else "fresh"
    return recorded.finding(
        "uneven_load",
        "served",
        f"{busiest.pod} took more than its share",
        f"after recovery it served {busiest.requests} of {total} requests over {how} connections, "
        f"{worst.max_over_mean:.2f} times the mean of its siblings and itself",
        "let kept connections expire, so that clients find new pods, or balance by request instead of by connection",
    )


def _kept_connections(recorded: Recorded) -> Finding | None:
    """Find failures that hit kept connections and spared fresh ones."""
    bad = recorded.bad
    kept, fresh = (len(bad.lane(lane)) for lane in (Lane.KEEPALIVE, Lane.FRESH))
    if kept < _FEW or kept < 2 * fresh + _FEW:
        return None
    return recorded.finding(
        "cut_connections",
        "latency",
        "kept connections were cut under their users",
        f"{kept} requests of the prober failed on a kept connection, {fresh} on fresh ones",
        "drain before stopping: answer with Connection: close for the length of preStop, and let clients retry a "
        "request whose kept connection was closed before any answer",
    )


def _warm_up(recorded: Recorded) -> Finding | None:
    """Find a system that was whole well before its service was good again."""
    steady, ready = recorded.measured.steady, _stages(recorded).get("ready")
    if steady is None or steady.seconds is None or ready is None or steady.seconds - ready < _WARM_UP_SECONDS:
        return None
    return recorded.finding(
        "slow_warm_up",
        "waterfall",
        "service was poor long after the pods were back",
        f"the ready count was back after {ready:.1f} s, service was steady after {steady.seconds:.1f} s",
        "look for queues, pools and caches that are still full or cold, and for retries that keep them so",
    )


def _bursts(recorded: Recorded) -> Finding | None:
    """Find an outage that came and went."""
    outage = recorded.measured.outage
    if outage is None or outage.envelope is None or len(outage.stretches) < _BURSTS:
        return None
    return recorded.finding(
        "bursts",
        "latency",
        "the outage came and went",
        f"{len(outage.stretches)} stretches within {outage.envelope.midpoint:.1f} s, with good answers between: a part "
        "of the requests met something broken",
        "find what part of the path still offers the broken pod, and retry what is safe to repeat once, elsewhere",
    )


def _multiplied(recorded: Recorded) -> Finding | None:
    """Find an app that got more requests for each one that users sent than it had before the fault."""
    found = multiplied_load(recorded.upstream)
    if found is None:
        return None
    when = "during the fault" if found.since.phase is Phase.FAULT else "after it"
    return recorded.finding(
        "multiplied_load",
        "served",
        f"retries multiplied the load on {found.since.app}",
        f"its pods counted {found.before.per_sent:.2f} requests for each one that users sent before the fault and "
        f"{found.since.per_sent:.2f} {when}: {found.times:.1f} times as many, {found.since.requests} within "
        f"{found.since.seconds:.0f} s",
        "retry in one place only, within a budget of about a tenth of the requests, after growing random pauses, and "
        "not at all while everything fails",
    )


def _out_of_memory(recorded: Recorded) -> Finding | None:
    """Find containers that were killed because they had taken all the memory that they may."""
    tracks = recorded.measured.view.tracks.values()
    killed = {track.name for track in tracks if any(_has_run_out(*states) for states in pairwise(track.seen))}
    if not killed:
        return None
    return recorded.finding(
        "out_of_memory",
        "pods",
        "containers ran out of memory",
        f"containers of {', '.join(sorted(killed))} were killed as {_OUT_OF_MEMORY} while the scenario ran",
        "give them a higher limit of memory, or have them take less: bound queues, caches and the number of workers",
    )


def _has_run_out(earlier: PodObserved, later: PodObserved) -> bool:
    """Return whether a container was killed for its memory between two states of its pod."""
    is_new = later.restarts > earlier.restarts or earlier.ended_because != _OUT_OF_MEMORY
    return later.ended_because == _OUT_OF_MEMORY and is_new


def _readiness_asks_another(recorded: Recorded) -> Finding | None:
    """Find a workload whose pods all became unready while a fault hit another part, though they ran on."""
    measured = recorded.measured
    found = max(dropouts(measured.view, measured.axis), key=lambda one: one.seconds, default=None)
    if found is None:
        return None
    pods = "its pod was" if found.pods == 1 else f"all {found.pods} pods were"
    return recorded.finding(
        "readiness-asks-another",
        "pods",
        f"{found.workload} became unready when another part was hit",
        f"{pods} unready for {found.seconds:.1f} s, from {measured.axis.seconds(found.begin_ns):.1f} s after the fault "
        "on, while their containers ran on: a readiness probe asks the part that was hit",
        "let readiness report the pod's own state only, and answer what needs a missing part with an error or from a "
        "cache",
    )


def _unknown_writes(recorded: Recorded) -> Finding | None:
    """Find writes of which the client cannot know whether they were done."""
    kept = recorded.kept
    if kept is None or kept.unknown == 0:
        return None
    total = kept.acknowledged + kept.refused + kept.failed + kept.unknown
    return recorded.finding(
        "unknown_writes",
        "writes",
        "some users do not know whether their write was kept",
        f"{kept.unknown} of {total} {kept.name} ended without a certain answer",
        "let clients repeat a write under the same idempotency key until they get an answer, and let users look up "
        "what is kept of theirs",
    )


def _no_processor_left(recorded: Recorded) -> Finding | None:
    """Find a machine whose processors were all busy, so that whatever ran on it had to wait."""
    busy = sum(one.busy_ms for one in recorded.prober) / 1000
    looked = sum(one.looked_ms for one in recorded.prober) / 1000
    if busy < max(_BUSY_SECONDS, _BUSY_SHARE * looked):
        return None
    return recorded.finding(
        "no_processor_left",
        "trust",
        "the machine that Flametest runs on had no processor left",
        f"all of its processors were busy for {busy:.0f} of the {looked:.0f} s that the prober ran",
        "end what else runs there, run fewer scenarios at the same time, or offer less: a system on the same machine, "
        "such as a sandbox, fails for longer and recovers later than it would",
    )


def _stages(recorded: Recorded) -> dict[str, float]:
    return {one.name: one.seconds for one in recorded.measured.stages if one.seconds is not None}


RULES: tuple[Callable[[Recorded], Finding | None], ...] = (
    _served_unready,
    _dead_upstream,
    _hung,
    _kept_connections,
    _bursts,
    _slow_end,
    _slow_start,
    _slow_readiness,
    _warm_up,
    _uneven,
    _multiplied,
    _out_of_memory,
    _readiness_asks_another,
    _unknown_writes,
    _no_processor_left,
)
"""In the order in which reports show what they find."""
