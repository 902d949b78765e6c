"""Latency from samples: percentiles of the time that users waited, counted from when they wanted the answer.

Percentiles are nearest-rank (inverse of the empirical distribution function; Hyndman and Fan 1996, type 1): each is
a latency that was really observed, so none exceeds the maximum. They are taken over the requests answered well;
failures count in the availability, where their quick refusals cannot flatter a percentile (Beyer et al., Site
Reliability Engineering, 2016, chapter 6).
"""

import numpy as np
from numpy.typing import NDArray

from flametest.measure.samples import Samples
from flametest.model.events import Phase
from flametest.model.measures import LatencySummary

__all__ = ["latency_summary", "percentile"]


def percentile(values: NDArray[np.float64], share_percent: float) -> float | None:
    """Return the smallest value that at least ``share_percent`` of ``values`` do not exceed; None without a value."""
    if not len(values):
        return None
    return float(np.percentile(values, share_percent, method="inverted_cdf"))


def latency_summary(phase: Phase, samples: Samples) -> LatencySummary:
    """Return the latency of the good ones among ``samples``, in milliseconds from the intended start."""
    waited = samples.where(samples.good).latency_ms
    p50, p95, p99 = (percentile(waited, share) for share in (50.0, 95.0, 99.0))
    greatest = float(waited.max()) if len(waited) else None
    return LatencySummary(phase=phase, samples=len(waited), p50_ms=p50, p95_ms=p95, p99_ms=p99, max_ms=greatest)
