"""Plain words: a scenario's outcome as one sentence, a criterion's judgement, and the headline of a run."""

from collections import Counter
from collections.abc import Sequence

from flametest.measure.figures import CRITERIA, Figure, Figures
from flametest.measure.pods import counts_as_ready
from flametest.model.digits import error_digits, supported_decimals
from flametest.model.events import NO_FAULT, Target
from flametest.model.faults import FaultFigures
from flametest.model.measures import Availability, Outage
from flametest.model.result import ScenarioResult
from flametest.model.verdict import Bound, Criterion, Limit, Verdict, worst

__all__ = ["amount", "decapitalised", "outcome_sentence", "reason_sentence", "summarise", "told_of", "what_was_done"]

# What faults and Chaos Toolkit's usual activities do, as a reader would say it; others go by their own name.
_DEEDS = {
    "bad_rollout": "rolling a missing image out to",
    "container_crash": "crashing",
    "delete_pods": "deleting",
    "delete_service": "removing",
    "dependency_outage": "taking away",
    "dns_outage": "taking names from",
    "drain_nodes": "draining",
    "edge": "disturbing requests to",
    "fault_proxy": "disturbing requests to",  # in runs of elder versions
    "cpu_hog": "keeping the processors busy of",
    "full_volume": "filling a volume of",
    "memory_hog": "taking all the memory of",
    "frozen_process": "stopping the processes of",
    "intrusion": "trying to get into",
    "kill_microservice": "deleting",
    "network_partition": "cutting off",
    "new_version": "rolling a new version out to",
    "node_drain": "draining",
    "node_loss": "losing",
    "pod_deletion": "deleting",
    "random_errors": "disturbing requests of",
    "rolling_restart": "restarting",
    "scale_deployment": "scaling",
    "scale_statefulset": "scaling",
    "scaling": "scaling",
    "service_removal": "removing",
    "terminate_pods": "deleting",
}
# Where one of these is a target, the others only went with it, or stand for it.
_DECISIVE = ("Node", "Deployment", "StatefulSet", "Service")


_DECIMALS = {"s": 1, "ms": 0, "%": 2, "count": 0}
_UNITS_SHOWN = ("s", "ms", "%")


def amount(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a figure with its unit: ``4.1 s``, ``128 ms``, ``99.52 %``, ``1.08``; below 0.1 s two decimals."""
    if decimals is None:
        decimals = 2 if unit == "s" and 0 < abs(value) < 0.095 else _DECIMALS.get(unit, 2)
    suffix = f" {unit}" if unit in _UNITS_SHOWN else ""
    return f"{value:.{decimals}f}{suffix}"


def _with_error(value: float, uncertainty: float, bound: str) -> str:
    """Return seconds with their error, and the limit in words where there is one: ``4.13 s (± 0.06 s; limit 3 s)``."""
    decimals = supported_decimals(value, uncertainty, "s") if uncertainty else None
    error = [f"± {error_digits(uncertainty, decimals)} s"] if decimals is not None else []
    asides = "; ".join([*error, *([bound] if bound else [])])
    return amount(value, "s", decimals) + (f" ({asides})" if asides else "")


def decapitalised(text: str) -> str:
    """Return a title as it reads in the middle of a sentence."""
    return text[:1].lower() + text[1:]


def _figure_text(name: str, value: float, decimals: int | None = None) -> str:
    """Return a criterion's figure as text; a share of requests reads better in percent."""
    if name == "availability":
        return amount(value * 100, "%", decimals)
    return amount(value, CRITERIA[name][1], decimals)


def _apart(name: str, value: float, limit: float) -> str:
    """Return a figure that missed its limit as text, with the decimals that it takes not to look like the limit."""
    for decimals in (None, 2, 3, 4):
        text = _figure_text(name, value, decimals)
        if text != _figure_text(name, limit, decimals):
            break
    return text


def _limit_text(limit: Limit) -> str:
    if limit.criterion == "availability":
        return f"{limit.value * 100:g} %"
    unit = CRITERIA[limit.criterion][1]
    return f"{limit.value:g} {unit}" if unit in ("s", "ms") else f"{limit.value:g}"


def reason_sentence(name: str, figure: Figure, limit: Limit | None, verdict: Verdict) -> str:
    """Return why a figure got its verdict, such as "4.1 s is over the limit of 3 s"."""
    if figure.value is None and figure.above is None:
        bound = f"; the limit is {_limit_text(limit)}" if limit is not None else ""
        return (f"not measured: {figure.note}" if figure.note else "not measured") + bound
    value = figure.above if figure.above is not None else figure.value or 0.0
    text = _figure_text(name, value)
    if limit is not None and verdict is Verdict.FAILED:
        text = _apart(name, value, limit.value)
    shown = f"more than {text} ({figure.note})" if figure.above is not None else text
    if name == "outage_seconds" and figure.value == 0.0:
        shown = figure.note
    if limit is None:
        return f"{shown}; no limit was set"
    within, beyond = ("within", "over") if limit.bound is Bound.AT_MOST else ("at or above", "under")
    told = f"the limit of {_limit_text(limit)}"
    if verdict is Verdict.PASSED:
        return f"{shown}; within {told}" if shown == figure.note else f"{shown} is {within} {told}"
    if verdict is Verdict.FAILED:
        return f"{shown} is {beyond} {told}"
    sampled = f" by a request every {figure.resolution * 1e3:.0f} ms" if 0 < limit.value < figure.resolution else ""
    return f"{shown}; whether {told} holds cannot be determined{sampled}"


def told_of(criterion: Criterion) -> str:
    """Return a criterion and why it was judged so, as a part of a sentence."""
    return f"{decapitalised(criterion.title)}: {criterion.reason}"


def what_was_done(measured: Figures) -> str:
    """Return what was done to what, such as "deleting 1 of 3 api pods"."""
    axis = measured.axis
    if axis.fault == NO_FAULT:
        return "a control without a fault"
    kinds = list(dict.fromkeys(one.fault for one in measured.faults))
    if len(kinds) < 2:
        return _deed(measured, axis.fault, axis.targets)
    by_kind = ((kind, [one for one in measured.faults if one.fault == kind]) for kind in kinds)
    return " and ".join(_deed(measured, kind, _targets(faults)) for kind, faults in by_kind)


def _targets(faults: Sequence[FaultFigures]) -> tuple[Target, ...]:
    return tuple(dict.fromkeys(target for fault in faults for target in fault.targets))


def _deed(measured: Figures, fault: str, targets: Sequence[Target]) -> str:
    axis, view = measured.axis, measured.view
    deed = _DEEDS.get(fault, f"{fault.replace('_', ' ')} on")
    decisive = [target for kind in _DECISIVE for target in targets if target.kind == kind]
    pods = [target for target in targets if target.kind == "Pod"]
    if decisive or not pods:
        named = (f"{target.kind} {target.name}" for target in decisive or targets)
        return f"{deed} {', '.join(named) or view.name}"
    own = sum(pod.uid in view.own_uids for pod in pods)
    others = _others(measured, [pod for pod in pods if pod.uid not in view.own_uids])
    if not own:
        return f"{deed} {others}"
    before = [track.before(axis.sent_ns) for track in view.own()]
    there = sum(pod is not None and counts_as_ready(pod) for pod in before)
    total = max(there, own)
    told = f"{deed} {own} of {total} {view.name} {'pod' if total == 1 else 'pods'}"
    return f"{told} and {others}" if others else told


def _others(measured: Figures, pods: Sequence[Target]) -> str:
    """Return the pods of other workloads in words, such as "1 pod of redis"; empty for none."""
    tracks = measured.view.tracks
    counts = Counter(tracks[pod.uid].workload if pod.uid in tracks else "" for pod in pods)
    told = [f"{count} {'pod' if count == 1 else 'pods'} of {name}" for name, count in counts.items() if name]
    if counts[""]:
        told.append(f"{counts['']} {'pod' if counts[''] == 1 else 'pods'} that no watch knows")
    return " and ".join(told)


def outcome_sentence(measured: Figures, criteria: Sequence[Criterion], done: str) -> str:
    """Return the outcome of a fault in plain words: what was done, what users felt, when it was whole again."""
    limits = {one.name: one.limit for one in criteria}
    felt = _felt(measured.outage, measured.availability, limits.get("outage_seconds"))
    return f"{done} {felt}; {_recovered(measured, limits.get('recovery_seconds'))}{_wished(measured)}"


def _wished(measured: Figures) -> str:
    """Return that somebody has scaled the workload meanwhile, since its recovery is judged by what is wanted now."""
    wishes = measured.moments.wishes if measured.moments is not None else None
    if wishes is None:
        return ""
    before, since = wishes
    return f"; it was scaled from {before} to {since} {'pod' if since == 1 else 'pods'} meanwhile, and judged by that"


def _felt(outage: Outage | None, availability: Availability | None, limit: Limit | None) -> str:
    if outage is None:
        return "was not watched by the prober, so what users felt is unknown"
    if outage.total is None:
        elsewhere = _failed_elsewhere(availability)
        return f"was not felt on the probed path, but {elsewhere}" if elsewhere else "was not felt by users"
    if not outage.recovered:
        return f"was felt by users for more than {amount(outage.total.low, 's')}, until the watch ended"
    bound = f"limit {_limit_text(limit)}" if limit else ""
    return f"was felt by users for {_with_error(outage.total.midpoint, outage.total.uncertainty, bound)}"


def _failed_elsewhere(availability: Availability | None) -> str:
    """Return what share of users' requests failed, where it is more than the service level allows; else nothing.

    The prober asks for one path, users for many, which may need other parts of the system.
    """
    if availability is None or availability.ratio is None or availability.ratio >= availability.objective:
        return ""
    return f"{amount(availability.bad / availability.valid * 100, '%')} of users' requests failed"


def _recovered(measured: Figures, limit: Limit | None) -> str:
    figure, moments = measured.by_name["recovery_seconds"], measured.moments
    bound = f"limit {_limit_text(limit)}" if limit else ""
    if figure.value is None:
        ending = f" ({bound})" if bound else ""
        if figure.above is None:
            return f"its recovery was not measured: {figure.note}"
        return f"its pods were not back after {amount(figure.above, 's')}{ending}"
    if moments is None or moments.undisturbed:
        return "no pod was lost"
    who = "its pods were" if not moments.replacements else "its replacement was"
    if len(moments.replacements) > 1:
        who = f"its {len(moments.replacements)} replacements were"
    return f"{who} ready after {_with_error(figure.value, figure.uncertainty or 0.0, bound)}"


def summarise(scenarios: Sequence[ScenarioResult]) -> tuple[Verdict, str]:
    """Return the verdict of a run, which is the worst of its scenarios, and its headline without that word.

    The headline is the sentence of the first of the worst scenarios, after how many did as badly.
    """
    if not scenarios:
        return Verdict.INCONCLUSIVE, "no scenario was run"
    verdict = worst(scenario.verdict for scenario in scenarios)
    decisive = [scenario for scenario in scenarios if scenario.verdict is verdict]
    if len(scenarios) == 1:
        return verdict, scenarios[0].sentence
    if verdict is Verdict.PASSED:
        return verdict, f"all {len(scenarios)} scenarios kept their limits; {_longest(scenarios)}{_lost(scenarios)}"
    ending = "missed a limit" if verdict is Verdict.FAILED else "could not be judged"
    first = decisive[0]
    return verdict, f"{len(decisive)} of {len(scenarios)} scenarios {ending}; {first.name}: {first.sentence}"


def _longest(scenarios: Sequence[ScenarioResult]) -> str:
    felt = [
        (scenario.outage.total.midpoint, scenario)
        for scenario in scenarios
        if scenario.outage is not None and scenario.outage.total is not None
    ]
    if not felt:
        elsewhere = ((_failed_elsewhere(one.availability), one.name) for one in scenarios)
        told = next((f", but {failed} ({name})" for failed, name in elsewhere if failed), "")
        return f"none was felt on the probed path{told}" if told else "none was felt by users"
    seconds, scenario = max(felt, key=lambda pair: pair[0])
    return f"the longest that users felt was {amount(seconds, 's')} ({scenario.name})"


def _lost(scenarios: Sequence[ScenarioResult]) -> str:
    """Return what became of all writes of a run that passed; empty when none was judged."""
    kept = [one.durability for one in scenarios if one.durability is not None and not one.durability.problem]
    if not kept:
        return ""
    lost, acknowledged = sum(one.lost.count for one in kept), sum(one.acknowledged for one in kept)
    names = {one.name for one in kept}
    return f"; {lost:,} of {acknowledged:,} acknowledged {names.pop() if len(names) == 1 else 'writes'} were lost"
