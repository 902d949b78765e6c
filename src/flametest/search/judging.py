"""What a trial has shown of a promise, from its measured record. Pure.

A trial breaks the promise when a promised figure misses its limit, and keeps it when all of them are known and held.
Both take a record that can be trusted, and stock Chaos Toolkit that came to the same end, since what is found has to be
repeated by it. Everything else is inconclusive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flametest.measure.words import told_of
from flametest.model.result import ScenarioResult
from flametest.model.verdict import Bound, Criterion, Limit, Verdict
from flametest.search.evidence import Outcome, Saw

__all__ = ["Judged", "judged"]

# Whether service is steady again takes longer to tell than a trial lasts, and it is no part of the promise; what the
# hypothesis found is compared with it below.
_NOT_ASKED = frozenset({"steady_again", "hypothesis_held"})
_STRAIN_MAX = 99.0
_AFTERWARDS = frozenset({"write_anomalies", "connections_admitted"})  # read back when the experiment is over


@dataclass(frozen=True, slots=True)
class Judged:
    """The outcome of a trial, its figures by criterion, and those that decided it, or the doubt, in a sentence."""

    saw: Saw
    figures: dict[str, float | None]
    sentence: str


def judged(scenario: ScenarioResult, promise: Sequence[Limit], *, deviated: bool) -> Judged:
    """Return what a trial has shown.

    Args:
        scenario: its measured record, judged by the promise alone.
        promise: the limits.
        deviated: whether stock Chaos Toolkit found the promise broken.
    """
    criteria = {one.name: one for one in scenario.criteria}
    kept = [(limit, criteria.get(limit.criterion)) for limit in promise]
    figures = {limit.criterion: one.value if one is not None else None for limit, one in kept}
    missed = [one for _, one in kept if one is not None and one.verdict is Verdict.FAILED]
    if doubt := _doubt(scenario, kept, missed, deviated=deviated):
        return Judged(Saw(Outcome.INCONCLUSIVE), figures, doubt)
    strain = max((_strain(limit, one) for limit, one in kept if one is not None), default=0.0)
    if missed:
        return Judged(Saw(Outcome.BREAKS, round(strain, 3)), figures, "; ".join(told_of(one) for one in missed))
    told = "; ".join(told_of(one) for _, one in kept if one is not None)
    return Judged(Saw(Outcome.HOLDS, round(strain, 3)), figures, told)


def _doubt(
    scenario: ScenarioResult,
    kept: Sequence[tuple[Limit, Criterion | None]],
    missed: Sequence[Criterion],
    *,
    deviated: bool,
) -> str:
    """Return why a trial proves nothing; empty when it does."""
    for check in scenario.checks:
        if check.verdict is Verdict.INCONCLUSIVE and check.name not in _NOT_ASKED:
            return f"{check.title[:1].lower()}{check.title[1:]}: {check.detail}"
    live = [one for one in missed if one.name not in _AFTERWARDS]
    if bool(live) != deviated:
        found = "broken" if deviated else "kept"
        return f"chaos run found the promise {found}, and the whole record does not: {scenario.sentence}"
    if not missed:
        for limit, one in kept:
            if one is None or one.verdict is not Verdict.PASSED:
                return f"{limit.criterion} could not be measured{f': {one.reason}' if one is not None else ''}"
    return ""


def _strain(limit: Limit, found: Criterion) -> float:
    """Return which share of a limit a figure has used up; more than 1 where it missed it, at most `_STRAIN_MAX`."""
    if found.value is None:
        return 0.0
    at_most = limit.bound is Bound.AT_MOST
    used, allowed = (found.value, limit.value) if at_most else (1 - found.value, 1 - limit.value)
    share = used / allowed if allowed > 0 else _STRAIN_MAX * (used > 0)
    return min(max(share, 0.0), _STRAIN_MAX)
