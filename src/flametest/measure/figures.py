"""The figures of a scenario by their criterion names, with their uncertainty.

The live probes of an experiment and the final analysis both come here, so that a tolerance in the experiment file
and a limit in the report judge one and the same figure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from flametest.measure.answers import answer_counts, unhandled_errors
from flametest.measure.apart import faults_apart
from flametest.measure.availability import availability
from flametest.measure.distribution import compared_shares, distribution, max_over_mean_uncertainty
from flametest.measure.latency import latency_summary
from flametest.measure.objectives import Objectives
from flametest.measure.outage import user_visible_outage
from flametest.measure.pods import WorkloadView, workload_view
from flametest.measure.samples import Samples
from flametest.measure.stages import Moments, recovery_moments, recovery_stages
from flametest.measure.steady import is_underloaded, steady_state
from flametest.measure.timeline import Demand, Timeline, demand, phase_bounds, timeline
from flametest.model.events import Phase
from flametest.model.faults import FaultFigures
from flametest.model.history import History
from flametest.model.measures import AnswerCount, Availability, Distribution, LatencySummary, Outage, Stage, SteadyState
from flametest.model.samples import Lane

__all__ = ["CRITERIA", "Figure", "Figures", "figures"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        value: in the criterion's unit; None when it could not be measured, or not yet.
        uncertainty: half the width of its bracket; None when unknown.
        above: for a figure without an end in sight, a value that it is known to exceed; None otherwise.
        note: a sentence's part: why there is no value, or how the value is to be read; may be empty.
        resolution: the least value that cannot be missed; no limit between 0 and this can be judged. 0 where every
            value is seen.
    """

    value: float | None
    uncertainty: float | None = None
    above: float | None = None
    note: str = ""
    resolution: float = 0.0


CRITERIA: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "outage_seconds": ("User-visible outage", "s"),
        "recovery_seconds": ("Ready count restored", "s"),
        "steady_seconds": ("Time to steady state", "s"),
        "availability": ("Availability", "ratio"),
        "unhandled_errors": ("Unhandled errors (status 500)", "count"),
        "p95_ms": ("95th percentile of latency", "ms"),
        "max_over_mean": ("Busiest pod over the mean", "ratio"),
    }
)
"""Title and unit of each criterion, in the order in which reports show them."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of a scenario so far; before a fault, of the time since its start.

    Attributes:
        by_name: the figure of each name in `CRITERIA`.
        axis: the time axis.
        view: what was seen of the workload.
        demand: the requests by which the service level was judged.
        phases: each phase with its start and end in monotonic nanoseconds.
        outage: None without a sample of the prober.
        moments: None before a fault.
        stages: empty before a fault.
        steady: None before a fault, and without a request.
        availability: None without a request.
        answers: what users got; before a fault, since the start.
        latency: one entry a phase.
        distribution: one entry a phase and kind of connections.
        faults: each fault by itself, in the order of injection; empty where there are fewer than two.
    """

    by_name: Mapping[str, Figure]
    axis: Timeline
    view: WorkloadView
    demand: Demand
    phases: tuple[tuple[Phase, int, int], ...]
    outage: Outage | None
    moments: Moments | None
    stages: tuple[Stage, ...]
    steady: SteadyState | None
    availability: Availability | None
    answers: tuple[AnswerCount, ...]
    latency: tuple[LatencySummary, ...]
    distribution: tuple[Distribution, ...]
    faults: tuple[FaultFigures, ...] = ()

    def value(self, name: str) -> float | None:
        """Return the figure called ``name``; None when it could not be measured, or not yet.

        Raises:
            KeyError: no figure has that name.
        """
        if name not in self.by_name:
            raise KeyError(f"no figure is called {name!r}; expected one of {', '.join(CRITERIA)}")
        return self.by_name[name].value


def figures(history: History, samples: Samples, workload: str, objectives: Objectives) -> Figures:
    """Return the figures of one scenario's record, whole or still growing.

    Before a fault they cover the time so far, and a system that shows nothing bad has an outage, a recovery and a
    time to steady state of 0. After it they count from t0, including requests that were open then.

    Args:
        history: the events of one scenario.
        samples: its samples, of all lanes.
        workload: name of the Deployment or StatefulSet under fault.
        objectives: the service level that is asked for.
    """
    axis = timeline(history, samples)
    view = workload_view(history, workload)
    asked = demand(history, samples, objectives)
    affected_ns = axis.start_ns if axis.t0_ns is None else axis.sent_ns
    outage = user_visible_outage(samples, origin_ns=axis.origin_ns, affected_from_ns=affected_ns, objectives=objectives)
    has_demand = len(asked.samples) > 0
    level = availability(asked, objectives, from_ns=axis.origin_ns, affected_from_ns=affected_ns)
    faulted = axis.t0_ns is not None
    steady = steady_state(asked, objectives, t0_ns=axis.origin_ns) if faulted and has_demand else None
    moments = recovery_moments(view, samples, axis) if faulted else None
    phases = phase_bounds(history, axis, moments.ready_ns if moments else None)
    lanes = tuple(lane for lane in (Lane.FRESH, Lane.LOAD) if len(samples.lane(lane)))
    spread = tuple(distribution(view, samples, lane, phase, objectives) for phase in phases for lane in lanes)
    affected = asked.samples.where(asked.samples.done_ns >= affected_ns)
    by_name = {
        "outage_seconds": _outage_figure(outage),
        "recovery_seconds": _recovery_figure(axis, view, moments),
        "steady_seconds": _steady_figure(axis, steady, level, affected, objectives),
        "availability": _availability_figure(level),
        "unhandled_errors": _unhandled_figure(samples.where(samples.done_ns >= affected_ns)),
        "p95_ms": _p95_figure(affected),
        "max_over_mean": _max_over_mean_figure(spread, phases[-1][0], objectives),
    }
    return Figures(
        by_name=MappingProxyType(by_name),
        axis=axis,
        view=view,
        demand=asked,
        phases=phases,
        outage=outage,
        moments=moments,
        stages=recovery_stages(moments, axis, steady) if moments else (),
        steady=steady,
        availability=level if has_demand else None,
        answers=answer_counts(affected),
        latency=tuple(latency_summary(phase, asked.samples.sent_between(start, end)) for phase, start, end in phases),
        distribution=spread,
        faults=faults_apart(history, samples, axis, view, objectives),
    )


def _outage_figure(outage: Outage | None) -> Figure:
    if outage is None:
        return Figure(None, note="the prober recorded no request")
    if outage.total is None:
        resolution_ms = outage.resolution_seconds * 1e3
        return Figure(
            0.0,
            outage.resolution_seconds,
            note=f"no user-visible outage; one under {resolution_ms:.0f} ms can be missed",
            resolution=outage.resolution_seconds,
        )
    total = outage.total
    if not outage.recovered:
        return Figure(total.midpoint, total.uncertainty, above=total.low, note="it had not ended when the watch did")
    return Figure(total.midpoint, total.uncertainty, resolution=outage.resolution_seconds)


def _recovery_figure(axis: Timeline, view: WorkloadView, moments: Moments | None) -> Figure:
    ready, desired = view.ready.at(axis.end_ns), view.desired.at(axis.end_ns)
    counts = f"{'no' if ready is None else ready} of {'unknown' if desired is None else desired} pods are ready"
    if moments is None:
        whole = ready is not None and desired is not None and ready >= desired
        return Figure(0.0, 0.0, note="nothing was injected yet") if whole else Figure(None, note=counts)
    if moments.ready_ns is not None:
        return Figure(axis.seconds_after(moments.ready_ns), axis.uncertainty_seconds)
    if moments.undisturbed and ready is not None:
        return Figure(0.0, axis.uncertainty_seconds, note="the ready count never fell")
    if ready is None:
        return Figure(None, note="no pod of the workload was watched")
    return Figure(None, above=axis.seconds_after(axis.end_ns), note=f"it was not back when the watch ended: {counts}")


def _steady_figure(
    axis: Timeline, steady: SteadyState | None, level: Availability, affected: Samples, objectives: Objectives
) -> Figure:
    if axis.t0_ns is None:
        p95_ms = _p95_figure(affected).value
        if level.ratio is None or p95_ms is None:
            return Figure(None, note="no request was answered yet")
        steady_now = level.ratio >= objectives.slo and p95_ms <= objectives.p95_ms
        found = f"{level.ratio:.2%} of the requests were good and p95 was {p95_ms:.0f} ms before a fault"
        asked = f"{objectives.slo:.2%} and {objectives.p95_ms:g} ms are required"
        note = "nothing was injected yet" if steady_now else f"{found}; {asked}"
        return Figure(0.0, 0.0, note=note) if steady_now else Figure(None, note=note)
    if steady is None:
        return Figure(None, note="no request was recorded")
    if steady.seconds is None and is_underloaded(steady):
        return Figure(None, note=f"{steady.reason}, so it says nothing about the system")
    if steady.seconds is None:
        return Figure(None, above=steady.after_seconds, note=steady.reason)
    return Figure(steady.seconds, axis.uncertainty_seconds)


def _availability_figure(level: Availability) -> Figure:
    if level.ratio is None:
        return Figure(None, note="no request was recorded")
    return Figure(level.ratio, note=f"{level.bad} of {level.valid} requests failed")


def _unhandled_figure(affected: Samples) -> Figure:
    if not len(affected):
        return Figure(None, note="no request was recorded")
    found = unhandled_errors(affected)
    return Figure(float(found), note=f"{found} of {len(affected)} requests were answered with status 500")


def _p95_figure(affected: Samples) -> Figure:
    summary = latency_summary(Phase.FAULT, affected)
    return Figure(summary.p95_ms, note="" if summary.p95_ms is not None else "no request was answered well")


def _max_over_mean_figure(spread: tuple[Distribution, ...], phase: Phase, objectives: Objectives) -> Figure:
    """Return the evenness of the last phase: before a fault as it is, after it once the system is whole again."""
    for one in spread:
        if one.phase is phase and one.connections == "fresh":
            uncertainty = max_over_mean_uncertainty(compared_shares(one.shares, objectives))
            note = "" if one.max_over_mean is not None else "too few requests over fresh connections to compare pods"
            return Figure(one.max_over_mean, uncertainty, note=note)
    return Figure(None, note="the prober recorded no request")
