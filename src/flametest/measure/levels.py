"""The service level and the error budget along the charts' axis: what `availability` sums up, bin by bin.

The curves end where the sums of `flametest.measure.availability` stand: the last share of the budget is the one that
is reported, and the area above the level is the lost one, up to the width of its bins.
"""

import numpy as np
from numpy.typing import NDArray

from flametest.measure.availability import error_budget_requests
from flametest.measure.objectives import Objectives
from flametest.measure.timeline import Demand

__all__ = ["budget_used", "service_level"]


def service_level(
    edges: NDArray[np.float64], offered: NDArray[np.float64], good: NDArray[np.int64]
) -> tuple[float, ...]:
    """Return min(1, good/offered) of each bin from t0 on, and 1 before it and where nothing was offered.

    Args:
        edges: of the bins, in seconds from t0; t0 is one of them, or before all of them.
        offered: requests that should have been sent in each bin.
        good: requests of each bin that were answered well.
    """
    served = np.divide(good, offered, out=np.ones_like(offered), where=offered > 0)
    level = np.where(edges[:-1] >= 0, np.minimum(1.0, served), 1.0)
    return tuple(float(share) for share in level)


def budget_used(
    demand: Demand, objectives: Objectives, edges: NDArray[np.float64], *, origin_ns: int, affected_from_ns: int
) -> tuple[float, ...]:
    """Return which share of the 30 days' error budget was used up to the end of each bin; empty without a budget.

    Counted are the bad requests that were open at or sent after the injection, by their intended start; a request
    from before the first bin counts there. The last share equals `Availability.error_budget_used`.
    """
    budget = error_budget_requests(demand, objectives)
    if budget <= 0:
        return ()
    samples = demand.samples
    counted = samples.where(samples.bad & (samples.done_ns >= affected_from_ns))
    wanted = np.clip((counted.intended_ns - origin_ns) / 1e9, edges[0], edges[-1])
    used = np.cumsum(np.histogram(wanted, edges)[0]) / budget
    return tuple(float(share) for share in used)
