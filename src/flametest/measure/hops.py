"""Which hop of a request failed first: a pure function of what the log lines that carry its id tell.

Causes come before consequences. Whoever calls learns of a failure from whom it has called, so the earliest line that
tells of one is nearest to the cause. Two things hide it: who was killed or never reached writes nothing, and who hangs
writes later than the caller that has given up on it. Both show in what the caller writes of them. So the search begins
at the earliest failure, and goes on to whom that line blames for as long as they have written nothing of this request,
failed themselves, or were not done by then. Where no line reports a failure, time decides: the hop that took longest
without the hops that it waited for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flametest.measure.loglines import Told

__all__ = ["Asked", "Evidence", "FirstFailure", "first_failure", "intervals"]

_SHARE_OF_DELAY = 0.5  # a hop that accounts for less of a slow request did not make it slow


@dataclass(frozen=True, slots=True)
class Evidence:
    """One log line of a request: who wrote it, when (monotonic), and what it tells."""

    workload: str
    at_ns: int
    told: Told

    @property
    def began_ns(self) -> int:
        """Return when its writer began with the request, as far as the line says."""
        return self.at_ns - round((self.told.seconds or 0.0) * 1e9)


@dataclass(frozen=True, slots=True)
class Asked:
    """The request, as who sent it saw it.

    Attributes:
        sent_ns: when it was sent.
        done_ns: when its outcome was known.
        is_answered: whether an answer came, of whatever status.
        is_slow: whether it was answered well, and late.
        is_timeout: whether nothing came within its time limit.
        entry: the workload that requests reach first; empty where none is known.
    """

    sent_ns: int
    done_ns: int
    is_answered: bool = False
    is_slow: bool = False
    is_timeout: bool = False
    entry: str = ""


@dataclass(frozen=True, slots=True)
class FirstFailure:
    """The workload that failed first, empty where the lines do not tell, and how that is known, in words."""

    workload: str
    why: str


def first_failure(lines: Sequence[Evidence], asked: Asked) -> FirstFailure:
    """Return where a request failed first, or was slow.

    Args:
        lines: those that carry its id, in any order.
        asked: the request.
    """
    ordered = sorted(lines, key=lambda line: line.at_ns)
    failures = [line for line in ordered if line.told.is_failure]
    if failures:
        return _followed(ordered, failures)
    if not asked.is_answered and asked.entry and all(line.workload != asked.entry for line in ordered):
        others = "others have" if ordered else "no other pod has one either"
        return FirstFailure(asked.entry, f"{asked.entry}, where requests enter, has no line of it; {others}")
    if asked.is_slow or asked.is_timeout:
        return _slowest(ordered, asked)
    if not ordered:
        return FirstFailure("", "no pod has a line of it")
    return FirstFailure("", "no line reports a failure")


def intervals(lines: Sequence[Evidence]) -> Mapping[str, tuple[int, int]]:
    """Return when each workload worked on a request: from the beginning of its first line to its last (monotonic)."""
    found: dict[str, tuple[int, int]] = {}
    for line in lines:
        begin, end = found.get(line.workload, (line.began_ns, line.at_ns))
        found[line.workload] = min(begin, line.began_ns), max(end, line.at_ns)
    return found


def _followed(ordered: Sequence[Evidence], failures: Sequence[Evidence]) -> FirstFailure:
    """Return who failed first, from the earliest failure along those who are blamed."""
    line = failures[0]
    current, why = line.workload, f"{line.workload} was the first to write of a failure"
    passed = {current}
    while (found := _next(ordered, line, passed)) is not None:
        blamed, why = found
        passed.add(blamed)
        current = blamed
        own = [one for one in failures if one.workload == blamed]
        if not own:
            break
        line = own[0]
    return FirstFailure(current, why)


def _next(ordered: Sequence[Evidence], line: Evidence, passed: set[str]) -> tuple[str, str] | None:
    """Return whom a failing line blames with reason, and how that is known; None when it blames nobody who failed."""
    for blamed in line.told.blames:
        if blamed in passed:
            continue
        own = [one for one in ordered if one.workload == blamed]
        if not own:
            return blamed, f"{line.workload} says so, and {blamed} has no line of this request"
        if any(one.told.is_failure for one in own):
            return blamed, f"{line.workload} says so, and {blamed} wrote of a failure itself"
        if own[-1].at_ns >= line.at_ns:
            return blamed, f"{line.workload} gave up on it, and {blamed} was not done by then"
    return None


def _slowest(ordered: Sequence[Evidence], asked: Asked) -> FirstFailure:
    """Return which hop took longest without those that it waited for."""
    spans = {name: span for name, span in intervals(ordered).items() if span[1] > span[0]}
    if not spans:
        return FirstFailure("", "no line says how long it took" if ordered else "no pod has a line of it")
    own = dict(_own_seconds(spans))
    slowest = max(own, key=lambda name: own[name])
    taken = (asked.done_ns - asked.sent_ns) / 1e9
    if own[slowest] < _SHARE_OF_DELAY * taken:
        return FirstFailure("", f"no hop accounts for most of its {taken * 1e3:.0f} ms")
    return FirstFailure(slowest, f"{own[slowest] * 1e3:.0f} ms of it passed in {slowest} and on its way to others")


def _own_seconds(spans: Mapping[str, tuple[int, int]]) -> Iterator[tuple[str, float]]:
    """Yield the seconds of each workload that no other one accounts for which worked within them."""
    for name, (begin, end) in spans.items():
        inner = [
            span
            for other, span in spans.items()
            if other != name and begin <= span[0] and span[1] <= end and span != (begin, end)
        ]
        yield name, (end - begin - _covered(inner)) / 1e9


def _covered(spans: Sequence[tuple[int, int]]) -> int:
    """Return how much time intervals cover together."""
    covered, reached = 0, 0
    for begin, end in sorted(spans):
        covered += max(0, end - max(begin, reached))
        reached = max(reached, end)
    return covered
