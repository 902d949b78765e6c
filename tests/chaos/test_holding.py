"""The hold after recovery is as long as the steady state takes to tell at the offered rate, within a bound."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.chaos.holding import HOLD_SECONDS_MAX, SETTLING_SECONDS, hold_for, needed_hold
from flametest.chaos.limits import judges_steady_state
from flametest.chaos.recorder import Recorder, Scenario
from flametest.chaos.settings import Settings
from flametest.measure.objectives import Objectives
from flametest.measure.samples import Samples
from flametest.measure.steady import steady_hold_seconds, steady_state, steady_window_seconds
from flametest.measure.timeline import Demand
from flametest.model.events import Event, LoadStarted, Noted, Stamp
from flametest.model.history import History, encode
from flametest.model.samples import Lane, Outcome, Sample
from tests.chaos.conftest import ChaosRun

OBJECTIVES = Objectives()
RATES = st.floats(min_value=0.1, max_value=5000)


@given(RATES, st.floats(min_value=0, max_value=1000))
def test_a_hold_is_at_least_what_was_asked_for_and_three_windows_within_its_bound(rate: float, asked: float) -> None:
    hold = needed_hold(asked, rate, OBJECTIVES)
    three_windows = 3 * steady_window_seconds(rate, OBJECTIVES)
    assert hold.seconds >= asked
    assert hold.seconds >= min(three_windows, HOLD_SECONDS_MAX)
    assert hold.seconds <= max(asked, HOLD_SECONDS_MAX, 0)
    assert hold.suffices is (hold.seconds >= steady_hold_seconds(rate, OBJECTIVES) + SETTLING_SECONDS)


@pytest.mark.parametrize(("users", "rate_per_user"), [(1, 5.0), (6, 5.0), (20, 5.0), (20, 0.2), (100, 10.0)])
def test_steady_service_is_told_at_any_rate_that_the_hold_suffices_for(users: int, rate_per_user: float) -> None:
    """Also where service is good only some time after the pods are back, and somewhat less than the rate is sent."""
    rate = users * rate_per_user
    hold = needed_hold(15.0, rate, OBJECTIVES)
    assert hold.suffices
    interval_ns = round(1e9 / (rate * 0.97))
    settled_ns = round((SETTLING_SECONDS - 1) * 1e9)
    moments = range(0, round(hold.seconds * 1e9), interval_ns)
    samples = Samples.of(
        Sample(Lane.LOAD, "GET /", at, at, at + 1000, Outcome.OK if at > settled_ns else Outcome.FAILED, 200, "", "")
        for at in moments
    )
    found = steady_state(Demand(samples, rate, Lane.LOAD), OBJECTIVES, t0_ns=0)
    assert found.seconds is not None, found.reason
    assert found.seconds <= SETTLING_SECONDS


class Recording(Recorder):
    """A recorder that never starts, and keeps what is noted."""

    def __init__(self, folder: Path, *, started: LoadStarted | None = None, judges: bool = False) -> None:
        scenario = Scenario("some", "api", "", str(folder / "some.json"), judges_steady_state=judges)
        super().__init__(Settings("", "c", "n", "u", folder, folder, 1), scenario)
        self.noted: list[Event] = []
        (folder / "history.jsonl").write_text("" if started is None else f"{encode(started)}\n")

    def note(self, event: Event) -> None:
        """Keep an event."""
        self.noted.append(event)


def load(rate: float) -> LoadStarted:
    return LoadStarted(Stamp(0, 0.0), "some", 6, rate)


def test_under_a_run_the_rate_of_its_load_decides(tmp_path: Path) -> None:
    assert hold_for(Recording(tmp_path, started=load(30)), 15).seconds == pytest.approx(9 / 0.01 / 0.95 / 30 + 3)
    assert hold_for(Recording(tmp_path, started=load(1000)), 15).seconds == 15


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
    tmp_path: Path, limits: str | None, judges: bool, prolonged: bool
) -> None:
    if limits is not None:
        (tmp_path / "limits.toml").write_text(limits)
    hold = hold_for(Recording(tmp_path, judges=judges), 15)
    assert hold.seconds == (pytest.approx(9 / 0.01 / 0.95 / 20 + 3) if prolonged else 15)


def test_a_rate_that_no_bounded_hold_suffices_for_is_told_with_figures(tmp_path: Path) -> None:
    recorder = Recording(tmp_path, started=load(1))
    assert hold_for(recorder, 15).seconds == HOLD_SECONDS_MAX
    (told,) = recorder.noted
    assert isinstance(told, Noted)
    assert told.message.startswith("1 requests a second take 950 s to tell a steady state")


def test_a_hypothesis_with_a_range_of_its_own_asks_for_the_steady_state() -> None:
    probe = {"provider": {"type": "python", "module": "flametest.chaos.probes", "func": "steady_seconds"}}
    assert judges_steady_state({"steady-state-hypothesis": {"probes": [probe]}})
    assert not judges_steady_state({"steady-state-hypothesis": {"probes": [{"provider": {"type": "http"}}]}})
    assert not judges_steady_state({})


def test_few_requests_prolong_the_hold_of_a_stock_chaos_run_past_its_time_limit(chaos_run: ChaosRun) -> None:
    """Its file asks for 5 s in all; 150 requests a second, as a load generator notes beside it, take 9 s to judge."""
    chaos_run.record.mkdir()
    (chaos_run.record / "history.jsonl").write_text(
        f"{encode(LoadStarted(Stamp(0, 0.0), 'pod-delete-api', 30, 150.0))}\n"
    )
    output = chaos_run.finish()
    assert chaos_run.exit_code == 0, output
    (waited,) = [one["output"] for one in chaos_run.journal["run"] if one["activity"]["name"] == "wait-for-recovery"]
    assert waited["held"]
    assert waited["hold_seconds"] == pytest.approx(9 / 0.01 / 0.95 / 150 + 3, abs=0.01)
    assert json.dumps(waited)
    assert waited["waited_seconds"] >= waited["hold_seconds"]
    assert isinstance(chaos_run.history(), History)
