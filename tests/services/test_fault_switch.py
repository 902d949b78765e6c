"""The decisions of the fault switch, with a clock of the test's own."""

from hypothesis import given
from hypothesis import strategies as st

from servicekit.faults import FaultDecision, Faults, FaultSwitch


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_new_switch_lets_every_request_through() -> None:
    switch = FaultSwitch()
    assert switch.decide() == FaultDecision(delay_seconds=0, fails=False)
    assert not switch.state().active


def test_the_same_seed_draws_the_same_faults() -> None:
    faults = Faults(error_rate=0.5, latency_ms=1, latency_jitter_ms=100, seed=7)
    draws = []
    for _ in range(2):
        switch = FaultSwitch()
        switch.turn_on(faults)
        draws.append([switch.decide() for _ in range(50)])
    assert draws[0] == draws[1]
    assert {decision.fails for decision in draws[0]} == {True, False}


def test_the_switch_goes_off_by_itself_when_its_time_is_over() -> None:
    clock = Clock()
    switch = FaultSwitch(clock)
    switch.turn_on(Faults(error_rate=1, expires_seconds=10))
    clock.now += 9.9
    assert switch.decide().fails
    clock.now += 0.1
    assert not switch.decide().fails
    assert not switch.state().active


@given(
    rate=st.floats(0, 1),
    latency_ms=st.floats(0, 30_000),
    jitter_ms=st.floats(0, 30_000),
    seed=st.integers(0, 2**32),
)
def test_delays_stay_within_latency_and_jitter(rate: float, latency_ms: float, jitter_ms: float, seed: int) -> None:
    switch = FaultSwitch()
    switch.turn_on(Faults(error_rate=rate, latency_ms=latency_ms, latency_jitter_ms=jitter_ms, seed=seed))
    decisions = [switch.decide() for _ in range(20)]
    for decision in decisions:
        assert latency_ms / 1000 <= decision.delay_seconds <= (latency_ms + jitter_ms) / 1000 + 1e-9
    failed = sum(decision.fails for decision in decisions)
    assert failed == switch.state().requests_failed
    if rate in (0, 1):
        assert failed == rate * 20
