"""Objectives: what counts as good service, and how strictly the measurement has to be trusted.

They are set once for a scenario, before it runs, and serve the live probes and the final analysis alike.
"""

from dataclasses import dataclass

__all__ = ["Objectives"]


@dataclass(frozen=True, slots=True)
class Objectives:
    """Service level objectives and the measurement's own tolerances."""

    slo: float = 0.99
    """Share of valid requests that have to be good; two nines are what three replicas behind retries can promise."""

    p95_ms: float = 250.0
    """Limit of the 95th percentile of latency, in milliseconds; above a quarter of a second a page feels slow."""

    window_seconds_min: float = 2.0
    """Least width of a steady-state window; shorter ones would mistake a lull for recovery."""

    window_requests_factor: float = 3.0
    """A window holds this many times 1/(1 − SLO) requests: with fewer than 3 expected failures it cannot tell."""

    hold_windows: float = 3.0
    """How many windows long the system has to stay good; fewer would pass a system that recovers and relapses."""

    achieved_ratio_min: float = 0.95
    """Least share of the offered rate that has to be sent; below it the load, not the system, was measured."""

    prober_interval_seconds: float = 0.05
    """The prober's interval Δ where a record does not show it; shorter outages can be missed."""

    prober_timeout_seconds: float = 1.0
    """The prober's time limit: an answer of the load that took longer does not count as good beside the prober's."""

    views_apart_max: float = 0.1
    """How far the load's share of good requests may be from the prober's in one phase, beside chance: an edge of an
    outage lies within a second, and short phases have few of these."""

    views_apart_unlike_max: float = 0.8
    """The same where they ask for different things: only what is nearly all good for one and bad for the other."""

    send_lag_seconds_max: float = 0.2
    """Worst send lag of a prober that is believed: four of its intervals, below any stop that hides an outage."""

    dropped_ratio_max: float = 0.001
    """Greatest share of its schedule that a believed prober may have dropped: one in a thousand."""

    clock_drift_seconds_max: float = 0.1
    """Greatest distance of wall and monotonic clock over a scenario; more means that the clock was set meanwhile."""

    clock_uncertainty_seconds_max: float = 0.05
    """By how much the clock of a load worker may be wrong: one interval of the prober, within which no outage is
    placed anyway."""

    compared_requests_min: float = 20.0
    """Requests that a pod has to be due before its rate is compared: below, chance alone looks unfair."""

    rated_seconds_min: float = 1.0
    """Least time for which a pod has to be Ready for its rate to be told: a few requests that were under way when it
    came or went make any rate of less. One that was due ``compared_requests_min`` requests sooner has a rate."""

    def __post_init__(self) -> None:
        """Refuse objectives that no measurement can meet.

        Raises:
            ValueError: the SLO is outside (0, 1), or a duration or count is not positive.
        """
        if not 0.0 < self.slo < 1.0:
            raise ValueError(f"objective slo: expected a share between 0 and 1, found {self.slo}; write 99 % as 0.99")
        for name in ("p95_ms", "window_seconds_min", "window_requests_factor", "prober_interval_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"objective {name}: expected a positive number, found {getattr(self, name)}")
        if self.hold_windows < 1:
            raise ValueError(f"objective hold_windows: expected at least 1, found {self.hold_windows}")
