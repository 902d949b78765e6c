"""Whether the load was what it was meant to be: in each phase by itself, to its end, and sent by a sound generator.

Figures of two phases can be compared only under the same load. A load that falls with the fault hides an outage behind
fewer requests, and one that rises blames the system for what nobody asked of it. So each phase is judged by itself and
both ways. The rules and their numbers are stated in docs/measurement.md.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from flametest.measure.figures import Figures
from flametest.measure.objectives import Objectives
from flametest.measure.samples import Samples
from flametest.measure.timeline import Demand
from flametest.model.events import (
    LoadEnded,
    LoadStarted,
    LoadTrouble,
    LoadTroubled,
    LoadWorkerEnded,
    Phase,
)
from flametest.model.history import History
from flametest.model.plurals import counted
from flametest.model.samples import OWN_ERROR, Lane
from flametest.model.verdict import Verdict

__all__ = ["generator_able", "generator_sound", "load_achieved", "load_exceeded", "of_workers"]

_Finding = tuple[Verdict, str]
_Rule = tuple[str, str, Callable[[], _Finding]]
_NS = 1e9
# How long a load generator may have been silent when its end was noted: its slowest request, and its own ending.
_SILENCE_SECONDS_MAX = 2.0
# A phase that is shorter holds too few requests of a usual load to be judged by itself.
_PHASE_SECONDS_MIN = 1.0
# Users that think for less than this share of their time send what the system lets them: nothing else bounds them.
_THINKING_SHARE_MIN = 0.2
# Of an even schedule, a count may differ from rate times time by one request at either edge of the phase.
_EDGE_REQUESTS = 2.0
_TOO_MUCH = "too much"
_OWN_LIMITS = {
    "EMFILE": "no file descriptor was left to the process",
    "ENFILE": "no file descriptor was left on the machine",
    "EADDRNOTAVAIL": "no local port was left",
    "EADDRINUSE": "no local port was left",
    "ENOMEM": "no memory was left",
    "ENOBUFS": "no buffer was left",
}
_LANES = {Lane.LOAD: "the load", Lane.FRESH: "the prober", Lane.KEEPALIVE: "the prober"}
_TOLD_MAX = 3


def load_achieved(history: History, measured: Figures, objectives: Objectives) -> _Finding:
    """Return whether the load was sent as it was meant to be, in each phase by itself and until the end."""
    started, ended = history.of(LoadStarted), history.of(LoadEnded)
    demand = measured.demand
    if not started:
        return Verdict.PASSED, "no load was requested; the prober's own requests are judged"
    early = [event for event in ended if event.reason != "stopped"]
    if early and not (early[0].by_itself and demand.lane is Lane.LOAD and _has_held(measured, early[0])):
        return Verdict.INCONCLUSIVE, f"the load ended {_when(measured, early[0])}: {early[0].reason}"
    if demand.lane is not Lane.LOAD:
        return Verdict.INCONCLUSIVE, "load was started, and none of its requests was recorded in the baseline or later"
    silence = (ended[-1].at.monotonic_ns - int(demand.samples.sent_ns[-1])) / _NS if ended else 0.0
    if silence > _SILENCE_SECONDS_MAX:
        return (
            Verdict.INCONCLUSIVE,
            f"the load sent nothing in its last {silence:.1f} s; up to {_SILENCE_SECONDS_MAX:.1f} s are believed",
        )
    verdict, detail = _by_phase(measured, started[-1], ended, objectives)
    if early:
        detail += f"; it ended {_when(measured, early[0])}, when the system had been steady for long enough"
    return verdict, detail


def _has_held(measured: Figures, ended: LoadEnded) -> bool:
    """Return whether the system had been steady for the whole hold when the load ended: its question was answered."""
    steady = measured.steady
    if steady is None or steady.seconds is None:
        return False
    return measured.axis.seconds(ended.at.monotonic_ns) >= steady.seconds + steady.hold_seconds - 1 / _NS


def _when(measured: Figures, ended: LoadEnded) -> str:
    seconds = measured.axis.seconds(ended.at.monotonic_ns)
    if measured.axis.t0_ns is None:
        return f"early, {seconds:.1f} s after the start"
    return f"{abs(seconds):.1f} s {'after' if seconds >= 0 else 'before'} the fault, before the experiment did"


def load_exceeded(history: History, measured: Figures, objectives: Objectives) -> tuple[_Rule, ...]:
    """Return the check that no phase had more load than was meant; none where that is so.

    It stands beside `load_achieved` since it outweighs a limit that was missed: what nobody asked of the system broke.
    """
    started = history.of(LoadStarted)
    if not started or measured.demand.lane is not Lane.LOAD:
        return ()
    judged = _judged(measured, started[-1], history.of(LoadEnded), objectives.achieved_ratio_min)
    excess = [doubt for _, doubt in judged if doubt.startswith(_TOO_MUCH)]
    finding = (Verdict.INCONCLUSIVE, excess[0] if excess else "")
    return (("load_exceeded", "No more load was sent than was meant", lambda: finding),) if excess else ()


def _spans(measured: Figures, started: LoadStarted, ended: Sequence[LoadEnded]) -> list[tuple[Phase, int, int]]:
    """Return the phases as far as there was to be load in them, if that is long enough to be judged by itself."""
    end_ns = ended[-1].at.monotonic_ns if ended else int(measured.demand.samples.sent_ns[-1])
    spans = [(phase, max(start, started.at.monotonic_ns), min(end, end_ns)) for phase, start, end in measured.phases]
    return [(phase, low, high) for phase, low, high in spans if high - low >= _PHASE_SECONDS_MIN * _NS]


def _judged(measured: Figures, started: LoadStarted, ended: Sequence[LoadEnded], least: float) -> list[tuple[str, str]]:
    """Return of each phase what was achieved, and what is wrong with it."""
    spans = _spans(measured, started, ended)
    waits = _Waiting(measured.demand.samples, started.users, spans)
    return [_phase(measured.demand, span, waits.possible(*span[1:]), least) for span in spans]


def _by_phase(measured: Figures, started: LoadStarted, ended: Sequence[LoadEnded], objectives: Objectives) -> _Finding:
    demand, least = measured.demand, objectives.achieved_ratio_min
    spans, judged = _spans(measured, started, ended), _judged(measured, started, ended, least)
    if not spans:
        return (
            Verdict.INCONCLUSIVE,
            "the record is too short to compare achieved with offered: no phase has load for "
            f"{_PHASE_SECONDS_MIN:.1f} s",
        )
    told = ", ".join(words for words, _ in judged)
    meant = "were reached in the baseline" if demand.is_reached else "were requested"
    detail = f"{told} of {demand.offered_per_second:.4g} requests a second that {meant}"
    doubts = [doubt for _, doubt in judged if doubt] or _unlevel(demand, spans, least)
    if doubts:
        return Verdict.INCONCLUSIVE, f"{detail}; {doubts[0]}"
    return Verdict.PASSED, f"{detail}; {least:.0%} to {2 - least:.0%} are needed in each phase"


def _phase(demand: Demand, span: tuple[Phase, int, int], possible: float, least: float) -> tuple[str, str]:
    """Return what was achieved in one phase in words, and what is wrong with it; empty for nothing.

    A request counts by when it was sent or by when it was meant to be, whichever is kinder: one that was held up for a
    moment at the edge of a phase was offered all the same.
    """
    phase, low, high = span
    samples, seconds = demand.samples, (high - low) / _NS
    sent = len(samples.sent_between(low, high))
    intended = int(np.count_nonzero((samples.intended_ns >= low) & (samples.intended_ns < high)))
    meant = demand.offered_per_second * seconds
    slack = _EDGE_REQUESTS + float(demand.chance(seconds))
    words = f"{phase} {sent / meant:.1%}"
    if max(sent, intended) < least * meant * min(1.0, possible) - slack:
        waited = ", also if its users' waiting for answers is taken into account" if possible < 1 else ""
        return words, f"too little in the {phase}: at least {least:.0%} are needed{waited}"
    if min(sent, intended) > (2 - least) * meant * max(1.0, possible) + slack:
        return words, f"{_TOO_MUCH} in the {phase}: at most {2 - least:.0%} are believed"
    return words, ""


def _unlevel(demand: Demand, spans: Sequence[tuple[Phase, int, int]], least: float) -> list[str]:
    """Return what is wrong with a baseline that is its own measure: its halves differ; empty for nothing."""
    baseline = [(low, high) for phase, low, high in spans if phase is Phase.BASELINE]
    if not demand.is_reached or not baseline:
        return []
    low, high = baseline[0]
    middle = (low + high) // 2
    first, second = len(demand.samples.sent_between(low, middle)), len(demand.samples.sent_between(middle, high))
    # Of a level load, the second half holds what the first one does, but for chance.
    slack = float(demand.chance((high - low) / _NS / 2))
    if (1 - least) * (first + second) / 2 + slack >= abs(first - second):
        return []
    return [f"it was not level in the baseline: {first} requests in its first half, {second} in its second"]


class _Waiting:
    """How much of their time the users of a closed loop have for sending, since they wait for answers otherwise.

    In T seconds, u users that wait for w seconds altogether think for uT − w. They send once for each pause, so the
    share of what they sent in the baseline that they can send in another phase is that of their time to think (the
    accounting behind Little's law). Users that hardly think are bound by nothing that could be reckoned with.
    """

    def __init__(self, samples: Samples, users: int, spans: Sequence[tuple[Phase, int, int]]) -> None:
        self._samples = samples
        self._users = users
        # An open loop has a schedule of its own: its requests have a start that was intended before they were sent.
        self._is_closed = bool(len(samples)) and np.array_equal(samples.intended_ns, samples.sent_ns)
        baseline = [(low, high) for phase, low, high in spans if phase is Phase.BASELINE]
        self._baseline = baseline[0] if baseline else None

    def possible(self, low: int, high: int) -> float:
        """Return what share of the rate in the baseline the users can send in [low, high); 1 for an open loop."""
        if not self._is_closed or self._baseline is None or (low, high) == self._baseline:
            return 1.0
        before = self._thinking(*self._baseline)
        return self._thinking(low, high) / before if before >= _THINKING_SHARE_MIN else 0.0

    def _thinking(self, low: int, high: int) -> float:
        """Return the share of their time in which the users did not wait for an answer."""
        waited = np.minimum(self._samples.done_ns, high) - np.maximum(self._samples.sent_ns, low)
        available = self._users * (high - low)
        return max(0.0, 1.0 - float(waited[waited > 0].sum()) / available) if available else 0.0


def of_workers(history: History, samples: Samples, objectives: Objectives) -> tuple[_Rule, ...]:
    """Return the check of load that pods of the cluster sent; none where one process on this machine did."""
    workers = history.of(LoadWorkerEnded)
    if not workers:
        return ()
    title = "All load workers' requests are recorded, on one clock"
    return (("load_workers", title, lambda: _workers(workers, samples, objectives)),)


def _workers(workers: Sequence[LoadWorkerEnded], samples: Samples, objectives: Objectives) -> _Finding:
    recorded, sent = len(samples.lane(Lane.LOAD)), sum(one.requests for one in workers)
    told = ", ".join(f"{one.pod} {one.requests}" for one in workers)
    vaguest = max(workers, key=lambda one: one.clock_uncertainty_ns)
    uncertainty = vaguest.clock_uncertainty_ns / _NS
    if recorded < sent:
        return Verdict.INCONCLUSIVE, f"{recorded} requests are in the record, and the workers sent {told}"
    if uncertainty > objectives.clock_uncertainty_seconds_max:
        limit_ms = objectives.clock_uncertainty_seconds_max * 1e3
        return (
            Verdict.INCONCLUSIVE,
            f"the clock of {vaguest.pod} is known to ± {uncertainty * 1e3:.0f} ms; ± {limit_ms:.0f} ms are believed",
        )
    apart = max(abs(one.clock_offset_ns) for one in workers) / _NS
    clocks = "they read this machine's clock"
    if uncertainty:
        clocks = f"their clocks are up to {apart:.3f} s from this machine's, known to ± {uncertainty * 1e3:.2f} ms"
    return Verdict.PASSED, f"requests of {told}; {clocks}"


def generator_able(samples: Samples) -> tuple[_Rule, ...]:
    """Return the check that the sending machine was not at its own limits; none where no request tells that it was.

    Such requests never left. They are no failures of the system, and users of whom nothing was asked felt nothing.
    """
    own = [code for code, error in enumerate(samples.errors) if error.startswith(OWN_ERROR)]
    unsent = samples.where(np.isin(samples.error_code, own))
    if not len(unsent):
        return ()
    return (("generator_able", "The machine that sends could send", lambda: _unable(unsent)),)


def _unable(unsent: Samples) -> _Finding:
    lanes: Counter[str] = Counter()
    for lane, who in _LANES.items():
        lanes[who] += len(unsent.lane(lane))
    counts = np.bincount(unsent.error_code, minlength=len(unsent.errors))
    name = unsent.errors[int(counts.argmax())].removeprefix(OWN_ERROR).strip()
    who = " and ".join(f"{counted(count, 'request')} of {who}" for who, count in lanes.items() if count)
    return (
        Verdict.INCONCLUSIVE,
        f"{who} never left: {_OWN_LIMITS.get(name, 'the machine was at its limits')} ({name}); raise that limit "
        "(ulimit -n, net.ipv4.ip_local_port_range), or send less",
    )


def generator_sound(history: History) -> tuple[_Rule, ...]:
    """Return the check of the load generator itself; none where no load was started.

    Requests that cannot be recorded, users that are missing and a `test_start` that raised leave another load than
    the one that was meant. Errors of tasks and of other listeners are told: a task stumbles over what an ill system
    answers.
    """
    if not history.of(LoadStarted) and not history.of(LoadTroubled):
        return ()
    return (("generator_sound", "The load generator itself worked", lambda: _sound(history.of(LoadTroubled))),)


def _sound(troubles: Sequence[LoadTroubled]) -> _Finding:
    grave = [one for one in troubles if _is_grave(one)]
    ordered = [*grave, *(one for one in troubles if one not in grave)]
    told = [_words(one) for one in ordered[:_TOLD_MAX]]
    if len(ordered) > _TOLD_MAX:
        told.append(f"and {len(ordered) - _TOLD_MAX} more kinds of errors, which the history holds")
    detail = "; ".join(told) or "nothing went wrong in it that was noted"
    return (Verdict.INCONCLUSIVE if grave else Verdict.PASSED), detail


def _is_grave(one: LoadTroubled) -> bool:
    if one.trouble is LoadTrouble.LISTENER:
        return one.where.rpartition(": ")[2] == "test_start"
    return one.trouble in (LoadTrouble.UNRECORDED, LoadTrouble.MISSING)


def _words(one: LoadTroubled) -> str:
    pod, _, where = one.where.rpartition(": ")
    times = f"{one.count} times" if one.count != 1 else "once"
    match one.trouble:
        case LoadTrouble.UNRECORDED:
            kind = f" of kind {where}" if where else ""
            words = f"{one.count} requests{kind} could not be recorded, the first because {one.cause}"
        case LoadTrouble.MISSING:
            words = f"users were missing: {one.cause}"
        case LoadTrouble.LISTENER:
            words = f"a listener of {where} raised {times}: {one.cause}"
        case LoadTrouble.TASK:
            words = f"{where or 'a task'} raised {times}: {one.cause}"
        case LoadTrouble.DIED:
            words = f"{where or 'a greenlet'} died {times}: {one.cause}"
    return f"{pod}: {words}" if pod else words
