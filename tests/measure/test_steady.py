"""Steady state: the fast search finds what a plain reading of the definition finds, and admits when it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flametest.measure.objectives import Objectives
from flametest.measure.samples import Samples
from flametest.measure.steady import is_underloaded, steady_hold_seconds, steady_state, steady_window_seconds
from flametest.measure.timeline import Demand
from flametest.model.measures import SteadyState
from flametest.model.samples import Lane, Outcome, Sample

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

SECOND_NS = 1_000_000_000
LOOSE = Objectives(slo=0.8, p95_ms=100.0, window_seconds_min=1.0)


def measure(rows: list[Sample], offered: float, objectives: Objectives, t0_ns: int) -> SteadyState:
    return steady_state(Demand(Samples.of(rows), offered, Lane.LOAD), objectives, t0_ns=t0_ns)


def plainly(rows: list[Sample], offered: float, objectives: Objectives, t0_ns: int) -> float | None:
    """Return τ by the definition, trying every nanosecond at which a window's content can change."""
    window_ns = round(steady_window_seconds(offered, objectives) * SECOND_NS)
    hold_ns = round(objectives.hold_windows * window_ns)
    end_ns = max(row.sent_ns for row in rows) + 1
    starts = {t0_ns} | {row.sent_ns + 1 for row in rows} | {row.sent_ns - window_ns + 1 for row in rows}
    ordered = sorted(start for start in starts if t0_ns <= start <= end_ns - window_ns)

    def is_good(start_ns: int) -> bool:
        seen = [row for row in rows if start_ns <= row.sent_ns < start_ns + window_ns]
        good = [row for row in seen if row.outcome is Outcome.OK]
        if not good or len(good) < objectives.slo * len(seen):
            return False
        waited = [(row.done_ns - row.intended_ns) / 1e6 for row in good]
        p95_ms = float(np.percentile(waited, 95, method="inverted_cdf"))
        return p95_ms <= objectives.p95_ms and len(seen) >= 0.95 * offered * window_ns / SECOND_NS

    judged = [(start, is_good(start)) for start in ordered]
    for tau, _ in judged:
        windows = [good for start, good in judged if tau <= start <= tau + hold_ns - window_ns]
        if tau <= end_ns - hold_ns and all(windows):
            return (tau - t0_ns) / 1e9
    return None


@given(
    troubles=st.lists(st.tuples(st.integers(0, 199), st.sampled_from(["bad", "slow", "gone"])), max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_the_fast_search_agrees_with_the_plain_definition(lab: Laboratory, troubles: list[tuple[int, str]]) -> None:
    rows: list[Sample] = []
    trouble = dict(troubles)
    for index, row in enumerate(lab.requests(Lane.LOAD, lambda at: False, until=10, interval=0.05)):
        match trouble.get(index):
            case "bad":
                rows.append(row._replace(outcome=Outcome.FAILED))
            case "slow":
                rows.append(row._replace(done_ns=row.done_ns + 200_000_000))
            case None:
                rows.append(row)
    t0_ns = 2 * SECOND_NS
    found = measure(rows, 20.0, LOOSE, t0_ns)
    expected = plainly(rows, 20.0, LOOSE, t0_ns)
    assert found.seconds == (None if expected is None else pytest.approx(expected, abs=1e-9))
    if found.seconds is None:
        assert found.reason


def test_a_window_holds_three_times_the_requests_that_expect_one_failure() -> None:
    objectives = Objectives(slo=0.99)
    window = steady_window_seconds(40.0, objectives)
    assert window * 40.0 * objectives.achieved_ratio_min >= 3 / (1 - 0.99) - 1e-6
    assert steady_hold_seconds(40.0, objectives) == pytest.approx(3 * window)


@given(seconds=st.floats(min_value=0.5, max_value=10.0))
@settings(max_examples=20, deadline=None)
def test_it_is_stamped_where_the_outage_ends(lab: Laboratory, seconds: float) -> None:
    rows = lab.requests(Lane.LOAD, lambda at: 30 <= at < 30 + seconds, interval=0.025)
    steady = measure(rows, 40.0, Objectives(), 30 * SECOND_NS)
    # A window forgives 1 % of its requests, so that it may begin some requests before the end of the outage.
    forgiven = 0.025 * (0.01 * steady.window_seconds * 40 + 2)
    assert steady.seconds == pytest.approx(seconds - forgiven / 2, abs=forgiven / 2 + 0.01)


def test_an_undisturbed_system_is_steady_from_the_start(lab: Laboratory) -> None:
    rows = lab.requests(Lane.LOAD, lambda at: False, interval=0.025)
    assert measure(rows, 40.0, Objectives(), 30 * SECOND_NS).seconds == 0.0


def test_a_relapse_within_the_hold_counts_from_the_relapse(lab: Laboratory) -> None:
    rows = lab.requests(Lane.LOAD, lambda at: 30 <= at < 32 or 45 <= at < 47, interval=0.025)
    steady = measure(rows, 40.0, Objectives(), 30 * SECOND_NS)
    assert steady.seconds == pytest.approx(17.0, abs=0.2)


def test_a_system_that_never_recovers_is_censored_with_its_reason(lab: Laboratory) -> None:
    rows = lab.requests(Lane.LOAD, lambda at: at >= 30 and int(at * 10) % 5 == 0, interval=0.025)
    steady = measure(rows, 40.0, Objectives(), 30 * SECOND_NS)
    assert steady.seconds is None
    assert steady.reason == "more than 1 % of the requests failed: 60 of 316 within 7.9 s"
    assert steady.after_seconds > 45


def test_a_record_that_is_too_short_says_so(lab: Laboratory) -> None:
    rows = lab.requests(Lane.LOAD, lambda at: False, until=35, interval=0.025)
    steady = measure(rows, 40.0, Objectives(), 30 * SECOND_NS)
    assert steady.seconds is None
    assert "needed to tell" in steady.reason


def test_half_the_load_is_not_steady(lab: Laboratory) -> None:
    rows = lab.requests(Lane.LOAD, lambda at: False, interval=0.05)
    steady = measure(rows, 40.0, Objectives(), 30 * SECOND_NS)
    assert is_underloaded(steady)
    assert steady.reason == (
        "less than the offered rate was sent: 158 of 316 requests within 7.9 s; at least 95% are needed"
    )


def test_slow_answers_are_not_steady(lab: Laboratory) -> None:
    rows = lab.requests(Lane.LOAD, lambda at: False, interval=0.025, round_trip=0.4)
    steady = measure(rows, 40.0, Objectives(), 30 * SECOND_NS)
    assert steady.reason == "the 95th percentile of latency was over 250 ms: 400 ms within 7.9 s"
