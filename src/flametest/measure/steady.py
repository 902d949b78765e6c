"""Steady state: when the system had recovered for good, judged by every window that follows, not by a lucky one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flametest.measure.latency import percentile
from flametest.measure.objectives import Objectives
from flametest.measure.samples import Samples
from flametest.measure.timeline import Demand
from flametest.model.measures import SteadyState

__all__ = ["is_underloaded", "steady_hold_seconds", "steady_state", "steady_window_seconds"]

_UNDERLOADED = "less than the offered rate was sent"

# A share of requests is compared as a count; this keeps 0.95 · 20 from asking for more than 19.
_COUNT_SLACK = 1e-9


def steady_window_seconds(offered_per_second: float, objectives: Objectives) -> float:
    """Return the window's width W: long enough for 3/(1 − SLO) requests even at the least rate that is accepted."""
    requests = objectives.window_requests_factor / (1.0 - objectives.slo)
    return max(objectives.window_seconds_min, requests / (objectives.achieved_ratio_min * offered_per_second))


def steady_hold_seconds(offered_per_second: float, objectives: Objectives) -> float:
    """Return how long the system has to stay good; a recorder has to go on for this long after recovery."""
    return objectives.hold_windows * steady_window_seconds(offered_per_second, objectives)


def is_underloaded(steady: SteadyState) -> bool:
    """Return whether the reason why it was not steady tells of the load, and not of the system."""
    return steady.reason.startswith(_UNDERLOADED)


def steady_state(demand: Demand, objectives: Objectives, *, t0_ns: int) -> SteadyState:
    """Return the smallest τ from which every window [u, u + W] within [τ, τ + hold] was good.

    A window is good when good/valid ≥ SLO, the 95th percentile of latency (nearest rank, good requests, from the
    intended start) keeps its limit, and at least 95 % of the offered rate was sent. τ is stamped at the first
    window's start. Not reached is censored: τ is then known to be above ``after_seconds``.

    Windows change only where a request enters or leaves, so they are judged at these moments alone, by cumulative
    sums: n log n for n requests, and exact.
    """
    window_ns = round(steady_window_seconds(demand.offered_per_second, objectives) * 1e9)
    hold_ns = max(round(objectives.hold_windows * window_ns), window_ns)
    samples = demand.samples
    end_ns = int(samples.sent_ns[-1]) + 1 if len(samples) else t0_ns
    horizon_ns = max(0, end_ns - t0_ns)
    starts, verdicts = _judge_windows(demand, objectives, t0_ns, window_ns, end_ns)
    tau_ns = _first_held(starts, verdicts.good, end_ns - hold_ns, hold_ns - window_ns)
    reason, after_ns = "", 0
    if tau_ns is None:
        last_bad = starts[~verdicts.good]
        after_ns = max(0, horizon_ns - hold_ns, int(last_bad[-1]) - t0_ns if len(last_bad) else 0)
        reason = _reason(verdicts, demand, objectives, horizon_ns, hold_ns)
    return SteadyState(
        seconds=None if tau_ns is None else (tau_ns - t0_ns) / 1e9,
        window_seconds=window_ns / 1e9,
        hold_seconds=hold_ns / 1e9,
        horizon_seconds=horizon_ns / 1e9,
        reason=reason,
        after_seconds=after_ns / 1e9,
    )


@dataclass(frozen=True, slots=True)
class _Windows:
    """Which windows kept each condition, and which samples each of them holds: ``[first, last)``."""

    first: NDArray[np.intp]
    last: NDArray[np.intp]
    width_ns: int
    available: NDArray[np.bool_]
    quick: NDArray[np.bool_]
    loaded: NDArray[np.bool_]

    @property
    def good(self) -> NDArray[np.bool_]:
        """Return which windows kept all conditions."""
        return self.available & self.quick & self.loaded


def _judge_windows(
    demand: Demand, objectives: Objectives, t0_ns: int, window_ns: int, end_ns: int
) -> tuple[NDArray[np.int64], _Windows]:
    """Return the starts at which the set of requests in [u, u + W) changes, and the judgement of each window."""
    samples = demand.samples
    starts = _changes(samples, t0_ns, window_ns, end_ns)
    first = np.searchsorted(samples.sent_ns, starts, side="left")
    last = np.searchsorted(samples.sent_ns, starts + window_ns, side="left")
    slow = samples.good & (samples.latency_ms > objectives.p95_ms)
    valid = last - first
    good = _within(samples.good, first, last)
    meant = demand.offered_per_second * window_ns / 1e9
    return starts, _Windows(
        first,
        last,
        window_ns,
        available=(valid > 0) & (good >= objectives.slo * valid - _COUNT_SLACK),
        quick=(good > 0) & (good - _within(slow, first, last) >= 0.95 * good - _COUNT_SLACK),
        loaded=valid >= objectives.achieved_ratio_min * meant - demand.chance(window_ns / 1e9) - _COUNT_SLACK,
    )


def _changes(samples: Samples, t0_ns: int, window_ns: int, end_ns: int) -> NDArray[np.int64]:
    """Return the window starts in [t0, end − W] that differ in content, ascending, t0 first."""
    leaving = samples.sent_ns + 1
    entering = samples.sent_ns - window_ns + 1
    starts = np.unique(np.concatenate((np.array([t0_ns], dtype=np.int64), leaving, entering)))
    return starts[(starts >= t0_ns) & (starts <= end_ns - window_ns)]


def _within(selected: NDArray[np.bool_], first: NDArray[np.intp], last: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return how many of ``selected`` lie in each [first, last)."""
    sums = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(selected, dtype=np.int64)))
    counts: NDArray[np.int64] = sums[last] - sums[first]
    return counts


def _first_held(starts: NDArray[np.int64], good: NDArray[np.bool_], latest_ns: int, reach_ns: int) -> int | None:
    """Return the first start, at most ``latest_ns``, from which all windows up to ``reach_ns`` later are good."""
    bad_before = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(~good, dtype=np.int64)))
    reached = np.searchsorted(starts, starts + reach_ns, side="right")
    held = (starts <= latest_ns) & (bad_before[reached] == bad_before[: len(starts)])
    found = np.flatnonzero(held)
    return int(starts[found[0]]) if len(found) else None


def _reason(windows: _Windows, demand: Demand, objectives: Objectives, horizon_ns: int, hold_ns: int) -> str:
    """Return what kept the system from being steady, the latest of several, with the figures of its last window."""
    if horizon_ns < hold_ns:
        return f"watched for {horizon_ns / 1e9:.1f} s only; {hold_ns / 1e9:.1f} s are needed to tell"
    failures = {
        _unavailable: ~windows.available,
        _slow: windows.available & ~windows.quick,
        _underloaded: windows.available & windows.quick & ~windows.loaded,
    }
    latest = {told: int(np.flatnonzero(failed)[-1]) for told, failed in failures.items() if failed.any()}
    if not latest:
        return f"it was not steady for {hold_ns / 1e9:.1f} s on end within the {horizon_ns / 1e9:.1f} s of the watch"
    told = max(latest, key=latest.__getitem__)
    inside = np.arange(len(demand.samples))
    within = (inside >= windows.first[latest[told]]) & (inside < windows.last[latest[told]])
    return told(demand.samples.where(within), demand, objectives, windows.width_ns / 1e9)


def _unavailable(inside: Samples, _demand: Demand, objectives: Objectives, seconds: float) -> str:
    share = f"more than {(1 - objectives.slo) * 100:.3g} % of the requests failed"
    if not len(inside):
        return f"{share}: none was sent for {seconds:.1f} s"
    return f"{share}: {int(np.count_nonzero(inside.bad))} of {len(inside)} within {seconds:.1f} s"


def _slow(inside: Samples, _demand: Demand, objectives: Objectives, seconds: float) -> str:
    p95_ms = percentile(inside.latency_ms[inside.good], 95.0)
    found = "no request was good" if p95_ms is None else f"{p95_ms:.0f} ms"
    return f"the 95th percentile of latency was over {objectives.p95_ms:g} ms: {found} within {seconds:.1f} s"


def _underloaded(inside: Samples, demand: Demand, objectives: Objectives, seconds: float) -> str:
    return (
        f"{_UNDERLOADED}: {len(inside)} of {demand.offered_per_second * seconds:.0f} requests within {seconds:.1f} s; "
        f"at least {objectives.achieved_ratio_min:.0%} are needed"
    )
