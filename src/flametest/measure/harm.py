"""What users suffer right now: the figures by which a fault is stopped before its time. Pure.

A share is that of all requests of prober and load that were answered, or given up, within a sliding window; it never
reaches back behind the injection. An outage is the one of the report, from the injection until now.
"""

import math
from dataclasses import dataclass

from flametest.measure.objectives import Objectives
from flametest.measure.outage import user_visible_outage
from flametest.measure.samples import Samples
from flametest.model.harm import HarmLimit

__all__ = ["REQUESTS_MIN", "WINDOW_SECONDS", "Harm", "harm_passed"]

WINDOW_SECONDS = 3.0
"""Width of the sliding window that a share is taken over."""

REQUESTS_MIN = 20
"""Fewer requests in the window tell nothing."""


@dataclass(frozen=True, slots=True)
class Harm:
    """A limit that was passed: by which figure, over which window, from how many requests."""

    limit: HarmLimit
    value: float
    window_seconds: float
    requests: int


def harm_passed(
    samples: Samples, limits: tuple[HarmLimit, ...], objectives: Objectives, *, since_ns: int, now_ns: int
) -> Harm | None:
    """Return the first of the limits that is passed now; None when none is, or too little is known.

    Args:
        samples: what prober and load have recorded, of the time before the fault too.
        limits: what users may suffer.
        objectives: Δ for a record too short to show it.
        since_ns: when the fault was injected that has lasted longest.
        now_ns: the present moment.
    """
    from_ns = max(since_ns, now_ns - round(WINDOW_SECONDS * 1e9))
    window = samples.where((samples.done_ns >= from_ns) & (samples.done_ns <= now_ns))
    for limit in limits:
        if limit.figure == "outage_seconds":
            value, requests, seconds = _outage(samples, objectives, since_ns), len(samples), (now_ns - since_ns) / 1e9
        else:
            value, requests, seconds = _share(window, limit.figure), len(window), (now_ns - from_ns) / 1e9
        if limit.passed(value):
            return Harm(limit, value, seconds, requests)
    return None


def _share(window: Samples, figure: str) -> float:
    """Return the share of good or bad requests; not a number, which passes no limit, where there are too few."""
    if len(window) < REQUESTS_MIN:
        return math.nan
    bad = float(window.bad.sum()) / len(window)
    return bad if figure == "error_rate" else 1.0 - bad


def _outage(samples: Samples, objectives: Objectives, since_ns: int) -> float:
    outage = user_visible_outage(samples, origin_ns=since_ns, affected_from_ns=since_ns, objectives=objectives)
    return outage.total.midpoint if outage is not None and outage.total is not None else 0.0
