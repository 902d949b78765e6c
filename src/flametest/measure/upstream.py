"""What arrives inside for each request that users send: the evidence for retries that multiply the load.

Pods count what reaches them, retries of whatever stands before them included, while prober, load and ledger know what
was sent at the entry. As long as users ask for the same mixture of things, the ratio of the two changes only when
something between asks more often than users do. Counters are read every few seconds, so phases are widened to the
readings that enclose them. Requests that never reached a pod, and the last ones of a pod that died, are not counted:
the ratio is at least what is told here.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flametest.measure.owners import Owners
from flametest.measure.samples import Samples
from flametest.model.events import ChangeKind, Phase, PodObserved, RequestsCounted
from flametest.model.history import History
from flametest.model.measures import Upstream
from flametest.model.writes import Attempt

__all__ = ["MultipliedLoad", "multiplied_load", "upstream_requests"]

_MULTIPLIED = 1.5  # a fair retry budget adds a fifth, and some more where little is asked
_MORE_REQUESTS = 20  # fewer than these may be a page that was opened by hand
_SIGMAS = 4  # beyond that by chance lies one comparison in thirty thousand


def upstream_requests(
    history: History, samples: Samples, attempts: Iterable[Attempt], phases: Sequence[tuple[Phase, int, int]]
) -> tuple[Upstream, ...]:
    """Return how many requests arrived at each app in each phase; empty when nothing counted.

    A phase without two readings is left out, and so is an app in a baseline in which one of its pods was not read.

    Args:
        history: one scenario's events.
        samples: its samples of all lanes.
        attempts: the ledger's requests.
        phases: each phase with its start and end in monotonic nanoseconds.
    """
    readings = history.of(RequestsCounted)
    moments = np.array([one.at.monotonic_ns for one in readings], dtype=np.int64)
    sent_ns = np.sort(np.concatenate([samples.sent_ns, _attempts_ns(attempts)]))
    counters = _counters(history, readings)
    found: list[Upstream] = []
    for phase, start_ns, end_ns in phases:
        bounds = _enclosing(moments, start_ns, end_ns, is_baseline=phase is Phase.BASELINE)
        if bounds is None:
            continue
        first, last = bounds
        sent = int(np.diff(np.searchsorted(sent_ns, [moments[first], moments[last]]))[0])
        seconds = float(moments[last] - moments[first]) / 1e9
        for app, pods in sorted(counters.items()):
            if phase is Phase.BASELINE and not all(pod.is_new or pod.is_whole(first, last) for pod in pods):
                continue  # with a gap in it the measure would be too small, and what follows look too great
            requests = sum(pod.increase(first, last) for pod in pods)
            found.append(Upstream(app, phase, seconds, requests, sent, requests / sent if sent else None))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class MultipliedLoad:
    """An app that got ``times`` as many requests for each one that users sent as before the fault."""

    times: float
    before: Upstream
    since: Upstream


def multiplied_load(upstream: Iterable[Upstream]) -> MultipliedLoad | None:
    """Return the app whose load was multiplied most, in the fault or after it; None when none was, beyond chance.

    Chance is four standard errors: with Poisson counts the variance of the expected number is that number, and again
    that times the ratio of what was sent since and before, as the ratio from before is no better known.
    """
    known = tuple(upstream)
    before = {one.app: one for one in known if one.phase is Phase.BASELINE}
    found = []
    for since in known:
        base = before.get(since.app)
        if since.phase is Phase.BASELINE or base is None or not base.per_sent or not since.sent:
            continue
        expected = base.per_sent * since.sent
        chance = _SIGMAS * math.sqrt(expected * (1 + since.sent / base.sent))
        if since.requests >= max(_MULTIPLIED * expected, expected + chance, expected + _MORE_REQUESTS):
            found.append(MultipliedLoad(since.requests / expected, base, since))
    return max(found, key=lambda one: one.times, default=None)


@dataclass(frozen=True, slots=True)
class _Counter:
    """One pod's counter.

    Attributes:
        is_new: whether the pod came while it was watched, so that it began at nothing.
        entries: number of each reading that has it, ascending, and what it stood at.
    """

    is_new: bool
    entries: tuple[tuple[int, int], ...]

    def increase(self, first: int, last: int) -> int:
        """Return by how much it is known to have grown from one reading to another.

        A count that fell started again with its program. What came while it could not be read counts only where both
        ends of that gap lie within.
        """
        total = 0
        before = (first, 0) if self.is_new else self.entries[0]
        for number, count in self.entries:
            if before[0] >= first and first < number <= last:
                total += count - before[1] if count >= before[1] else count
            before = (number, count)
        return total

    def is_whole(self, first: int, last: int) -> bool:
        """Return whether both readings have it."""
        numbers = {number for number, _ in self.entries}
        return {first, last} <= numbers


def _counters(history: History, readings: Sequence[RequestsCounted]) -> dict[str, list[_Counter]]:
    """Return the counters of each workload."""
    owners = Owners(history)
    titles = {pod.uid: owners.title(pod) for pod in history.of(PodObserved) if pod.owner_kind}
    listed = {pod.uid for pod in history.of(PodObserved) if pod.change is ChangeKind.LISTED}
    entries: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for number, reading in enumerate(readings):
        for pod in reading.pods:
            entries[titles.get(pod.pod_uid, pod.app), pod.pod_uid].append((number, pod.requests))
    found: defaultdict[str, list[_Counter]] = defaultdict(list)
    for (app, uid), seen in entries.items():
        found[app].append(_Counter(is_new=uid not in listed and seen[0][0] > 0, entries=tuple(seen)))
    return found


def _enclosing(moments: NDArray[np.int64], start_ns: int, end_ns: int, *, is_baseline: bool) -> tuple[int, int] | None:
    """Return the numbers of the readings around a phase; those of the baseline lie within it, as it is the measure."""
    if is_baseline:
        first, last = int(np.searchsorted(moments, start_ns)), int(np.searchsorted(moments, end_ns, side="right")) - 1
    else:
        first = int(np.searchsorted(moments, start_ns, side="right")) - 1
        last = int(np.searchsorted(moments, end_ns))
    first, last = max(first, 0), min(last, len(moments) - 1)
    return (first, last) if last > first else None


def _attempts_ns(attempts: Iterable[Attempt]) -> NDArray[np.int64]:
    """Return when the ledger's requests were sent; those that never were are left out."""
    return np.array([one.sent_ns for one in attempts if one.sent_ns > 0], dtype=np.int64)
