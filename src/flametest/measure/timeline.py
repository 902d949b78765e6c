"""The time axis of a scenario: t0 and its uncertainty, where the record begins and ends, and who made the demand.

Every measure counts seconds from `Timeline.origin_ns`, so that charts, stages and criteria share one axis.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flametest.measure.objectives import Objectives
from flametest.measure.samples import Samples
from flametest.model.events import FaultHealed, FaultInjected, LoadStarted, Phase, PhaseStarted, Target
from flametest.model.history import History
from flametest.model.samples import Lane

__all__ = ["Demand", "Timeline", "demand", "fault_timeline", "phase_bounds", "prober_interval_seconds", "timeline"]

# Faults that act on a workload, and leave alone how many pods it is to have.
_COUNT_LEFT = frozenset(
    (
        "bad_rollout",
        "cpu_hog",
        "dns_outage",
        "edge",
        "fault_proxy",
        "frozen_process",
        "full_volume",
        "intrusion",
        "memory_hog",
        "network_partition",
        "new_version",
        "random_errors",
        "rolling_restart",
    )
)
# Faults that act inside of pods which stay, so that none of them has to be replaced.
_PODS_LEFT = frozenset(("cpu_hog", "frozen_process", "full_volume"))


@dataclass(frozen=True, slots=True)
class Timeline:
    """When a scenario began, was injected, and ended, in monotonic nanoseconds.

    Attributes:
        start_ns: the baseline's beginning.
        end_ns: the last thing that the record knows of.
        t0_ns: midpoint of the injecting request and its acknowledgement; None before a fault.
        sent_ns: when the injecting request was sent: nothing seen before can be its effect; ``end_ns`` before a fault.
        uncertainty_seconds: half the distance of request and acknowledgement; 0 before a fault.
        fault: what was injected; empty before a fault.
        targets: what all injections of the scenario acted on.
        scaled_uids: the uids of those of them whose number of pods a fault may have changed.
        kept_uids: the uids of pods among the targets that no fault was to take away.
        is_healed: whether a fault was taken back.
    """

    start_ns: int
    end_ns: int
    t0_ns: int | None
    sent_ns: int
    uncertainty_seconds: float
    fault: str
    targets: tuple[Target, ...]
    scaled_uids: frozenset[str] = frozenset()
    kept_uids: frozenset[str] = frozenset()
    is_healed: bool = False

    @property
    def origin_ns(self) -> int:
        """Return where seconds count from: t0, or the start before a fault."""
        return self.start_ns if self.t0_ns is None else self.t0_ns

    def seconds(self, moment_ns: int) -> float:
        """Return a monotonic stamp as seconds from the origin."""
        return (int(moment_ns) - self.origin_ns) / 1e9

    def seconds_after(self, moment_ns: int) -> float:
        """Return seconds from the origin of an effect, which cannot come before its cause: at least 0."""
        return max(0.0, self.seconds(moment_ns))


_CHANCE_LOG = 13.9  # ln(10^6): what is put down to chance is exceeded by it in one case of a million


@dataclass(frozen=True, slots=True)
class Demand:
    """The requests by which the service level is judged.

    Attributes:
        samples: the load's; the prober's fresh lane where no load was recorded.
        offered_per_second: the rate that its source meant to send, or reached in the baseline where none was asked for.
        lane: whose they are.
        reached_seconds: through how much of the baseline that rate was reached; 0 where it was asked for.
    """

    samples: Samples
    offered_per_second: float
    lane: Lane
    reached_seconds: float = 0.0

    @property
    def is_reached(self) -> bool:
        """Return whether the rate is what was reached in the baseline; users who think for a random time keep none."""
        return self.reached_seconds > 0

    def chance(self, seconds: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Return by how many requests chance alone may bring their count in so many seconds from what is due.

        Counts of a rate that was only reached scatter, at most as those of a Poisson process do, and so does what the
        baseline tells of that rate. Bernstein's inequality bounds that: √(2vL) + L/3 is exceeded with a probability of
        e^(−L) for the variance v = rt(1 + t/b), with b seconds of baseline. 0 where the rate was asked for.
        """
        if not self.is_reached:
            return np.zeros_like(seconds, dtype=np.float64)
        variance = self.offered_per_second * np.asarray(seconds) * (1 + np.asarray(seconds) / self.reached_seconds)
        return np.asarray(np.sqrt(2 * variance * _CHANCE_LOG) + _CHANCE_LOG / 3)


def timeline(history: History, samples: Samples) -> Timeline:
    """Return the time axis of a scenario's record, also of one that is still growing.

    t0 is the first injection's (sent + acknowledged) / 2, its uncertainty (acknowledged − sent) / 2.
    """
    stamps = [event.at.monotonic_ns for event in history]
    if len(samples):
        stamps += [int(samples.sent_ns[0]), int(samples.done_ns.max())]
    start, end = (min(stamps), max(stamps)) if stamps else (0, 0)
    baseline = [event for event in history.of(PhaseStarted) if event.phase is Phase.BASELINE]
    if baseline:
        start = baseline[0].at.monotonic_ns
    before = Timeline(start, end, None, end, 0.0, "", ())
    faults = sorted(history.of(FaultInjected), key=lambda fault: fault.sent_ns)
    if not faults:
        return before
    return replace(
        fault_timeline(before, faults[0], is_healed=bool(history.of(FaultHealed))),
        targets=tuple(dict.fromkeys(target for fault in faults for target in fault.targets)),
        scaled_uids=frozenset(uid for fault in faults for uid in _scaled_uids(fault)),
        kept_uids=frozenset(uid for fault in faults for uid in _kept_uids(fault))
        - {target.uid for fault in faults if fault.fault not in _PODS_LEFT for target in fault.targets},
    )


def fault_timeline(axis: Timeline, fault: FaultInjected, *, is_healed: bool) -> Timeline:
    """Return the time axis of one fault of a record: its own t0 and targets, between the record's start and end."""
    return replace(
        axis,
        t0_ns=(fault.sent_ns + fault.acknowledged_ns) // 2,
        sent_ns=fault.sent_ns,
        uncertainty_seconds=(fault.acknowledged_ns - fault.sent_ns) / 2e9,
        fault=fault.fault,
        targets=fault.targets,
        scaled_uids=_scaled_uids(fault),
        kept_uids=_kept_uids(fault),
        is_healed=is_healed,
    )


def _kept_uids(fault: FaultInjected) -> frozenset[str]:
    """Return the uids of pods that a fault leaves where they are."""
    return frozenset(target.uid for target in fault.targets) if fault.fault in _PODS_LEFT else frozenset()


def _scaled_uids(fault: FaultInjected) -> frozenset[str]:
    return frozenset(target.uid for target in fault.targets if fault.fault not in _COUNT_LEFT)


def phase_bounds(history: History, axis: Timeline, ready_ns: int | None) -> tuple[tuple[Phase, int, int], ...]:
    """Return each phase with its start and end; without a fault there is a baseline only.

    The fault lasts from t0 until it was healed and the ready count was back (``ready_ns``), whichever is later;
    where neither was seen, until the recorder said that recovery began; and else until the end.
    """
    if axis.t0_ns is None:
        return ((Phase.BASELINE, axis.start_ns, axis.end_ns),)
    ends = [event.at.monotonic_ns for event in history.of(FaultHealed)]
    ends += [ready_ns] if ready_ns is not None else []
    if not ends:
        ends = [event.at.monotonic_ns for event in history.of(PhaseStarted) if event.phase is Phase.RECOVERY]
    fault_end = min(max(axis.t0_ns, *ends), axis.end_ns) if ends else axis.end_ns
    start = min(axis.start_ns, axis.t0_ns)
    return (
        (Phase.BASELINE, start, axis.t0_ns),
        (Phase.FAULT, axis.t0_ns, fault_end),
        (Phase.RECOVERY, fault_end, axis.end_ns),
    )


def prober_interval_seconds(fresh: Samples, objectives: Objectives) -> float:
    """Return the prober's interval Δ as its schedule shows it: the median distance of intended starts."""
    if len(fresh) < 2:
        return objectives.prober_interval_seconds
    interval = float(np.median(np.diff(np.sort(fresh.intended_ns)))) / 1e9
    return interval if interval > 0 else objectives.prober_interval_seconds


def _reached(history: History, load: Samples) -> Demand | None:
    """Return the demand of a load that was asked for no rate; None while too little of it is known."""
    started = [event.at.monotonic_ns for event in history.of(LoadStarted) if event.is_reached]
    if not started:
        return None
    begun = [event.at.monotonic_ns for event in history.of(PhaseStarted) if event.phase is Phase.BASELINE]
    faults = [fault.sent_ns for fault in history.of(FaultInjected)]
    low, high = max([started[-1], *begun]), min([int(load.sent_ns[-1]), *faults])
    seconds = (high - low) / 1e9
    count = len(load.sent_between(low, high))
    return Demand(load, count / seconds, Lane.LOAD, seconds) if seconds > 0 and count else None


def demand(history: History, samples: Samples, objectives: Objectives) -> Demand:
    """Return the requests by which the service level is judged, with the rate that was meant."""
    load = samples.lane(Lane.LOAD)
    started = [event for event in history.of(LoadStarted) if event.offered_per_second > 0]
    if len(load) and started:
        return Demand(load, started[-1].offered_per_second, Lane.LOAD)
    if len(load) and (reached := _reached(history, load)) is not None:
        return reached
    fresh = samples.lane(Lane.FRESH)
    return Demand(fresh, 1.0 / prober_interval_seconds(fresh, objectives), Lane.FRESH)
