"""Blocks in pairs tell trees apart beside a noisy neighbour; two runs one after the other do not.

The noise is planted: a neighbour that comes and goes for a minute or so slows everything and lets requests fail while
it is there, and the machine drifts. What two trees have of their own is known, so errors can be counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.check.plan import quad_order
from flametest.measure.paired import (
    MARGINS,
    QUADS_MIN,
    compare_blocks,
    signed_rank_interval,
    signed_rank_shift,
    worst_judgement,
)
from flametest.model.check import BlockFigures, Judgement, Side

BLOCK_SECONDS = 9.0  # a fault, five seconds of it, and what it takes to begin and to get whole
QUADS = 8  # what five minutes have room for
REQUESTS = 500
PAIRS = 200


class Neighbour:
    """What a neighbour does to every block at some time: it comes and goes, for 60 s on the average."""

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        self._drift = self._chance.uniform(-0.1, 0.1)  # ms a second
        self._edges = np.cumsum(self._chance.exponential(60.0, 40)) - 60.0
        self._strength = self._chance.uniform(50, 200)

    def block(self, number: int, slower_ms: float, failing: float) -> tuple[float, float]:
        """Return p95 and availability of a block of a tree that is so much slower and fails so much more."""
        seconds = number * BLOCK_SECONDS
        p95_ms = 60 + self._chance.lognormal(3.6, 0.4) + slower_ms + self._drift * seconds
        if np.searchsorted(self._edges, seconds) % 2:
            p95_ms += self._strength * self._chance.uniform(0.7, 1.3)
            failing += self._chance.uniform(0.0, 0.01)
        return p95_ms, 1 - self._chance.binomial(REQUESTS, failing) / REQUESTS


def in_blocks(seed: int, slower_ms: float = 0.0, failing: float = 0.0) -> Judgement:
    """Return the judgement of a check beside a neighbour; only the new tree has what is planted."""
    neighbour = Neighbour(seed)
    blocks = []
    for quad in range(QUADS):
        for place, side in enumerate(quad_order(quad, seed)):
            planted = (slower_ms, failing) if side is Side.NEW else (0.0, 0.0)
            p95_ms, availability = neighbour.block(4 * quad + place, *planted)
            blocks.append(BlockFigures(quad, side, 0.0, REQUESTS, availability, p95_ms))
    return worst_judgement(compare_blocks(blocks))


def one_after_the_other(seed: int) -> bool:
    """Return whether two runs of as many blocks each, of equal trees, differ for the worse beyond the same margins."""
    neighbour = Neighbour(seed)
    base, new = (
        np.mean([neighbour.block(number + 2 * QUADS * run, 0.0, 0.0) for number in range(2 * QUADS)], axis=0)
        for run in range(2)
    )
    return bool(new[0] - base[0] > MARGINS["p95_ms"] or base[1] - new[1] > MARGINS["availability"])


def share(found: Sequence[object], wanted: Callable[[object], bool]) -> float:
    return sum(map(wanted, found)) / len(found)


def is_worse(one: object) -> bool:
    return one is Judgement.WORSE


def test_equal_trees_beside_a_noisy_neighbour_are_called_worse_in_five_percent_at_most() -> None:
    found = [in_blocks(seed) for seed in range(PAIRS)]
    naive = sum(one_after_the_other(seed) for seed in range(PAIRS)) / PAIRS
    print(f"false alarms: {share(found, is_worse):.1%} in blocks, {naive:.1%} one after the other")
    assert share(found, is_worse) <= 0.05
    assert naive >= 0.2


@pytest.mark.parametrize(("slower_ms", "failing"), [(100.0, 0.0), (0.0, 0.01)])
def test_what_is_worse_is_found_in_nine_of_ten(slower_ms: float, failing: float) -> None:
    found = [in_blocks(seed, slower_ms, failing) for seed in range(PAIRS)]
    print(f"power for {slower_ms:g} ms, {failing:.0%}: {share(found, is_worse):.1%}")
    assert share(found, is_worse) >= 0.9


@given(st.lists(st.floats(-1e3, 1e3).map(lambda value: round(value, 3)), min_size=1, max_size=30))
def test_the_interval_holds_the_shift_and_turns_with_the_sign(differences: list[float]) -> None:
    shift, interval = signed_rank_shift(differences), signed_rank_interval(differences)
    assert shift is not None
    assert signed_rank_shift([-value for value in differences]) == pytest.approx(-shift)
    assert (interval is None) == (len(differences) < QUADS_MIN)
    if interval is not None:
        turned = signed_rank_interval([-value for value in differences])
        assert interval.low <= shift <= interval.high
        assert turned is not None
        assert (turned.low, turned.high) == pytest.approx((-interval.high, -interval.low))


@pytest.mark.parametrize("count", [6, 9, 13])
def test_under_equal_trees_the_interval_lies_above_zero_in_one_of_forty_at_most(count: int) -> None:
    """All ways in which the signs can fall, which are equally likely, are counted."""
    sizes = [1.7**rank for rank in range(count)]
    above = 0
    for number in range(2**count):
        signed = [size if number >> place & 1 else -size for place, size in enumerate(sizes)]
        interval = signed_rank_interval(signed)
        above += interval is not None and interval.low > 0
    assert 0 < above / 2**count <= 0.025


def blocks(new_ms: float, new_share: float, quads: int = 8) -> list[BlockFigures]:
    """Return quiet blocks in which only the new tree has these figures, and the base has 80 ms and 100 %."""
    found = []
    for quad in range(quads):
        for side in quad_order(quad, 1):
            p95_ms, available = (new_ms, new_share) if side is Side.NEW else (80.0, 1.0)
            found.append(BlockFigures(quad, side, 0.0, REQUESTS, available, p95_ms + quad % 3))
    return found


@pytest.mark.parametrize(
    ("new_ms", "new_share", "judgement"),
    [
        (80.0, 1.0, Judgement.SAME),
        (95.0, 1.0, Judgement.SAME),  # slower by less than the margin
        (180.0, 1.0, Judgement.WORSE),
        (80.0, 0.99, Judgement.WORSE),
        (20.0, 1.0, Judgement.BETTER),
        (20.0, 0.99, Judgement.WORSE),  # quicker because it fails
    ],
)
def test_the_worst_figure_decides(new_ms: float, new_share: float, judgement: Judgement) -> None:
    assert worst_judgement(compare_blocks(blocks(new_ms, new_share))) is judgement


def test_too_few_quads_tell_nothing_and_what_is_not_whole_is_left_out() -> None:
    few = compare_blocks(blocks(180.0, 1.0, quads=5))
    assert {one.judgement for one in few} == {Judgement.UNTOLD}
    cut_off = compare_blocks(blocks(180.0, 1.0)[:-1])
    assert {len(one.differences) for one in cut_off} == {7}


def test_a_block_without_a_good_answer_has_no_percentile_and_its_quad_none_either() -> None:
    found = blocks(80.0, 1.0)
    found[5] = replace(found[5], availability=0.0, p95_ms=None)
    availability, p95_ms = compare_blocks(found)
    assert (len(availability.differences), len(p95_ms.differences)) == (8, 7)


def test_what_grows_evenly_is_no_difference() -> None:
    grown = [replace(one, p95_ms=80.0 + 5 * number) for number, one in enumerate(blocks(80.0, 1.0))]
    assert compare_blocks(grown)[1].differences == (0.0,) * 8
