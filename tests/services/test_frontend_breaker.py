"""The decisions of the circuit breaker, with a clock of the test's own."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from frontend_service.breaker import CircuitBreaker, CircuitState, Ticket

FAILURES_MAX = 3
PAUSE_SECONDS = 5.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def breaker_at(clock: Clock, failures: int) -> CircuitBreaker:
    """Return a breaker that has seen so many failures in a row."""
    breaker = CircuitBreaker(FAILURES_MAX, PAUSE_SECONDS, clock)
    for _ in range(failures):
        breaker.leave(entered(breaker), succeeded=False)
    return breaker


def entered(breaker: CircuitBreaker) -> Ticket:
    """Return the permission for a call that must be given."""
    ticket = breaker.enter()
    assert ticket is not None
    return ticket


def test_it_opens_at_the_limit_of_failures_in_a_row_and_turns_calls_away() -> None:
    assert breaker_at(Clock(), FAILURES_MAX - 1).enter() is not None
    opened = breaker_at(Clock(), FAILURES_MAX)
    assert opened.state == "open"
    assert opened.enter() is None


def test_a_success_between_failures_starts_the_count_anew() -> None:
    breaker = breaker_at(Clock(), FAILURES_MAX - 1)
    breaker.leave(entered(breaker), succeeded=True)
    breaker.leave(entered(breaker), succeeded=False)
    assert breaker.state == "closed"


def test_after_the_pause_one_trial_at_a_time_decides() -> None:
    clock = Clock()
    breaker = breaker_at(clock, FAILURES_MAX)
    clock.now += PAUSE_SECONDS
    trial = entered(breaker)
    assert breaker.enter() is None
    breaker.leave(trial, succeeded=False)
    assert breaker.state == "open"
    clock.now += PAUSE_SECONDS
    breaker.leave(entered(breaker), succeeded=True)
    assert breaker.state == "closed"


def test_a_trial_whose_caller_went_away_makes_room_for_the_next() -> None:
    clock = Clock()
    breaker = breaker_at(clock, FAILURES_MAX)
    clock.now += PAUSE_SECONDS
    breaker.leave(entered(breaker), succeeded=None)
    assert breaker.state == "half-open"
    assert breaker.enter() is not None


def test_calls_from_before_it_opened_say_nothing_about_the_trial() -> None:
    clock = Clock()
    breaker = CircuitBreaker(FAILURES_MAX, PAUSE_SECONDS, clock)
    slow = entered(breaker)
    for _ in range(FAILURES_MAX):
        breaker.leave(entered(breaker), succeeded=False)
    clock.now += PAUSE_SECONDS
    entered(breaker)
    breaker.leave(slow, succeeded=False)
    assert breaker.state == "half-open"
    assert breaker.enter() is None


class AnyUse(RuleBasedStateMachine):
    """Whatever is called and however it ends, the breaker keeps its promises."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = CircuitBreaker(FAILURES_MAX, PAUSE_SECONDS, self.clock)
        self.under_way: list[Ticket] = []
        self.opened_at: float | None = None

    @rule()
    def call(self) -> None:
        state = self.breaker.state
        ticket = self.breaker.enter()
        if state is CircuitState.CLOSED:
            assert ticket is not None
        if state is CircuitState.OPEN:
            assert ticket is None
        if ticket is not None:
            self.under_way.append(ticket)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), succeeded=st.sampled_from([True, False, None]))
    def end(self, data: st.DataObject, succeeded: bool | None) -> None:
        before = self.breaker.state
        index = data.draw(st.integers(0, len(self.under_way) - 1))
        self.breaker.leave(self.under_way.pop(index), succeeded)
        if before is not CircuitState.OPEN and self.breaker.state is CircuitState.OPEN:
            assert succeeded is False
            self.opened_at = self.clock.now
        if before is CircuitState.HALF_OPEN and self.breaker.state is CircuitState.CLOSED:
            assert succeeded

    @rule(seconds=st.floats(0.0, 2 * PAUSE_SECONDS))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def it_is_open_for_the_pause_and_no_longer(self) -> None:
        if self.breaker.state is CircuitState.OPEN:
            assert self.opened_at is not None
            assert self.clock.now < self.opened_at + PAUSE_SECONDS


TestAnyUse = AnyUse.TestCase
