"""Availability: the share of valid requests answered well, and what the rest cost of the error budget."""

import numpy as np
from numpy.typing import NDArray

from flametest.measure.objectives import Objectives
from flametest.measure.samples import Samples
from flametest.measure.timeline import Demand
from flametest.model.measures import Availability

__all__ = ["availability", "error_budget_requests", "offered_per_bin"]

_BUDGET_PERIOD_SECONDS = 30 * 86_400
_BIN_NS = 1_000_000_000


def availability(demand: Demand, objectives: Objectives, *, from_ns: int, affected_from_ns: int) -> Availability:
    """Return the service level from ``from_ns`` (t0) to the last request.

    ratio = good / valid. Every request is valid: the load asks only for what the system promises to answer. Error
    budget used = bad / ((1 − SLO) · offered rate · 30 days). Lost area = ∫(1 − min(1, good/offered)) dt over bins
    of one second, by intended start; see `offered_per_bin`.

    Args:
        demand: the requests that are judged.
        objectives: the SLO.
        from_ns: t0, where the lost area begins.
        affected_from_ns: when the injecting request was sent: requests still open then count.
    """
    samples = demand.samples.where(demand.samples.done_ns >= affected_from_ns)
    valid, good = len(samples), int(np.count_nonzero(samples.good))
    budget = error_budget_requests(demand, objectives)
    return Availability(
        valid=valid,
        good=good,
        bad=valid - good,
        ratio=good / valid if valid else None,
        lost_area_seconds=_lost_area_seconds(samples, demand, objectives, from_ns),
        error_budget_used=(valid - good) / budget if valid and budget > 0 else None,
        objective=objectives.slo,
    )


def error_budget_requests(demand: Demand, objectives: Objectives) -> float:
    """Return how many requests may be bad in 30 days at the offered rate: (1 − SLO) · rate · 30 days."""
    return (1.0 - objectives.slo) * demand.offered_per_second * _BUDGET_PERIOD_SECONDS


def offered_per_bin(
    counted: NDArray[np.int64], seconds: NDArray[np.float64], demand: Demand, objectives: Objectives
) -> NDArray[np.float64]:
    """Return the requests offered in each bin, from those ``counted`` in it by intended start.

    A generator that stands still offers less than it meant to, and the missing requests were lost to users too: a
    bin that is short of the meant rate by more than the tolerance counts as offered in full. Within the tolerance
    the count stands, since the jitter of single requests at a bin's edge is no loss, nor is the chance of a rate that
    was only reached.
    """
    meant = demand.offered_per_second * seconds
    achieved = counted >= objectives.achieved_ratio_min * meant - np.maximum(1.0, demand.chance(seconds))
    return np.where(achieved, counted.astype(np.float64), meant)


def _lost_area_seconds(samples: Samples, demand: Demand, objectives: Objectives, from_ns: int) -> float:
    after = samples.where(samples.intended_ns >= from_ns)
    if not len(after):
        return 0.0
    ages = after.intended_ns - from_ns
    span_ns = int(ages.max()) + 1
    edges = np.append(np.arange(0, span_ns, _BIN_NS, dtype=np.int64), span_ns)
    seconds = np.diff(edges) / 1e9
    counted = np.histogram(ages, edges)[0].astype(np.int64)
    good = np.histogram(ages[after.good], edges)[0]
    offered = offered_per_bin(counted, seconds, demand, objectives)
    served = np.divide(good, offered, out=np.ones_like(offered), where=offered > 0)
    return float(np.sum((1.0 - np.minimum(1.0, served)) * seconds))
