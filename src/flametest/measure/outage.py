"""The user-visible outage: how long users were refused, with the bracket that holds the true value.

Only the prober's fresh-connection lane is asked: it runs open loop at a fixed interval, so its samples by time of
sending are a clock of their own, whatever each request took.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flametest.measure.latency import percentile
from flametest.measure.objectives import Objectives
from flametest.measure.samples import Samples
from flametest.measure.timeline import prober_interval_seconds
from flametest.model.measures import Bracket, Outage, Stretch
from flametest.model.samples import Lane

__all__ = ["user_visible_outage"]


def user_visible_outage(
    samples: Samples,
    *,
    origin_ns: int,
    affected_from_ns: int,
    objectives: Objectives,
    baseline_until_ns: int | None = None,
) -> Outage | None:
    """Return what users felt of a fault, in seconds from ``origin_ns``; None without a sample of the fresh lane.

    For each stretch of bad samples i..j, stamped by sending time a, the outage lies in
    [max(0, a_j − a_i − ε), a_(j+1) − a_(i−1) + ε], where ε is the worst send lag plus the 99.9th percentile of
    the baseline's round trips. The total sums the stretches; the envelope spans from the first to the last bad
    sample. A stretch at the record's beginning is taken to have begun one interval before; one at its end is
    bounded by the last outcome that is known, and marked as not ended.

    Args:
        samples: all samples; the fresh lane is picked out.
        origin_ns: t0, or the start of the record before a fault.
        affected_from_ns: when the injecting request was sent; requests done before are the baseline's.
        objectives: Δ for a record too short to show it.
        baseline_until_ns: where the baseline ends, if that is not where the fault begins: other faults came before it.
    """
    fresh = samples.lane(Lane.FRESH)
    if not len(fresh):
        return None
    affected = fresh.done_ns >= affected_from_ns
    interval = prober_interval_seconds(fresh, objectives)
    disturbed = affected if baseline_until_ns is None else fresh.done_ns >= baseline_until_ns
    lane = _Lane(fresh, fresh.bad & affected, interval, _epsilon_seconds(fresh, disturbed), origin_ns)
    starts, ends = _runs(lane.bad)
    stretches = tuple(lane.stretch(int(first), int(last)) for first, last in zip(starts, ends, strict=True))
    envelope = lane.bracket(int(starts[0]), int(ends[-1])) if stretches else None
    return Outage(
        total=_total(stretches, envelope),
        envelope=envelope,
        stretches=stretches,
        resolution_seconds=interval,
        epsilon_seconds=lane.epsilon_seconds,
        recovered=not bool(lane.bad[-1]),
    )


@dataclass(frozen=True, slots=True)
class _Lane:
    """The fresh lane with what its brackets need."""

    samples: Samples
    bad: NDArray[np.bool_]
    interval_seconds: float
    epsilon_seconds: float
    origin_ns: int

    def stretch(self, first: int, last: int) -> Stretch:
        """Return the stretch of the bad samples ``first`` to ``last``."""
        sent = self.samples.sent_ns
        return Stretch(
            start_seconds=(int(sent[first]) - self.origin_ns) / 1e9,
            end_seconds=(int(sent[last]) - self.origin_ns) / 1e9,
            duration=self.bracket(first, last),
            bad=last - first + 1,
            ended=last + 1 < len(sent),
        )

    def bracket(self, first: int, last: int) -> Bracket:
        """Return the interval that holds the duration from the bad sample ``first`` to the bad sample ``last``."""
        sent = self.samples.sent_ns
        before = int(sent[first - 1]) if first > 0 else int(sent[first]) - int(self.interval_seconds * 1e9)
        after = int(sent[last + 1]) if last + 1 < len(sent) else int(self.samples.done_ns[first:].max())
        low = (int(sent[last]) - int(sent[first])) / 1e9 - self.epsilon_seconds
        return Bracket(low=max(0.0, low), high=(after - before) / 1e9 + self.epsilon_seconds)


def _epsilon_seconds(fresh: Samples, affected: NDArray[np.bool_]) -> float:
    """Return ε; before any answer of the baseline, every good answer stands in for it."""
    baseline = fresh.where(fresh.good & ~affected)
    answered = baseline if len(baseline) else fresh.where(fresh.good)
    round_trip = percentile((answered.done_ns - answered.sent_ns) / 1e9, 99.9)
    return fresh.send_lag_seconds_max + (round_trip or 0.0)


def _runs(bad: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and last index of each run of True."""
    edges = np.flatnonzero(np.diff(bad.astype(np.int8), prepend=0, append=0))
    return edges[::2], edges[1::2] - 1


def _total(stretches: tuple[Stretch, ...], envelope: Bracket | None) -> Bracket | None:
    """Return the sum of the stretches, which cannot exceed the envelope that holds them all."""
    if envelope is None:
        return None
    low = sum(stretch.duration.low for stretch in stretches)
    high = sum(stretch.duration.high for stretch in stretches)
    return Bracket(low=low, high=min(high, envelope.high))
