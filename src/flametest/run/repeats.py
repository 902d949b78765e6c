"""Repeats of a scenario: which record belongs to which trial, and the random phase of each, drawn from the seed.

A fault that is injected at the same moment of every trial meets whatever runs in a rhythm (probes of readiness, the
prober's own interval, a cache's expiry) always in the same phase, and the trials would agree too well. So the
baseline of each is longer by a time of its own.
"""

import random
from dataclasses import dataclass

__all__ = ["PHASE_SECONDS_MAX", "Repeat", "repeats"]

PHASE_SECONDS_MAX = 3.0
"""Greatest extra baseline; longer than the periods of readiness probes and resyncs that matter."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """One trial of one scenario.

    Attributes:
        scenario: the scenario's name.
        number: 1 for the first.
        key: names its record: the scenario, and below it the trial when there are several.
        seed: of its random choices, such as which pod is deleted.
        extra_baseline_seconds: how much longer its baseline is.
        is_alone: whether it repeats, with nothing beside it, an attempt that ran beside others.
    """

    scenario: str
    number: int
    key: str
    seed: int
    extra_baseline_seconds: float
    is_alone: bool = False


def repeats(scenario: str, trials: int, seed: int) -> tuple[Repeat, ...]:
    """Return the trials of a scenario; a single one is the experiment as it is written."""
    if trials == 1:
        return (Repeat(scenario, 1, scenario, seed, 0.0),)
    return tuple(
        Repeat(scenario, number, f"{scenario}/trial-{number}", seed + number - 1, _phase(scenario, number, seed))
        for number in range(1, trials + 1)
    )


def _phase(scenario: str, number: int, seed: int) -> float:
    chance = random.Random(f"{seed} {scenario} {number}")  # noqa: S311 (chance that can be repeated)
    return round(chance.uniform(0.0, PHASE_SECONDS_MAX), 3)
