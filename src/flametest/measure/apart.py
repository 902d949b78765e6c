"""Each of several faults by itself: its own t0, proof and healing, what users felt of it, and the recovery from it."""

from dataclasses import dataclass

from flametest.measure.objectives import Objectives
from flametest.measure.outage import user_visible_outage
from flametest.measure.pods import WorkloadView, workload_view
from flametest.measure.samples import Samples
from flametest.measure.stages import recovery_moments, recovery_stages
from flametest.measure.timeline import Timeline, fault_timeline
from flametest.model.events import FaultHealed, FaultInjected, FaultProved, WorkloadObserved
from flametest.model.faults import FaultFigures
from flametest.model.history import History

__all__ = ["faults_apart", "healing_of", "proves"]


def faults_apart(
    history: History, samples: Samples, axis: Timeline, view: WorkloadView, objectives: Objectives
) -> tuple[FaultFigures, ...]:
    """Return the figures of each fault in the order of injection; empty where there are fewer than two.

    Args:
        history: the events of the scenario.
        samples: its samples, of all lanes.
        axis: its time axis, from the first fault.
        view: its workload, by which a fault is measured that names none of its own.
        objectives: the service level that is asked for.
    """
    injected = sorted(history.of(FaultInjected), key=lambda fault: fault.sent_ns)
    if len(injected) < 2:
        return ()
    spans = [_Span(fault, healing_of(history, fault), _end_ns(history, fault, injected, axis)) for fault in injected]
    found = []
    for span in spans:
        seen = samples.sent_between(axis.start_ns, span.end_ns)
        place = _Place(axis, _own_view(history, span.fault, view), objectives)
        found.append(_figures(history, seen, place, span, spans))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Place:
    """What a fault is measured against: the scenario's axis, the fault's workload, and the service level."""

    axis: Timeline
    view: WorkloadView
    objectives: Objectives


@dataclass(frozen=True, slots=True)
class _Span:
    """A fault with its healing, and the end of what it is measured by."""

    fault: FaultInjected
    healing: FaultHealed | None
    end_ns: int

    @property
    def name(self) -> str:
        """Return what it is called; records made before faults had names tell their kind and number."""
        return self.fault.name or f"{self.fault.fault} {self.fault.injection}".strip()

    def meets(self, other: "_Span") -> bool:
        """Return whether another fault lasted, or was injected, in what this one is measured by."""
        over_ns = other.fault.sent_ns if other.healing is None else other.healing.at.monotonic_ns
        return other.fault.sent_ns < self.end_ns and over_ns >= self.fault.sent_ns


def _figures(history: History, seen: Samples, place: _Place, span: _Span, spans: list[_Span]) -> FaultFigures:
    axis = place.axis
    fault, healing = span.fault, span.healing
    own = fault_timeline(axis, fault, is_healed=healing is not None)
    moments = recovery_moments(place.view, seen, own)
    proofs = [proof for proof in history.of(FaultProved) if proves(proof, fault)]
    return FaultFigures(
        name=span.name,
        fault=fault.fault,
        targets=fault.targets,
        injected_seconds=axis.seconds(own.origin_ns),
        uncertainty_seconds=own.uncertainty_seconds,
        proved=proofs[-1].proved if proofs else None,
        evidence=proofs[-1].evidence if proofs else "no proof was noted",
        healed_seconds=None if healing is None else axis.seconds(healing.at.monotonic_ns),
        until_seconds=axis.seconds(span.end_ns),
        together_with=tuple(other.name for other in spans if other is not span and span.meets(other)),
        outage=user_visible_outage(
            seen,
            origin_ns=own.origin_ns,
            affected_from_ns=own.sent_ns,
            objectives=place.objectives,
            baseline_until_ns=axis.sent_ns,
        ),
        # Steady state is a figure of the system: no fault has one while others last.
        stages=tuple(stage for stage in recovery_stages(moments, own, None) if stage.name != "steady"),
    )


def proves(proof: FaultProved, fault: FaultInjected) -> bool:
    """Return whether a proof is that of an injection; records without numbers know the fault's name only."""
    return (proof.injection, proof.fault) == (fault.injection, fault.fault)


def healing_of(history: History, fault: FaultInjected) -> FaultHealed | None:
    """Return the healing of an injection; None for one that was not healed, or where healings have no number."""
    healed = (one for one in history.of(FaultHealed) if one.injection == fault.injection)
    return next(healed, None) if fault.injection else None


def _end_ns(history: History, fault: FaultInjected, injected: list[FaultInjected], axis: Timeline) -> int:
    """Return the first turn after a fault's healing: an injection, or another healing; else the end of the record."""
    healing = healing_of(history, fault)
    if healing is None:
        return axis.end_ns
    turns = [one.sent_ns for one in injected] + [one.at.monotonic_ns for one in history.of(FaultHealed)]
    return min((turn for turn in turns if turn > healing.at.monotonic_ns), default=axis.end_ns)


def _own_view(history: History, fault: FaultInjected, view: WorkloadView) -> WorkloadView:
    """Return the workload that a fault acted on, where it is one of those that were watched."""
    watched = {(one.kind, one.name) for one in history.of(WorkloadObserved)}
    own = [target.name for target in fault.targets if (target.kind, target.name) in watched]
    return workload_view(history, own[0]) if own and own[0] != view.name else view
