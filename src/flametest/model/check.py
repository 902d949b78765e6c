"""One tree against another: how far each figure differs between blocks that were measured side by side."""

from dataclasses import dataclass
from enum import StrEnum

from flametest.model.measures import Bracket

__all__ = ["BlockFigures", "CheckResult", "CheckedFigure", "Judgement", "Side"]


class Side(StrEnum):
    """Which tree."""

    BASE = "base"
    NEW = "new"


class Judgement(StrEnum):
    """What the new tree is, compared with the base."""

    WORSE = "worse"
    UNTOLD = "cannot be told"
    SAME = "same"
    BETTER = "better"


@dataclass(frozen=True, slots=True)
class BlockFigures:
    """What users felt in one block: a tree, a fault, and the seconds after it.

    Attributes:
        quad: the group of four blocks, two of each tree, that it is compared in; from 0.
        side: the tree.
        injected_seconds: when the fault was injected, in seconds from the beginning of the check.
        requests: how many were sent within the block's window.
        availability: the share that was answered well; None without a request.
        p95_ms: 95th percentile of the latency of those answered well; None without one.
    """

    quad: int
    side: Side
    injected_seconds: float
    requests: int
    availability: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class CheckedFigure:
    """One figure of both trees.

    Attributes:
        name: ``availability`` or ``p95_ms``.
        title: what people call it.
        unit: ``ratio`` or ``ms``.
        base_median: over the blocks of the base; None without one.
        new_median: likewise of the new tree.
        differences: new − base of each quad: mean of its two blocks of the new tree less mean of those of the base.
        shift: Hodges-Lehmann estimate of the difference; None without a quad.
        interval: its interval, of 95 % for this figure; None when there are too few quads for one.
        margin: how far it may be worse, in the unit.
        judgement: what follows.
    """

    name: str
    title: str
    unit: str
    base_median: float | None
    new_median: float | None
    differences: tuple[float, ...]
    shift: float | None
    interval: Bracket | None
    margin: float
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A whole check.

    Attributes:
        judgement: the worst of the figures'.
        sentence: the outcome in plain words, without the judgement's word.
        base: where the base is.
        fault: the experiment whose fault was injected.
        seed: of the order of the blocks, and of the draws of the faults.
        duration_seconds: what the check took.
        figures: what was compared.
        blocks: what was measured.
        doubt: why nothing of it counts; empty when it does.
        command: the command line that repeats it.
    """

    judgement: Judgement
    sentence: str
    base: str
    fault: str
    seed: int
    duration_seconds: float
    figures: tuple[CheckedFigure, ...]
    blocks: tuple[BlockFigures, ...]
    doubt: str
    command: str
