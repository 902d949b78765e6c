"""A run against a baseline: for each criterion of each scenario the shift, its interval, a test and an effect size.

Worse is what moved beyond the margin *and* cannot well be chance; same is what is shown to have stayed within it.
Where the trials are too few for either, that is what is said. The tests of one comparison share their error: by
Holm's method the chance that identical systems are told apart anywhere is at most 5 %, however many criteria there
are (Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Statist. 6, 1979).
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from flametest.measure.statistics import (
    cliffs_delta,
    effect_word,
    hodges_lehmann,
    hodges_lehmann_interval,
    mann_whitney,
)
from flametest.model.comparison import Change, ComparedCriterion, Comparison
from flametest.model.measures import Bracket
from flametest.model.plurals import counted, were
from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Bound, Criterion

__all__ = ["MARGIN_RATIO", "Paired", "compare_figures", "compare_runs"]

MARGIN_RATIO = 0.1
"""The default margin: a tenth of the baseline's median."""

_ERROR = 0.05
_MARGIN_LEAST: Mapping[str, float] = MappingProxyType({"s": 0.05, "ms": 2.0, "ratio": 0.001, "count": 0.0})
"""Least margin by unit: the prober's interval, the machine's jitter, a request in a thousand, nothing."""


@dataclass(frozen=True, slots=True)
class Paired:
    """One criterion of one scenario in both runs, before it is judged; the figures are those of the trials."""

    scenario: str
    name: str
    title: str
    unit: str
    bound: Bound
    base: tuple[float, ...]
    new: tuple[float, ...]
    left_out: int = 0


def compare_runs(base: Result, new: Result, margin_ratio: float = MARGIN_RATIO) -> Comparison:
    """Compare two runs, scenario by scenario; a figure that was censored counts as what it is known to exceed."""
    before = {one.name: one for one in base.scenarios}
    after = {one.name: one for one in new.scenarios}
    pairs = [pair for name, scenario in after.items() if name in before for pair in _pairs(before[name], scenario)]
    compared = compare_figures(pairs, margin_ratio)
    return Comparison(
        base_run_id=base.run_id,
        new_run_id=new.run_id,
        margin_ratio=margin_ratio,
        criteria=compared,
        only_base=tuple(name for name in before if name not in after),
        only_new=tuple(name for name in after if name not in before),
        sentence=_sentence(compared, margin_ratio),
    )


def compare_figures(pairs: Sequence[Paired], margin_ratio: float = MARGIN_RATIO) -> tuple[ComparedCriterion, ...]:
    """Return each pair with its shift, interval, p-value, effect size and judgement."""
    raw = [_measured(pair, margin_ratio) for pair in pairs]
    adjusted = _holm([one.p_value for one in raw])
    return tuple(
        _judged(replace(one, p_value=p_value), pair) for one, pair, p_value in zip(raw, pairs, adjusted, strict=True)
    )


def _pairs(base: ScenarioResult, new: ScenarioResult) -> list[Paired]:
    found = []
    for criterion in new.criteria:
        earlier = base.criterion(criterion.name)
        if earlier is None:
            continue
        before, after = _values(base, criterion.name), _values(new, criterion.name)
        kept = [tuple(value for value in values if value is not None) for values in (before, after)]
        found.append(
            Paired(
                scenario=new.name,
                name=criterion.name,
                title=criterion.title,
                unit=criterion.unit,
                bound=_bound(criterion),
                base=kept[0],
                new=kept[1],
                left_out=len(before) + len(after) - len(kept[0]) - len(kept[1]),
            )
        )
    return found


def _values(scenario: ScenarioResult, name: str) -> list[float | None]:
    if scenario.trials is None:
        criteria = [scenario.criterion(name)]
    else:
        criteria = [next((one for one in trial.criteria if one.name == name), None) for trial in scenario.trials.trials]
    return [None if one is None else one.value if one.above is None else one.above for one in criteria]


def _bound(criterion: Criterion) -> Bound:
    if criterion.limit is not None:
        return criterion.limit.bound
    return Bound.AT_LEAST if criterion.name == "availability" else Bound.AT_MOST


def _measured(pair: Paired, margin_ratio: float) -> ComparedCriterion:
    delta = cliffs_delta(pair.base, pair.new)
    median = statistics.median(pair.base) if pair.base else None
    return ComparedCriterion(
        scenario=pair.scenario,
        name=pair.name,
        title=pair.title,
        unit=pair.unit,
        base=pair.base,
        new=pair.new,
        base_median=median,
        new_median=statistics.median(pair.new) if pair.new else None,
        shift=hodges_lehmann(pair.base, pair.new),
        interval=hodges_lehmann_interval(pair.base, pair.new),
        p_value=mann_whitney(pair.base, pair.new),
        delta=delta,
        effect="" if delta is None else effect_word(delta),
        margin=_margin(pair, median, margin_ratio),
        change=Change.UNTOLD,
        note="",
    )


def _margin(pair: Paired, median: float | None, margin_ratio: float) -> float:
    """Return the margin in the unit; of an availability it is a share of what is missing to 1."""
    scale = 0.0 if median is None else 1.0 - median if pair.bound is Bound.AT_LEAST else abs(median)
    return max(margin_ratio * scale, _MARGIN_LEAST.get(pair.unit, 0.0))


def _holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return Holm's adjusted p-values; those that are missing stay so and do not count."""
    known = sorted((p_value, index) for index, p_value in enumerate(p_values) if p_value is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    reached = 0.0
    for rank, (p_value, index) in enumerate(known):
        reached = max(reached, min(1.0, (len(known) - rank) * p_value))
        adjusted[index] = reached
    return adjusted


def _judged(one: ComparedCriterion, pair: Paired) -> ComparedCriterion:
    change, note = _change(one, pair)
    aside = (
        f"; {counted(pair.left_out, 'trial')} without a figure {were(pair.left_out)} left out" if pair.left_out else ""
    )
    return replace(one, change=change, note=note + aside)


def _change(one: ComparedCriterion, pair: Paired) -> tuple[Change, str]:
    trials = f"{len(pair.base)} against {len(pair.new)} trials"
    if one.shift is None or one.p_value is None:
        return Change.UNTOLD, "one of the runs has no figure"
    if one.interval is None:
        return Change.UNTOLD, f"{trials} are too few to tell; four against four are the least"
    # Counted so that worse is positive.
    shift, interval = one.shift, one.interval
    if pair.bound is Bound.AT_LEAST:
        shift, interval = -shift, Bracket(-interval.high, -interval.low)
    is_told = one.p_value <= _ERROR
    if is_told and shift > one.margin:
        return Change.WORSE, f"worse beyond the margin, p = {one.p_value:.2g}"
    if is_told and -shift > one.margin:
        return Change.BETTER, f"better beyond the margin, p = {one.p_value:.2g}"
    if interval.high <= one.margin or math.isclose(interval.high, one.margin):
        return Change.SAME, "not worse beyond the margin"
    worst = -interval.high if pair.bound is Bound.AT_LEAST else interval.high
    unit = f" {one.unit}" if one.unit in ("s", "ms") else ""
    return Change.UNTOLD, f"{trials} are too few to tell: the shift may be as bad as {worst:+.2g}{unit}"


def _sentence(compared: Sequence[ComparedCriterion], margin_ratio: float) -> str:
    counts = {change: sum(one.change is change for one in compared) for change in Change}
    if not compared:
        return "the runs have no scenario in common, so there is nothing to compare"
    worse = [one for one in compared if one.change is Change.WORSE]
    parts = [f"{len(compared)} criteria compared, margin {margin_ratio:.0%}"]
    if worse:
        named = ", ".join(f"{one.scenario}/{one.name}" for one in worse[:3])
        parts.append(f"{len(worse)} worse ({named}{', ...' if len(worse) > 3 else ''})")
    else:
        parts.append("none worse")
    parts += [f"{counts[Change.BETTER]} better", f"{counts[Change.SAME]} not worse"]
    parts.append(f"{counts[Change.UNTOLD]} with too few trials to tell")
    return "; ".join(parts)
