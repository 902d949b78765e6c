"""Contradictions: what was recorded twice, by parts that know nothing of one another, and does not agree.

The prober and the load ask the same entry, the pods that answer are those that the watches show, and the watches show
what a list of the same objects shows. Where two of them differ one is wrong, and nothing in the record tells which: the
scenario is inconclusive then, whatever its figures are, also if a limit seems to be missed. The rules and their numbers
are stated in docs/measurement.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from flametest.measure.figures import Figures
from flametest.measure.objectives import Objectives
from flametest.measure.pods import answer_names, names_in
from flametest.measure.samples import Samples
from flametest.model.events import EndpointsObserved, LoadStarted, PodObserved, WatchCompared, WatchInterrupted
from flametest.model.history import History
from flametest.model.plurals import counted
from flametest.model.result import Check
from flametest.model.samples import Lane
from flametest.model.verdict import Criterion, Verdict

__all__ = ["CONTRADICTIONS", "answers_known", "unless_contradicted", "views_agree", "watches_current"]

_CONTRADICTS = "not believed, since the record contradicts itself"

CONTRADICTIONS: Mapping[str, str] = MappingProxyType(
    {
        "watches_current": _CONTRADICTS,
        "answers_known": _CONTRADICTS,
        "views_agree": _CONTRADICTS,
        "load_exceeded": "not believed, since more load was sent than was meant",
        "generator_able": "not believed, since the machine that sends was at its own limits",
    }
)
"""Names of the checks whose doubt outweighs a limit that was missed, and what is said of such a limit then."""

_Finding = tuple[Verdict, str]
_NS = 1_000_000_000
_NAMED_MAX = 3


def unless_contradicted(
    criteria: Iterable[Criterion], checks: Iterable[Check]
) -> tuple[tuple[Criterion, ...], tuple[Check, ...]]:
    """Return criteria and checks; where a check found a contradiction, with none of them failed, but in doubt."""
    criteria, checks = tuple(criteria), tuple(checks)
    found = [CONTRADICTIONS[one.name] for one in checks if one.name in CONTRADICTIONS and _is_doubt(one)]
    if not found:
        return criteria, checks
    return (
        tuple(
            replace(one, verdict=Verdict.INCONCLUSIVE, reason=f"{one.reason}; {found[0]}")
            if one.verdict is Verdict.FAILED
            else one
            for one in criteria
        ),
        tuple(
            replace(one, verdict=Verdict.INCONCLUSIVE, detail=f"{one.detail}; {found[0]}")
            if one.verdict is Verdict.FAILED
            else one
            for one in checks
        ),
    )


def watches_current(history: History, measured: Figures) -> _Finding:
    """Return whether the watches have shown, from the injection on, what lists of the same objects show.

    A watch that fell silent is in doubt even if nothing had changed meanwhile: what it would have shown in time, and
    whether it was shown, nobody can tell. A record from before lists were compared is not.
    """
    compared = history.of(WatchCompared)
    behind = max(compared, key=lambda one: one.unseen, default=None)
    if behind is not None and behind.unseen:
        seconds = (behind.at.monotonic_ns - behind.heard_ns) / _NS
        return (
            Verdict.INCONCLUSIVE,
            f"a list of {behind.resource} shows {behind.unseen} of {behind.objects} objects otherwise than the watch "
            f"had shown them seconds later ({', '.join(behind.names)}); it was heard last {seconds:.1f} s before the "
            "list",
        )
    interrupted = history.of(WatchInterrupted)
    silent = [one for one in interrupted if one.silent_since_ns and one.at.monotonic_ns >= measured.axis.sent_ns]
    if silent:
        since = measured.axis.seconds(min(one.silent_since_ns for one in silent))
        until = measured.axis.seconds(max(one.at.monotonic_ns for one in silent))
        resources = ", ".join(dict.fromkeys(one.resource for one in silent))
        missed, objects = sum(one.missed for one in silent), sum(one.objects for one in silent)
        return (
            Verdict.INCONCLUSIVE,
            f"watches were silent from {since:+.1f} s to {until:+.1f} s from the injection ({resources}); {missed} of "
            f"{objects} objects had changed unseen by then",
        )
    latest = {one.resource: one for one in compared}
    failed = [one for one in latest.values() if one.problem]
    if failed:
        resources = ", ".join(one.resource for one in failed)
        return (
            Verdict.INCONCLUSIVE,
            f"the watches of {resources} could not be compared with lists at the end: {failed[0].problem}",
        )
    if not compared:
        return Verdict.PASSED, "no list was compared with them"
    return (
        Verdict.PASSED,
        f"lists of {counted(len(latest), 'kind')}, at the end too, were as the watches had shown them",
    )


def _is_doubt(check: Check) -> bool:
    return check.verdict is Verdict.INCONCLUSIVE


def answers_known(history: History, samples: Samples) -> _Finding:
    """Return whether every answer that names its pod comes from a pod that the namespace has or had.

    Answers from before the pods were first listed are left out: the load runs earlier than the watches do.
    """
    pods = history.of(PodObserved)
    if not pods:
        return Verdict.PASSED, "no pod was watched, so answers cannot be distinguished"
    answered = samples.where((samples.status != 0) & (samples.sent_ns >= pods[0].at.monotonic_ns))
    counts = _answers_by_name(answered)
    named = sum(counts.values())
    if not named:
        return Verdict.PASSED, "no answer names the pod that served it (X-Served-By), so this cannot be checked"
    known = _names_of(pods) | _routed_names(history.of(EndpointsObserved))
    unknown = {name: count for name, count in counts.items() if known.isdisjoint(names_in(name))}
    if not unknown:
        nameless = len(answered) - named
        besides = f"; {nameless} of {len(answered)} name none, and cannot be checked" if nameless else ""
        return Verdict.PASSED, f"all answers that name their pod come from pods that were watched{besides}"
    foreign = sum(unknown.values())
    return (
        Verdict.INCONCLUSIVE,
        f"{foreign} of {named} answers that name their pod come from pods that the namespace does not have: "
        f"{_listed(unknown)}; is another system at this address?",
    )


def views_agree(history: History, samples: Samples, measured: Figures, objectives: Objectives) -> _Finding:
    """Return whether the prober and the load saw the same availability in each phase.

    Both are reduced to what they can be compared by: requests for the same thing where there are enough of these, good
    only within the prober's time limit, second by second, so that a generator which is held up by hanging requests
    does not weigh an outage less. The load has to lie between the prober's two lanes, within a tolerance.
    """
    if not len(samples.lane(Lane.LOAD)):
        return Verdict.PASSED, "no load was recorded that the prober could be compared with"
    users = max((event.users for event in history.of(LoadStarted)), default=0)
    told: list[str] = []
    for phase, start_ns, end_ns in measured.phases:
        compared = _compare(samples.sent_between(start_ns, end_ns), users, objectives)
        if compared is None:
            continue
        words = f"{phase}: load {compared.load:.1%}, prober {_span(compared.prober)}"
        if compared.apart > compared.tolerance:
            return (
                Verdict.INCONCLUSIVE,
                f"{words} of {compared.what} were good ({compared.counts[0]} and {compared.counts[1]} requests); "
                f"up to {compared.tolerance * 100:.0f} percentage points apart are believed",
            )
        told.append(words if compared.is_mixed else "")
    if not told:
        return Verdict.PASSED, "no phase has enough requests of both to compare them"
    mixed = "; ".join(filter(None, told))
    return Verdict.PASSED, mixed or "all requests of both were answered well, in each phase that can be compared"


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Shares of good requests in one phase; ``counts`` are the load's and the prober's requests."""

    what: str
    load: float
    prober: tuple[float, float]
    counts: tuple[int, int]
    tolerance: float

    @property
    def is_mixed(self) -> bool:
        """Return whether one of them saw a bad answer."""
        return min(self.load, *self.prober) < 1.0

    @property
    def apart(self) -> float:
        """Return how far the load lies outside what the prober's lanes span."""
        return max(self.prober[0] - self.load, self.load - self.prober[1], 0.0)


def _compare(samples: Samples, users: int, objectives: Objectives) -> _Comparison | None:
    """Return the comparison of one phase; None with too few requests of either."""
    load = samples.lane(Lane.LOAD)
    lanes = [lane for lane in map(samples.lane, (Lane.FRESH, Lane.KEEPALIVE)) if len(lane)]
    if not lanes or not len(load):
        return None
    least = objectives.compared_requests_min
    asked = {lane.names[lane.name_code[0]] for lane in lanes}
    same = load.where(np.isin(load.name_code, [code for code, name in enumerate(load.names) if name in asked]))
    is_same = len(same) >= least
    load = same if is_same else load
    seconds = [_by_second(one, objectives) for one in (load, *lanes)]
    common = set.intersection(*(set(one) for one in seconds))
    counts = [sum(one[second][1] for second in common) for one in seconds]
    if min(counts, default=0) < least:
        return None
    shares = [_mean(one, common) for one in seconds]
    believed = objectives.views_apart_max if is_same else objectives.views_apart_unlike_max
    return _Comparison(
        what=f"requests for {', '.join(sorted(asked))}" if is_same else "requests, which are not for the same thing,",
        load=shares[0],
        prober=(min(shares[1:]), max(shares[1:])),
        counts=(counts[0], sum(counts[1:])),
        tolerance=believed + _chance([seconds[1][one] for one in common], min(users or counts[0], counts[0])),
    )


def _chance(prober: Sequence[tuple[float, int]], connections: int) -> float:
    """Return how far chance may bring the load from the prober: three standard errors of its share of good requests.

    Requests of one user share a connection, and with it often the pod, so connections are counted and not requests.
    The variance p(1 − p) is that within the seconds of the ``prober``: where all are good, or none, nothing is left to
    chance. That none of few requests need not mean none adds 2 / (n + 4), after Agresti and Coull (1998).
    """
    variance = float(np.mean([share * (1 - share) for share, _ in prober]))
    return 3 * sqrt((variance + 2 / (sum(count for _, count in prober) + 4)) / connections)


def _by_second(samples: Samples, objectives: Objectives) -> dict[int, tuple[float, int]]:
    """Return for each second of the clock the share of good requests that were sent in it, and their count."""
    limit_ns = round(objectives.prober_timeout_seconds * _NS)
    good = samples.good & (samples.done_ns - samples.sent_ns <= limit_ns)
    seconds, where = np.unique(samples.sent_ns // _NS, return_inverse=True)
    total = np.bincount(where)
    shares: NDArray[np.float64] = np.bincount(where, weights=good) / total
    return {
        int(second): (float(share), int(count)) for second, share, count in zip(seconds, shares, total, strict=True)
    }


def _mean(by_second: dict[int, tuple[float, int]], seconds: Iterable[int]) -> float:
    return float(np.mean([by_second[second][0] for second in seconds]))


def _span(shares: tuple[float, float]) -> str:
    low, high = (f"{share:.1%}" for share in shares)
    return low if low == high else f"{low} to {high}"


def _answers_by_name(samples: Samples) -> dict[str, int]:
    counts = np.bincount(samples.served_by_code, minlength=len(samples.pods)).tolist()
    return {name: count for name, count in zip(samples.pods, counts, strict=True) if name and count}


def _names_of(pods: Iterable[PodObserved]) -> set[str]:
    """Return by what the pods may name themselves."""
    return {name for pod in pods for name in answer_names(pod)}


def _routed_names(slices: Iterable[EndpointsObserved]) -> set[str]:
    """Return the names of the pods that EndpointSlices lead to, which another watch shows than that of the pods."""
    return {endpoint.pod_name for one in slices for endpoint in one.endpoints}


def _listed(counts: dict[str, int]) -> str:
    """Return names with their counts, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{name} {count}" for name, count in ordered[:_NAMED_MAX])
    return named + (f" and {len(ordered) - _NAMED_MAX} more" if len(ordered) > _NAMED_MAX else "")
