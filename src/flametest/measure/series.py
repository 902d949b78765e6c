"""What the charts draw: rates and latency in equal bins, ready counts as steps, pods as life lines, and the marks."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from flametest.measure.availability import offered_per_bin
from flametest.measure.figures import Figures
from flametest.measure.latency import percentile
from flametest.measure.levels import budget_used, service_level
from flametest.measure.objectives import Objectives
from flametest.measure.pods import PodTrack, Steps, counts_as_ready
from flametest.measure.samples import Samples
from flametest.measure.timeline import Timeline
from flametest.model.events import ChangeKind, PodObserved
from flametest.model.result import LifeSpan, Mark, PodLife, Series, Step

__all__ = ["bin_edges", "bin_seconds", "marks", "series"]

_BIN_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)
_BINS_MAX = 240
_COVERED_RATIO_MIN = 0.25  # a bin at the record's edge with less than this is no base for a rate


def bin_seconds(span_seconds: float) -> float:
    """Return the narrowest round width that cuts a span into at most 240 bins; wider than a minute if need be."""
    fitting = (width for width in _BIN_SECONDS if span_seconds / width <= _BINS_MAX)
    return next(fitting, float(np.ceil(span_seconds / _BINS_MAX)))


def series(measured: Figures, objectives: Objectives) -> Series | None:
    """Return what the charts of one scenario draw, in seconds from t0; None without a request.

    Requests fall into bins by their intended start, so that a request which had to wait shows where it was wanted.
    """
    samples, axis = measured.demand.samples, measured.axis
    if not len(samples):
        return None
    edges, width = bin_edges(measured)
    wanted = (samples.intended_ns - axis.origin_ns) / 1e9
    counted, good = (np.histogram(chosen, edges)[0].astype(np.int64) for chosen in (wanted, wanted[samples.good]))
    covered = _covered_seconds(edges, measured)
    offered = offered_per_bin(counted, covered, measured.demand, objectives)
    lasting = np.maximum(covered, width * _COVERED_RATIO_MIN)
    p50, p95, p99 = _latency_bins(samples, wanted, edges)
    start, end = float(edges[0]), float(edges[-1])
    view = measured.view
    return Series(
        start_seconds=start,
        bin_seconds=width,
        offered=_rates(offered, lasting),
        good=_rates(good, lasting),
        bad=_rates(counted - good, lasting),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        desired_pods=_chart_steps(view.desired, axis, start, end),
        ready_pods=_chart_steps(view.ready, axis, start, end),
        ready_endpoints=_chart_steps(view.routed, axis, start, end),
        pods=_pod_lives(measured, start, end),
        level=service_level(edges, offered, good),
        budget_used=budget_used(
            measured.demand,
            objectives,
            edges,
            origin_ns=axis.origin_ns,
            affected_from_ns=axis.start_ns if axis.t0_ns is None else axis.sent_ns,
        ),
    )


def bin_edges(measured: Figures) -> tuple[NDArray[np.float64], float]:
    """Return the edges of the charts' bins in seconds from t0, and their width; there has to be a request.

    Bin edges are whole multiples of the width from t0.
    """
    wanted, axis = measured.demand.samples.intended_ns, measured.axis
    first = axis.seconds(min(axis.start_ns, int(wanted.min())))
    last = axis.seconds(int(wanted.max()))
    width = bin_seconds(last - first)
    return np.arange(np.floor(first / width), np.floor(last / width) + 2) * width, width


def marks(measured: Figures) -> tuple[Mark, ...]:
    """Return the numbered moments of a fault's record that were seen, earliest first; empty before a fault."""
    moments, axis = measured.moments, measured.axis
    if moments is None or axis.t0_ns is None:
        return ()
    several = measured.faults
    seen = {
        f"{several[0].name} injected" if several else "injected": axis.t0_ns,
        "first failure": moments.first_failure_ns,
        "endpoint out": moments.endpoint_out_ns,
        "replacement ready": moments.ready_ns,
        "first success": moments.first_success_ns,
    }
    placed = [(axis.seconds_after(moment), label) for label, moment in seen.items() if moment is not None]
    placed += [(fault.injected_seconds, f"{fault.name} injected") for fault in several[1:]]
    placed += [(at, f"{fault.name} healed") for fault in several if (at := fault.healed_seconds) is not None]
    if measured.steady is not None and measured.steady.seconds is not None:
        placed.append((measured.steady.seconds, "steady"))
    placed.sort(key=lambda mark: mark[0])
    return tuple(Mark(number, label, seconds) for number, (seconds, label) in enumerate(placed, start=1))


def _covered_seconds(edges: NDArray[np.float64], measured: Figures) -> NDArray[np.float64]:
    """Return how much of each bin the samples reach into: all of it, but for the first and the last one."""
    wanted = measured.demand.samples.intended_ns
    first, last = (measured.axis.seconds(int(moment)) for moment in (wanted.min(), wanted.max()))
    covered: NDArray[np.float64] = np.maximum(0.0, np.minimum(edges[1:], last) - np.maximum(edges[:-1], first))
    return covered


def _rates(counts: NDArray[np.int64] | NDArray[np.float64], seconds: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(rate) for rate in counts / seconds)


def _latency_bins(
    samples: Samples, wanted: NDArray[np.float64], edges: NDArray[np.float64]
) -> tuple[tuple[float | None, ...], ...]:
    """Return p50, p95 and p99 of the good requests of each bin, in milliseconds."""
    order = np.argsort(wanted[samples.good], kind="stable")
    starts = wanted[samples.good][order]
    waited = samples.latency_ms[samples.good][order]
    parts = np.split(waited, np.searchsorted(starts, edges[1:-1], side="left"))
    return tuple(tuple(percentile(part, share) for part in parts) for share in (50.0, 95.0, 99.0))


def _chart_steps(steps: Steps, axis: Timeline, start: float, end: float) -> tuple[Step, ...]:
    """Return steps on the chart's axis: what was before its beginning stands at its beginning."""
    placed: list[Step] = []
    for moment, value in zip(steps.moments_ns, steps.values, strict=True):
        seconds = max(start, axis.seconds(moment))
        if seconds > end:
            break
        if placed and placed[-1].seconds == seconds:
            placed.pop()
        placed.append(Step(seconds, value))
    return tuple(placed)


def _pod_lives(measured: Figures, start: float, end: float) -> tuple[PodLife, ...]:
    """Return the life lines of the workload's pods, and of others whose state changed within the chart."""
    axis = measured.axis
    lives = []
    for track in measured.view.tracks.values():
        spans = tuple(_spans(track, axis, start, end))
        if spans and (track.uid in measured.view.own_uids or len(spans) > 1):
            lives.append(PodLife(track.uid, track.name, track.workload, track.node, spans))
    return tuple(lives)


def _spans(track: PodTrack, axis: Timeline, start: float, end: float) -> Iterable[LifeSpan]:
    """Yield the stretches of one pod's life that lie within the chart, equal neighbours joined."""
    open_state, opened = "", start
    for pod in track.seen:
        state = _state(pod)
        if state == open_state:
            continue
        moment = min(max(axis.seconds(pod.at.monotonic_ns), start), end)
        if open_state and moment > opened:
            yield LifeSpan(open_state, opened, moment)
        open_state, opened = state, moment
    if open_state and end > opened:
        yield LifeSpan(open_state, opened, end)


def _state(pod: PodObserved) -> str:
    """Return the state that is drawn; empty for a pod that is gone or has done its work."""
    if pod.change is ChangeKind.DELETED or pod.phase in ("Succeeded", "Failed"):
        return ""
    if pod.terminating:
        return "terminating"
    if counts_as_ready(pod):
        return "ready"
    return "running" if pod.containers_started else "pending"
