"""Checks: the reasons to believe a scenario's figures, or not.

A check that does not hold makes a scenario inconclusive, never green; only the experiment's own hypothesis, and a
system that is not steady again after healing, can fail one. Each check says in its detail what was expected and what
was found.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from flametest.measure.apart import proves
from flametest.measure.contradictions import answers_known, views_agree, watches_current
from flametest.measure.figures import Figures
from flametest.measure.load import generator_able, generator_sound, load_achieved, load_exceeded, of_workers
from flametest.measure.objectives import Objectives
from flametest.measure.observed import observed_enough
from flametest.measure.samples import Samples
from flametest.measure.steady import is_underloaded, steady_state
from flametest.measure.words import told_of
from flametest.model.events import (
    ChangeKind,
    ExperimentStopped,
    FaultHealed,
    FaultInjected,
    FaultProved,
    HarmLimitPassed,
    PodObserved,
    ProberEnded,
    ScenarioEnded,
    WatchInterrupted,
)
from flametest.model.history import History
from flametest.model.plurals import counted
from flametest.model.result import Check
from flametest.model.samples import Lane
from flametest.model.verdict import Criterion, Verdict, worst

__all__ = ["checks", "clock_steady", "prober_punctual", "stopping_reason"]

_Finding = tuple[Verdict, str]
_Rule = tuple[str, str, Callable[[], _Finding]]
_NS = 1e9


def stopping_reason(history: History) -> str:
    """Return why the experiment stopped before its end, injected nothing or deviated; empty otherwise, or unknown."""
    stopped = history.of(ExperimentStopped)
    return stopped[-1].reason if stopped else ""


def checks(
    history: History, samples: Samples, measured: Figures, criteria: Iterable[Criterion], objectives: Objectives
) -> tuple[Check, ...]:
    """Return every check of one scenario's whole record."""
    judged = tuple(criteria)
    rules: tuple[_Rule, ...] = (
        *_harmed(history),  # first: it is why everything else ended before its time
        *generator_able(samples),  # whatever else is in doubt may follow from it
        ("fault_proven", "The fault took effect", lambda: _fault(history)),
        ("experiment_completed", "The experiment ran to its end", lambda: _completed(history)),
        ("hypothesis_held", "The experiment's hypothesis held after the fault", lambda: _hypothesis(history, judged)),
        ("healthy_before", "The system was healthy before the fault", lambda: _healthy(measured, objectives)),
        ("steady_again", "The system was steady again after healing", lambda: _healed(history, measured, objectives)),
        *observed_enough(history),
        ("load_achieved", "The offered load was sent", lambda: load_achieved(history, measured, objectives)),
        *load_exceeded(history, measured, objectives),
        *of_workers(history, samples, objectives),
        *generator_sound(history),
        ("prober_punctual", "The prober kept its schedule", lambda: prober_punctual(history, samples, objectives)),
        ("clock_steady", "The clock was not set", lambda: clock_steady(history, objectives)),
        ("watches_whole", "The watches saw everything", lambda: _watches(history, measured)),
        ("watches_current", "The watches showed what lists show", lambda: watches_current(history, measured)),
        ("answers_known", "The pods that answered are the system's own", lambda: answers_known(history, samples)),
        ("views_agree", "Prober and load saw the same", lambda: views_agree(history, samples, measured, objectives)),
    )
    return tuple(Check(name, title, *rule()) for name, title, rule in rules)


def _harmed(history: History) -> tuple[_Rule, ...]:
    """Return the check of a harm limit that was passed; none otherwise."""
    passed = history.of(HarmLimitPassed)
    title = "Users suffered no more than was allowed"
    return (("harm_limit", title, lambda: (Verdict.FAILED, passed[0].words)),) if passed else ()


def _fault(history: History) -> _Finding:
    injected = history.of(FaultInjected)
    if not injected:
        return Verdict.INCONCLUSIVE, "nothing was injected"
    proofs = history.of(FaultProved)
    missing = [_numbered(fault, injected) for fault in injected if not any(proves(proof, fault) for proof in proofs)]
    if missing:
        return Verdict.INCONCLUSIVE, f"no evidence that {', '.join(dict.fromkeys(missing))} took effect"
    refuted = [(fault, proof) for fault in injected for proof in proofs if proves(proof, fault) and not proof.proved]
    if refuted:
        fault, proof = refuted[0]
        return Verdict.INCONCLUSIVE, f"{_numbered(fault, injected)} was not proven: {proof.evidence}"
    return Verdict.PASSED, "; ".join(_proof_words(proof, injected) for proof in proofs)


def _proof_words(proof: FaultProved, injected: Sequence[FaultInjected]) -> str:
    """Return the evidence, after the fault's name where there are several."""
    names = [fault.name for fault in injected if proves(proof, fault)]
    return f"{names[0]}: {proof.evidence}" if len(injected) > 1 and any(names) else proof.evidence


def _numbered(fault: FaultInjected, injected: Sequence[FaultInjected]) -> str:
    """Return an injection's name; in records without names its kind, with its place among several of the same."""
    if fault.name:
        return fault.name
    same = [one for one in injected if one.fault == fault.fault]
    if len(same) == 1 or not fault.injection:
        return fault.fault
    return f"{fault.fault} ({same.index(fault) + 1} of {len(same)})"


def _completed(history: History) -> _Finding:
    ended = history.of(ScenarioEnded)
    if not ended:
        return Verdict.INCONCLUSIVE, "the record has no end: the experiment was killed, or still runs"
    status = ended[-1].status
    if status in ("completed", "deviated") or ended[-1].deviated:
        return Verdict.PASSED, f"Chaos Toolkit says {status}"
    reason = stopping_reason(history)
    return Verdict.INCONCLUSIVE, f"Chaos Toolkit says {status}; expected completed{': ' if reason else ''}{reason}"


def _hypothesis(history: History, criteria: tuple[Criterion, ...]) -> _Finding:
    """Judge Chaos Toolkit's word on the hypothesis, in the light of the criteria that its ranges became."""
    ended = history.of(ScenarioEnded)
    if not ended or not history.of(FaultInjected):
        return Verdict.INCONCLUSIVE, "it was not asked after a fault"
    if not ended[-1].deviated:
        return Verdict.PASSED, "it held"
    limited = [one for one in criteria if one.limit is not None]
    verdict = worst(one.verdict for one in limited) if limited else Verdict.FAILED
    if verdict is not Verdict.PASSED:
        return verdict, f"it did not hold; {told_of(next(one for one in limited if one.verdict is verdict))}"
    if any(one.limit is not None and one.limit.source.startswith("--") for one in limited):
        return Verdict.PASSED, "it did not hold under its own ranges, which the command line replaced"
    reason = stopping_reason(history)
    unknown = "the hypothesis did not hold after the fault, by a probe that no limit covers"
    return Verdict.FAILED, reason or unknown


def _healthy(measured: Figures, objectives: Objectives) -> _Finding:
    axis, asked = measured.axis, measured.demand.samples
    before = asked.where((asked.sent_ns >= axis.start_ns) & (asked.done_ns < axis.sent_ns))
    if not len(before):
        return (
            Verdict.INCONCLUSIVE,
            f"none was answered before the fault; {objectives.slo:.2%} good ones are required",
        )
    good = int(np.count_nonzero(before.good))
    detail = f"{good} of {len(before)} requests were good before the fault; {objectives.slo:.2%} are required"
    return (Verdict.PASSED if good >= objectives.slo * len(before) else Verdict.INCONCLUSIVE), detail


def _healed(history: History, measured: Figures, objectives: Objectives) -> _Finding:
    """Judge the steady state again from the last healing on: what was steady under a fault may break when it goes.

    A fault that heals by itself is judged by the time to steady state. Not being steady in the end fails a scenario
    whatever its limits are; a record that is too short to tell leaves it in doubt.
    """
    healed = history.of(FaultHealed)
    if not healed:
        return Verdict.PASSED, "nothing had to be healed; see the time to steady state"
    healed_ns = healed[-1].at.monotonic_ns
    if not len(measured.demand.samples):
        return Verdict.INCONCLUSIVE, "no request was recorded"
    steady = steady_state(measured.demand, objectives, t0_ns=healed_ns)
    if steady.seconds is not None:
        return (
            Verdict.PASSED,
            f"steady {steady.seconds:.1f} s after the last healing, held for {steady.hold_seconds:.1f} s",
        )
    if steady.horizon_seconds < steady.hold_seconds:
        return Verdict.INCONCLUSIVE, f"after the last healing it was {steady.reason}"
    doubtful = is_underloaded(steady)
    return (Verdict.INCONCLUSIVE if doubtful else Verdict.FAILED), f"after the last healing: {steady.reason}"


def prober_punctual(history: History, samples: Samples, objectives: Objectives) -> tuple[Verdict, str]:
    """Return whether the prober kept its schedule well enough to be believed, and the figures in words."""
    fresh, reports = samples.lane(Lane.FRESH), history.of(ProberEnded)
    if not len(fresh):
        return Verdict.INCONCLUSIVE, "the prober recorded no request over a fresh connection"
    if not reports:
        return Verdict.INCONCLUSIVE, "the prober gave no account of itself at its end"
    lag = max(fresh.send_lag_seconds_max, reports[-1].send_lag_max_ns / _NS)
    gap = float(np.diff(fresh.sent_ns).max()) / _NS if len(fresh) > 1 else 0.0
    interval = reports[-1].interval_ns / _NS
    sent, dropped = sum(one.sent for one in reports), sum(one.dropped for one in reports)
    recorded = len(fresh) + len(samples.lane(Lane.KEEPALIVE))
    if recorded < sent:
        return Verdict.INCONCLUSIVE, f"the prober sent {sent} requests, of which {recorded} are in the record"
    detail = f"worst send lag {lag * 1e3:.0f} ms, longest gap {gap * 1e3:.0f} ms, {dropped} of {sent + dropped} dropped"
    if late := sum(one.late for one in reports):
        detail += f", {late} of them while it did not run"
    punctual = lag <= objectives.send_lag_seconds_max and gap <= objectives.send_lag_seconds_max + interval
    if punctual and dropped <= objectives.dropped_ratio_max * (sent + dropped):
        return Verdict.PASSED, detail
    limit_ms = objectives.send_lag_seconds_max * 1e3
    return (
        Verdict.INCONCLUSIVE,
        f"{detail}; up to {limit_ms:.0f} ms and {objectives.dropped_ratio_max:.1%} are believed",
    )


def clock_steady(history: History, objectives: Objectives) -> tuple[Verdict, str]:
    """Return whether nobody set the clock meanwhile, by comparing both clocks over the record.

    API timestamps that disagree with the watch by over 1 s are told.
    """
    stamps = [event.at for event in history]
    if len(stamps) < 2:
        return Verdict.INCONCLUSIVE, "the record has too few events to compare the clocks"
    offsets = [stamp.wall_s - stamp.monotonic_ns / _NS for stamp in stamps]
    drift = max(offsets) - min(offsets)
    created = [pod for pod in history.of(PodObserved) if pod.change is ChangeKind.ADDED and pod.created_wall_s > 0]
    # The API cuts its stamps to whole seconds, so up to one second of delay is its rounding.
    delays = [pod.at.wall_s - pod.created_wall_s for pod in created]
    odd = [delay for delay in delays if not -1.0 <= delay <= 2.0]
    detail = f"wall and monotonic clock differ by {drift * 1e3:.0f} ms at most"
    if odd:
        detail += f"; {len(odd)} API timestamps disagree with the watch by over 1 s (worst {max(odd, key=abs):.1f} s)"
    if drift <= objectives.clock_drift_seconds_max:
        return Verdict.PASSED, detail
    return Verdict.INCONCLUSIVE, f"{detail}; up to {objectives.clock_drift_seconds_max * 1e3:.0f} ms are believed"


def _watches(history: History, measured: Figures) -> _Finding:
    if not measured.view.own():
        return Verdict.INCONCLUSIVE, f"no pod of {measured.view.name} was watched"
    broken = [event for event in history.of(WatchInterrupted) if not event.silent_since_ns]
    if not broken:
        return (
            Verdict.PASSED,
            f"{counted(len(measured.view.own()), 'pod')} of {measured.view.name} by uid, without interruption",
        )
    ready_ns = measured.moments.ready_ns if measured.moments else None
    until = measured.axis.end_ns if ready_ns is None else ready_ns
    during = [event for event in broken if measured.axis.sent_ns <= event.at.monotonic_ns <= until]
    if during:
        seconds = measured.axis.seconds(during[0].at.monotonic_ns)
        return (
            Verdict.INCONCLUSIVE,
            f"the watch of {during[0].resource} broke {seconds:.1f} s after the injection, during the recovery: "
            f"{during[0].reason}",
        )
    return Verdict.PASSED, f"{counted(len(broken), 'interruption')}, none during the recovery"
