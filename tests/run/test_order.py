"""The order of scenarios side by side, against all that there are."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from flametest.run.order import soonest

LENGTHS = st.lists(st.floats(0.1, 100), max_size=6)


def end(seconds: list[float], systems: int) -> float:
    free = [0.0] * systems
    for each in seconds:
        free[free.index(min(free))] += each
    return max(free)


@given(LENGTHS, st.integers(1, 3))
def test_no_order_of_a_few_is_done_sooner(seconds: list[float], systems: int) -> None:
    found = soonest(seconds, systems)
    assert sorted(found) == list(range(len(seconds)))
    ends = [end([seconds[one] for one in order], systems) for order in permutations(range(len(seconds)))]
    assert end([seconds[one] for one in found], systems) <= min(ends) + 1e-9


def test_two_long_ones_share_a_system_where_that_is_sooner() -> None:
    """The core suite on two systems: 57 s, where the longest first would take 60 s."""
    seconds = [17.6, 16.7, 15.5, 29.0, 28.1]
    assert end([seconds[one] for one in soonest(seconds, 2)], 2) < 57.2


def test_many_are_taken_longest_first() -> None:
    assert soonest([1.0, 9.0, 5.0, 2.0, 8.0, 3.0, 7.0, 4.0], 2) == [1, 4, 6, 2, 7, 5, 3, 0]
