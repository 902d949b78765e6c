"""The reckoning of another machine's clock: never off by more than it says, whatever the network does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.load.clockname import clock_name
from flametest.load.clocks import DRIFT_RATIO_MAX, ClockEstimate

SECOND_NS = 1_000_000_000
DELAYS = st.tuples(st.integers(0, SECOND_NS), st.integers(0, SECOND_NS))


@given(
    offset_ns=st.integers(-(10**15), 10**15),
    drift=st.floats(-DRIFT_RATIO_MAX, DRIFT_RATIO_MAX),
    delays=st.lists(DELAYS, min_size=1, max_size=20),
)
def test_the_true_offset_lies_within_the_uncertainty_however_slow_each_way_was(
    offset_ns: int, drift: float, delays: list[tuple[int, int]]
) -> None:
    estimate = ClockEstimate(shared=False)
    now_ns = 10**12
    for there_ns, back_ns in delays:
        read_ns = now_ns + there_ns
        estimate.take(now_ns, read_ns - offset_ns - round(drift * (read_ns - 10**12)), read_ns + back_ns)
        now_ns = read_ns + back_ns + SECOND_NS
    found = estimate.at(now_ns)
    truth_ns = offset_ns + round(drift * (now_ns - 10**12))
    # An exchange's own duration is part of what drifts, and so are roundings.
    assert abs(found.offset_ns - truth_ns) <= found.uncertainty_ns + DRIFT_RATIO_MAX * 2 * SECOND_NS + 2


def test_the_quickest_exchange_is_kept_until_drift_has_made_it_worth_less_than_a_slower_one() -> None:
    estimate = ClockEstimate(shared=False)
    estimate.take(0, 500, 1_000)
    estimate.take(10_000, 10_000, 20_000)
    assert estimate.at(20_000).offset_ns == 0
    late_ns = 1_000 * SECOND_NS
    estimate.take(late_ns, late_ns, late_ns + 1_000_000)
    assert estimate.at(late_ns + 1_000_000).offset_ns == 500_000
    assert estimate.at(late_ns + 1_000_000).uncertainty_ns == 500_000


def test_a_shared_clock_is_not_estimated() -> None:
    estimate = ClockEstimate(shared=True)
    estimate.take(0, 7_000, 1_000)
    assert (estimate.at(5_000).offset_ns, estimate.at(5_000).uncertainty_ns) == (0, 0)


def test_nothing_is_said_of_a_clock_that_was_never_read() -> None:
    with pytest.raises(ValueError, match="no exchange"):
        ClockEstimate(shared=False).at(0)


def test_a_clock_has_one_name_for_all_processes_of_a_boot() -> None:
    boot, _, namespace = clock_name().partition(" ")
    assert len(boot) == 36
    assert namespace.startswith("time:[")
