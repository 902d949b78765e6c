"""The open-loop schedule."""

from hypothesis import given
from hypothesis import strategies as st

from flametest.load.schedule import Schedule

INTERVAL_NS = 50_000_000


@given(delays_ns=st.lists(st.integers(0, 10 * INTERVAL_NS), max_size=50))
def test_starts_stay_on_the_grid_and_every_one_is_taken_or_counted_as_dropped(delays_ns: list[int]) -> None:
    schedule = Schedule(1_000, INTERVAL_NS)
    now_ns, dropped = 1_000, 0
    for taken, delay_ns in enumerate(delays_ns):
        now_ns += round(schedule.seconds_to_next(now_ns) * 1e9) + delay_ns
        slot = schedule.take(now_ns)
        assert (slot.intended_ns - 1_000) == (taken + dropped) * INTERVAL_NS
        assert now_ns - slot.intended_ns >= 0
        dropped += slot.dropped


def test_after_a_stall_the_oldest_start_is_taken_late_and_the_others_are_dropped() -> None:
    schedule = Schedule(0, INTERVAL_NS)
    slot = schedule.take(300_000_000)
    assert (slot.intended_ns, slot.dropped) == (0, 6)
    assert schedule.seconds_to_next(300_000_000) == 0.05


def test_a_punctual_user_drops_nothing() -> None:
    schedule = Schedule(0, INTERVAL_NS)
    assert [schedule.take(number * INTERVAL_NS + 1_000_000).dropped for number in range(20)] == [0] * 20
