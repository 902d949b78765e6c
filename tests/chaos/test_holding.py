"""A system is observed until the questions of its limits are decided: at least as asked, and within a bound."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.chaos import holding, inquiry
from flametest.chaos.holding import (
    BASELINE_SECONDS_MAX,
    HOLD_SECONDS_MAX,
    hold,
    needed_hold,
    observe_fault,
    observe_health,
    plan,
)
from flametest.chaos.limits import judges_steady_state
from flametest.chaos.record import GrowingRecord, read_record
from flametest.chaos.recorder import Recorder, Scenario
from flametest.chaos.settings import Settings
from flametest.faults.protocol import Proof
from flametest.load.samplefile import SampleFile
from flametest.measure.objectives import Objectives
from flametest.measure.questions import SETTLING_SECONDS
from flametest.measure.samples import Samples
from flametest.measure.steady import steady_hold_seconds, steady_state
from flametest.measure.timeline import Demand
from flametest.model.events import Event, FaultInjected, LoadStarted, Noted, Phase, PhaseObserved, PhaseStarted, Stamp
from flametest.model.history import History, encode
from flametest.model.samples import Lane, Outcome, Sample
from tests.chaos.conftest import ChaosRun

OBJECTIVES = Objectives()
LIMITS = "[default]\nsteady_seconds = 15\navailability = 0.99\n"


@pytest.mark.parametrize(("users", "rate_per_user"), [(1, 5.0), (6, 5.0), (20, 5.0), (20, 0.2), (100, 10.0)])
def test_steady_service_is_told_at_any_rate_within_the_hold_that_it_needs(users: int, rate_per_user: float) -> None:
    """Also where service is good only some time after the pods are back, and somewhat less than the rate is sent."""
    rate = users * rate_per_user
    seconds = needed_hold(rate, OBJECTIVES)
    interval_ns = round(1e9 / (rate * 0.97))
    settled_ns = round((SETTLING_SECONDS - 1) * 1e9)
    moments = range(0, round(seconds * 1e9), interval_ns)
    samples = Samples.of(
        Sample(Lane.LOAD, "GET /", at, at, at + 1000, Outcome.OK if at > settled_ns else Outcome.FAILED, 200, "", "")
        for at in moments
    )
    found = steady_state(Demand(samples, rate, Lane.LOAD), OBJECTIVES, t0_ns=0)
    assert found.seconds is not None, found.reason
    assert found.seconds <= SETTLING_SECONDS


class Clock:
    """A clock that stands still until somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return seconds."""
        return self.now

    def monotonic_ns(self) -> int:
        """Return nanoseconds."""
        return round(self.now * 1e9)

    def time(self) -> float:
        """Return seconds of the day's clock."""
        return self.now


class Recording(Recorder):
    """A recorder that never starts: its load is written while somebody waits, on a clock of its own."""

    def __init__(self, folder: Path, clock: Clock, *, rate: float, started: bool, judges: bool = False) -> None:
        scenario = Scenario("some", "api", "", str(folder / "some.json"), judges_steady_state=judges)
        super().__init__(Settings("", "c", "n", "u", folder, folder, 1), scenario)
        self.noted: list[Event] = []
        self.is_bad: Callable[[float], bool] = lambda moment: False
        self.relapses_at = 1e9
        self._clock = clock
        self._rate = rate
        self._lane = Lane.LOAD if started else Lane.FRESH
        self._sent = clock.now
        self.file = SampleFile(folder / "samples-some.csv")
        self._events = (folder / "history.jsonl").open("w")
        if started:
            self.note(LoadStarted(self.stamp(), "some", 6, rate))

    def stamp(self) -> Stamp:
        """Return the present."""
        return Stamp(self._clock.monotonic_ns(), self._clock.now)

    def note(self, event: Event) -> None:
        """Keep an event."""
        self.noted.append(event)
        self._events.write(f"{encode(event)}\n")
        self._events.flush()

    def inject(self) -> None:
        """Note an injection now."""
        at = self._clock.monotonic_ns()
        self.note(FaultInjected(self.stamp(), "some", "nothing", at, at, ()))
        self.note(PhaseStarted(self.stamp(), "some", Phase.RECOVERY))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._pass(seconds)

    def wait_relapsed(self, seconds: float) -> bool:
        """Let time pass until the relapse."""
        self._pass(min(seconds, max(0.0, self.relapses_at - self._clock.now)))
        return self._clock.now >= self.relapses_at

    def observed(self) -> PhaseObserved:
        """Return the one account of an observation."""
        (found,) = (one for one in self.noted if isinstance(one, PhaseObserved))
        return found

    def close(self) -> None:
        """Close its files."""
        self.file.close()
        self._events.close()

    def _pass(self, seconds: float) -> None:
        self._clock.now += seconds
        while self._sent < self._clock.now:
            at = round(self._sent * 1e9)
            outcome = Outcome.FAILED if self.is_bad(self._sent) else Outcome.OK
            self.file.append(Sample(self._lane, "GET /", at, at, at + 4_000_000, outcome, 200, "", ""))
            self._sent += 1 / self._rate
        self.file.flush()


Recordings = Callable[..., Recording]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (holding, inquiry):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def recording(tmp_path: Path, clock: Clock) -> Iterator[Recordings]:
    made: list[Recording] = []

    def make(
        limits: str | None = LIMITS, *, rate: float = 100, started: bool = True, judges: bool = False
    ) -> Recording:
        if limits is not None:
            (tmp_path / "limits.toml").write_text(limits)
        made.append(Recording(tmp_path, clock, rate=rate, started=started, judges=judges))
        made[-1].note(PhaseStarted(made[-1].stamp(), "some", Phase.BASELINE))
        return made[-1]

    yield make
    for one in made:
        one.close()


def held(recorder: Recording, least: float = 1.0, left: float = 1e6) -> tuple[bool, bool, float]:
    """Inject after ten seconds, and hold at once; return whether it relapsed, was watched for long enough, how long."""
    recorder.wait(10)
    recorder.inject()
    found = hold(recorder, plan(recorder, least), left)
    return found.relapsed, found.whole, found.seconds


@pytest.mark.parametrize("rate", [5.0, 30.0, 100.0, 400.0])
def test_a_hold_ends_when_all_is_decided(recording: Recordings, rate: float) -> None:
    recorder = recording(rate=rate)
    relapsed, whole, seconds = held(recorder)
    assert (relapsed, whole) == (False, True)
    assert steady_hold_seconds(rate, OBJECTIVES) <= seconds <= needed_hold(rate, OBJECTIVES)
    assert recorder.observed().decided == ("steady_seconds", "availability")
    assert recorder.observed().undecided == ()


def test_a_hold_lasts_as_long_as_it_is_asked_to_at_least(recording: Recordings) -> None:
    assert held(recording(), least=40) == (False, True, 40)


def test_a_hold_is_bounded_by_what_is_planned_where_nothing_is_decided(recording: Recordings) -> None:
    recorder = recording("[default]\navailability = 0.99\nsteady_seconds = 15\n")
    recorder.is_bad = lambda moment: round(moment * 100) % 120 == 0  # fewer than are allowed, but not clearly so
    _, whole, seconds = held(recorder, least=3)
    assert whole
    assert seconds == pytest.approx(needed_hold(100, OBJECTIVES), abs=0.51)  # as often as it looks
    assert recorder.observed().undecided == ("availability",)
    assert recorder.observed().decided == ("steady_seconds",)


def test_a_hold_does_not_wait_for_what_it_cannot_decide(recording: Recordings) -> None:
    recorder = recording("[default]\navailability = 0.9999\nsteady_seconds = 15\n")
    _, whole, seconds = held(recorder, least=3)
    assert whole
    assert steady_hold_seconds(100, OBJECTIVES) <= seconds < needed_hold(100, OBJECTIVES) - 1
    assert recorder.observed().undecided == ("availability",)
    assert recorder.observed().decided == ("steady_seconds",)


def test_a_system_that_is_steady_late_is_watched_until_that_is_told(recording: Recordings, clock: Clock) -> None:
    recorder = recording()
    begin = clock.now + 10
    recorder.is_bad = lambda moment: begin + 8 <= moment < begin + 9
    _, whole, seconds = held(recorder)
    assert whole
    assert 9 + steady_hold_seconds(100, OBJECTIVES) <= seconds < 9 + steady_hold_seconds(100, OBJECTIVES) + 2
    assert recorder.observed().undecided == ()


def test_a_system_that_stays_bad_is_not_watched_for_ever(recording: Recordings, clock: Clock) -> None:
    recorder = recording()
    begin = clock.now + 10
    recorder.is_bad = lambda moment: moment > begin and moment % 1 < 0.1
    _, whole, seconds = held(recorder)
    assert whole
    assert 15 <= seconds <= 15 + needed_hold(100, OBJECTIVES)
    assert set(recorder.observed().decided) == {"steady_seconds", "availability"}


def test_a_hold_ends_with_a_relapse_and_with_the_time_that_is_left(recording: Recordings, clock: Clock) -> None:
    recorder = recording()
    recorder.relapses_at = clock.now + 13
    assert held(recorder) == (True, False, 3)
    recorder.relapses_at = 1e9
    recorder.noted.clear()
    assert held(recorder, left=5) == (False, False, 5)


def test_a_rate_that_no_bounded_hold_suffices_for_is_told_with_figures(recording: Recordings) -> None:
    recorder = recording(rate=0.5)
    recorder.wait(10)
    assert plan(recorder, 15).planned_seconds == HOLD_SECONDS_MAX
    (told,) = (one for one in recorder.noted if isinstance(one, Noted))
    assert "takes 1898 s to establish a steady state" in told.message


@pytest.mark.parametrize(
    ("limits", "judges", "prolonged"),
    [
        ("[default]\nsteady_seconds = 15\n", False, True),
        ("[default]\nsteady_seconds = 15\n[some]\nsteady_seconds = false\n", False, False),
        ("[default]\noutage_seconds = 1\n", False, False),
        (None, False, False),
        (None, True, True),
    ],
)
def test_alone_the_probers_rate_decides_where_steady_state_is_judged(
    recording: Recordings, limits: str | None, judges: bool, prolonged: bool
) -> None:
    recorder = recording(limits, rate=20, started=False, judges=judges)
    _, whole, seconds = held(recorder, least=15)
    assert whole
    assert (steady_hold_seconds(20, OBJECTIVES) <= seconds <= 51) if prolonged else seconds == 15


def test_a_hold_that_is_not_prolonged_lasts_as_long_as_it_is_asked_to(recording: Recordings) -> None:
    recorder = recording()
    recorder.wait(10)
    recorder.inject()
    found = hold(recorder, plan(recorder, 1.0, is_prolonged=False), 1e6)
    assert (found.relapsed, found.whole, found.seconds) == (False, True, 1.0)


@pytest.mark.parametrize(("is_bad", "seconds"), [(True, 3.0), (False, 8.0)])
def test_a_fault_ends_when_a_limit_is_missed_for_good_and_else_as_planned(
    recording: Recordings, clock: Clock, is_bad: bool, seconds: float
) -> None:
    recorder = recording("[default]\noutage_seconds = 2\n", rate=20, started=False)
    recorder.wait(10)
    recorder.inject()
    begin = clock.now
    recorder.is_bad = lambda moment: is_bad and moment >= begin
    assert observe_fault(recorder, 8, until_missed=True) == (("outage_seconds",) if is_bad else ())
    assert clock.now - begin == pytest.approx(seconds, abs=0.6)


@pytest.mark.parametrize("until_missed", [True, False])
@pytest.mark.parametrize(("proved_after", "lasted"), [(3.0, 3.0), (13.0, 13.0), (3.0, 0.0)])
def test_how_long_a_fault_lasts_does_not_depend_on_how_long_its_proof_took(
    recording: Recordings, clock: Clock, until_missed: bool, proved_after: float, lasted: float
) -> None:
    """Unless it took effect only then, such as a node that was found to be lost."""
    recorder = recording("[default]\navailability = 0.85\n", rate=20, started=False)
    recorder.wait(10)
    recorder.inject()
    recorder.wait(proved_after)
    recorder.note_proof(1, "nothing", Proof(True, "seen", lasted_seconds=lasted))
    begin = clock.now
    observe_fault(recorder, 8, until_missed=until_missed)
    assert clock.now - begin == pytest.approx(max(0.0, 8 - lasted), abs=0.6)
    begin = clock.now
    observe_fault(recorder, 4, until_missed=until_missed)  # the proof's time counts once
    assert clock.now - begin == pytest.approx(4, abs=0.6)


@pytest.mark.parametrize(
    ("bad_of_ten", "missed", "seconds"),
    [(0, False, 4.0), (1, False, 4.0), (2, False, 20.0), (4, True, 10.2), (10, True, 3.5)],
)
def test_a_fault_that_is_about_to_miss_a_share_lasts_until_that_is_for_good_or_five_times_as_long(
    recording: Recordings, clock: Clock, bad_of_ten: int, missed: bool, seconds: float
) -> None:
    recorder = recording("[default]\navailability = 0.85\n", rate=20, started=False)
    recorder.wait(10)
    recorder.inject()
    recorder.wait(6)  # the first of two faults, which is not felt alone
    begin = clock.now
    recorder.is_bad = lambda moment: moment >= begin and round((moment - begin) * 20) % 10 < bad_of_ten
    assert observe_fault(recorder, 4, until_missed=True) == (("availability",) if missed else ())
    assert clock.now - begin == pytest.approx(seconds, abs=0.6)


@pytest.mark.parametrize(("rate", "seconds"), [(100, 3.0), (40, 6.0), (10, 21.0), (2, BASELINE_SECONDS_MAX)])
def test_a_baseline_ends_when_the_system_is_known_to_be_healthy(
    recording: Recordings, clock: Clock, rate: float, seconds: float
) -> None:
    recorder, begin = recording(rate=rate), clock.now
    observe_health(recorder, 3.0)
    assert clock.now - begin == pytest.approx(seconds, abs=0.6)
    assert bool(recorder.observed().undecided) is (rate < 6)


def test_a_baseline_of_which_nothing_is_asked_lasts_as_long_as_its_file_says(
    recording: Recordings, clock: Clock
) -> None:
    recorder, begin = recording(started=False), clock.now
    observe_health(recorder, 7)
    assert clock.now - begin == 7
    assert not any(isinstance(one, PhaseObserved) for one in recorder.noted)


@contextmanager
def written(folder: Path) -> Iterator[SampleFile]:
    with SampleFile(folder / "samples-some.csv") as file:
        yield file


@given(st.lists(st.lists(st.sampled_from(["", "a\nb", 'q"', "é"]), max_size=3), max_size=4))
def test_a_growing_record_is_read_as_the_whole_one_is(
    tmp_path_factory: pytest.TempPathFactory, flushes: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("record")
    (folder / "history.jsonl").write_text("")
    growing, at = GrowingRecord(folder), 0
    with written(folder) as file:
        for errors in flushes:
            for error in errors:
                at += 1
                file.append(Sample(Lane.LOAD, "GET /", at, at, at + 1, Outcome.FAILED, 0, "", error))
            file.flush()
            with (folder / "history.jsonl").open("a") as history:
                history.write(f"{encode(Noted(Stamp(at, 0.0), 'some', 'x'))}\n")
            read, whole = growing.read(), read_record(folder)
            assert read[0] == whole[0]
            assert [read[1].row(index) for index in range(at)] == [whole[1].row(index) for index in range(at)]


def test_a_hypothesis_with_a_range_of_its_own_asks_for_the_steady_state() -> None:
    probe = {"provider": {"type": "python", "module": "flametest.chaos.probes", "func": "steady_seconds"}}
    assert judges_steady_state({"steady-state-hypothesis": {"probes": [probe]}})
    assert not judges_steady_state({"steady-state-hypothesis": {"probes": [{"provider": {"type": "http"}}]}})
    assert not judges_steady_state({})


def test_few_requests_prolong_the_hold_of_a_stock_chaos_run_past_its_time_limit(chaos_run: ChaosRun) -> None:
    """Its file asks for 5 s in all; of the prober's 20 requests a second, 125 tell a percentile."""
    chaos_run.limits = {"p95_ms": 900.0}
    output = chaos_run.finish()
    assert chaos_run.exit_code == 0, output
    (waited,) = [one["output"] for one in chaos_run.journal["run"] if one["activity"]["name"] == "wait-for-recovery"]
    assert waited["held"]
    assert json.dumps(waited)
    (observed,) = chaos_run.history().of(PhaseObserved)  # nothing was asked of the baseline
    assert (observed.phase, observed.decided, observed.undecided) == (Phase.RECOVERY, ("p95_ms",), ())
    assert observed.seconds >= 125 / 20
    assert waited["hold_seconds"] == pytest.approx(observed.seconds, abs=0.1)
    assert isinstance(chaos_run.history(), History)
