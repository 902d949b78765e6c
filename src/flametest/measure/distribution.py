"""Who served: how evenly requests spread over the pods that were ready for them.

Rates are compared, not counts, since a pod that was there for half the time is due half the requests. Requests on
one kept connection are not independent, so the load is counted apart from the prober's fresh connections.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flametest.measure.objectives import Objectives
from flametest.measure.pods import PodTrack, WorkloadView, names_in
from flametest.measure.samples import Samples
from flametest.model.events import Phase
from flametest.model.measures import Distribution, PodShare
from flametest.model.samples import Lane

__all__ = [
    "CONNECTIONS",
    "coefficient_of_variation",
    "compared_shares",
    "distribution",
    "jain_index",
    "max_over_mean",
    "max_over_mean_uncertainty",
]

CONNECTIONS: dict[Lane, str] = {Lane.FRESH: "fresh", Lane.LOAD: "load"}
"""How a lane's connections are called in a `Distribution`."""


def jain_index(rates: Sequence[float]) -> float | None:
    """Return Jain's fairness index (Σx)²/(k·Σx²), between 1/k (one serves all) and 1 (all serve alike).

    Source: Jain, Chiu and Hawe, A Quantitative Measure of Fairness and Discrimination, DEC-TR-301, 1984.
    None without a request.
    """
    greatest = max(rates, default=0.0)
    if greatest <= 0:
        return None
    scaled = np.asarray(rates, dtype=np.float64) / greatest  # the index has no scale; this keeps squares in range
    return float(np.sum(scaled) ** 2 / (len(scaled) * np.sum(scaled**2)))


def coefficient_of_variation(rates: Sequence[float]) -> float | None:
    """Return standard deviation over mean, of the pods as the whole population: √(1/Jain − 1). None as for Jain."""
    jain = jain_index(rates)
    return None if jain is None else math.sqrt(max(0.0, 1.0 / jain - 1.0))


def max_over_mean(rates: Sequence[float]) -> float | None:
    """Return the greatest rate over the mean, between 1 and k; None without a request."""
    greatest = max(rates, default=0.0)
    if greatest <= 0:
        return None
    return float(1.0 / np.mean(np.asarray(rates, dtype=np.float64) / greatest))


def max_over_mean_uncertainty(shares: Sequence[PodShare]) -> float | None:
    """Return 1.96 standard errors of one pod's rate over the mean, if requests fell on pods at random.

    With n requests over k pods a pod's count is binomial(n, 1/k), so the ratio's standard error is √((k − 1)/n).
    """
    total = sum(share.requests for share in shares)
    return 1.96 * math.sqrt((len(shares) - 1) / total) if total else None


def distribution(
    view: WorkloadView, samples: Samples, lane: Lane, phase: tuple[Phase, int, int], objectives: Objectives
) -> Distribution:
    """Return who served one lane's requests that were answered in one phase (phase, start, end).

    Answers name pods; whose those are is told by their owners. Counted are the pods of the workload; where none of
    them names itself in its answers (a proxy, say), those of the workload that answered most. A pod that was ready and
    served nothing counts with 0. The indices compare the pods that were due enough requests
    (``compared_requests_min``); all are listed.
    """
    which, start_ns, end_ns = phase
    answered = samples.lane(lane)
    served = _served(answered, view)
    own = {track.name for track in view.own()}
    counted = view.own() if own & served.keys() else _busiest(served, view)
    counts = _served(answered.where((answered.done_ns >= start_ns) & (answered.done_ns < end_ns)), view)
    shares = _shares(view, counted, counts, (start_ns, end_ns), objectives)
    rates = [share.rate for share in compared_shares(shares, objectives) if share.rate is not None]
    return Distribution(
        phase=which,
        connections=CONNECTIONS[lane],
        shares=shares,
        jain=jain_index(rates),
        variation=coefficient_of_variation(rates),
        max_over_mean=max_over_mean(rates),
    )


def compared_shares(shares: Sequence[PodShare], objectives: Objectives) -> list[PodShare]:
    """Return the pods that were ready for long enough to be due ``compared_requests_min`` requests.

    One pod out of several says nothing about evenness: then there is none to compare.
    """
    per_second = _due_per_second(shares)
    due = [share for share in shares if share.ready_seconds * per_second >= objectives.compared_requests_min]
    return due if len(due) >= min(2, len(shares)) else []


def _served(samples: Samples, view: WorkloadView) -> dict[str, int]:
    """Return the number of requests that each pod answered, by its name."""
    counts: NDArray[np.intp] = np.bincount(samples.served_by_code, minlength=len(samples.pods))
    served: dict[str, int] = {}
    for named, count in zip(samples.pods, counts, strict=True):
        if named and count:
            pod = _named(named, view)
            served[pod] = served.get(pod, 0) + int(count)
    return served


def _named(served_by: str, view: WorkloadView) -> str:
    """Return the name of the pod that an answer names, of several that of the workload; as it is when none is known."""
    pods = [view.answering[name] for name in names_in(served_by) if name in view.answering]
    own = {track.name for track in view.own()}
    return next((pod for pod in pods if pod in own), pods[0] if pods else served_by)


def _busiest(served: dict[str, int], view: WorkloadView) -> list[PodTrack]:
    """Return the pods of the workload that answered most; none when pods that no watch knows answered more."""
    workload_of = {track.name: track.workload for track in view.tracks.values()}
    totals: dict[str, int] = {}
    for pod, count in served.items():
        workload = workload_of.get(pod, "")
        totals[workload] = totals.get(workload, 0) + count
    busiest = max(totals, key=totals.__getitem__, default="")
    return [track for track in view.tracks.values() if track.workload == busiest]


def _shares(
    view: WorkloadView,
    counted: Sequence[PodTrack],
    counts: dict[str, int],
    phase: tuple[int, int],
    objectives: Objectives,
) -> tuple[PodShare, ...]:
    start_ns, end_ns = phase
    ready_ns: dict[str, int] = {}
    nodes: dict[str, str] = {}
    for track in counted:
        ready_ns[track.name] = ready_ns.get(track.name, 0) + track.ready_ns(start_ns, end_ns)
        nodes[track.name] = track.node
    if not counted:  # no watch knows them: they are taken to have been ready all the time
        unwatched = set(counts) - {track.name for track in view.tracks.values()}
        ready_ns |= dict.fromkeys(unwatched, max(0, end_ns - start_ns))
    listed = [pod for pod in sorted(ready_ns) if ready_ns[pod] > 0 or counts.get(pod, 0) > 0]
    bare = [PodShare(pod, nodes.get(pod, ""), counts.get(pod, 0), ready_ns[pod] / 1e9, None) for pod in listed]
    due = _due_per_second(bare)
    return tuple(_rated(share, due, objectives) for share in bare)


def _due_per_second(shares: Sequence[PodShare]) -> float:
    """Return what each pod is due while it is ready, in requests a second; 0 when none was ready."""
    ready = sum(share.ready_seconds for share in shares)
    return sum(share.requests for share in shares) / ready if ready > 0 else 0.0


def _rated(share: PodShare, due_per_second: float, objectives: Objectives) -> PodShare:
    """Return a share with its rate, or with the reason why it has none."""
    seconds = share.ready_seconds
    if seconds < objectives.rated_seconds_min and seconds * due_per_second < objectives.compared_requests_min:
        ready = f"it was ready for {seconds:.2g} s" if seconds > 0 else "it was not ready"
        return replace(share, note=f"too short to tell: {ready}")
    return replace(share, rate=share.requests / seconds)
