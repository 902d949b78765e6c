"""The user-visible outage: known outages in, the same outages out, with a bracket that covers the truth."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flametest.measure.objectives import Objectives
from flametest.measure.outage import user_visible_outage
from flametest.measure.samples import Samples
from flametest.model.measures import Outage
from flametest.model.samples import Lane, Outcome, Sample

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

SECOND_NS = 1_000_000_000
T0_NS = 5 * SECOND_NS
OBJECTIVES = Objectives()
PHASES = st.floats(min_value=0.0, max_value=0.05)


def measure(rows: list[Sample]) -> Outage:
    outage = user_visible_outage(Samples.of(rows), origin_ns=T0_NS, affected_from_ns=T0_NS, objectives=OBJECTIVES)
    assert outage is not None
    return outage


@pytest.mark.parametrize("how", ["503", "refused", "hanging"])
@settings(max_examples=30, deadline=None)
@given(
    truth=st.tuples(st.floats(min_value=5.1, max_value=6.0), st.floats(min_value=0.06, max_value=6.0)),
    phase=PHASES,
    round_trip=st.floats(min_value=0.0005, max_value=0.03),
)
def test_the_bracket_covers_a_known_outage_and_its_middle_is_near(
    lab: Laboratory, how: str, truth: tuple[float, float], phase: float, round_trip: float
) -> None:
    start, seconds = truth
    rows = lab.requests(
        Lane.FRESH, lambda at: start <= at < start + seconds, until=15, phase=phase, round_trip=round_trip, how=how
    )
    outage = measure(rows)
    assert outage.total is not None
    assert outage.total.low <= seconds <= outage.total.high
    assert abs(outage.total.midpoint - seconds) <= 0.05 + outage.epsilon_seconds
    assert outage.recovered
    assert len(outage.stretches) == 1


@given(phase=PHASES, round_trip=st.floats(min_value=0.0005, max_value=0.9))
@settings(max_examples=20, deadline=None)
def test_a_run_without_a_fault_has_no_outage(lab: Laboratory, phase: float, round_trip: float) -> None:
    outage = measure(lab.requests(Lane.FRESH, lambda at: False, until=15, phase=phase, round_trip=round_trip))
    assert outage.total is None
    assert outage.envelope is None
    assert outage.stretches == ()
    assert outage.recovered
    assert outage.resolution_seconds == pytest.approx(0.05)


@given(seed=st.integers(0, 2**32), share=st.floats(min_value=0.3, max_value=0.9))
@settings(max_examples=20, deadline=None, derandomize=True)  # so that nothing is left to chance
def test_a_brown_out_is_many_stretches_within_one_envelope(lab: Laboratory, seed: int, share: float) -> None:
    chance = random.Random(seed)
    rows = lab.requests(Lane.FRESH, lambda at: 6 <= at < 10 and chance.random() < share, until=15)
    outage = measure(rows)
    assert outage.total is not None
    assert outage.envelope is not None
    assert outage.envelope.low <= 4.0
    assert outage.total.low <= outage.total.high <= outage.envelope.high
    assert outage.total.low <= outage.envelope.low
    assert sum(stretch.bad for stretch in outage.stretches) == sum(row.outcome != Outcome.OK for row in rows)
    bad = [row.sent_ns for row in rows if row.outcome != Outcome.OK]
    assert outage.envelope.low <= (bad[-1] - bad[0]) / 1e9 <= outage.envelope.high


@given(order=st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_the_order_in_which_samples_were_written_does_not_matter(lab: Laboratory, order: random.Random) -> None:
    rows = lab.requests(Lane.FRESH, lambda at: 6 <= at < 7 or 8 <= at < 8.2, until=12, how="hanging")
    shuffled = list(rows)
    order.shuffle(shuffled)
    assert measure(shuffled) == measure(rows)


@given(bad=st.sets(st.integers(105, 190), min_size=1, max_size=40), more=st.integers(105, 190))
@settings(max_examples=50, deadline=None)
def test_one_more_bad_request_never_shortens_the_outage(lab: Laboratory, bad: set[int], more: int) -> None:
    good_rows = lab.requests(Lane.FRESH, lambda at: False, until=10)

    def spoilt(indices: set[int]) -> Outage:
        return measure(
            [row._replace(outcome=Outcome.FAILED) if index in indices else row for index, row in enumerate(good_rows)]
        )

    less, worse = spoilt(bad), spoilt(bad | {more})
    assert less.total is not None
    assert worse.total is not None
    assert less.envelope is not None
    assert worse.envelope is not None
    assert worse.total.low >= less.total.low - 1e-9
    assert worse.envelope.low >= less.envelope.low - 1e-9
    assert worse.envelope.high >= less.envelope.high - 1e-9


def test_a_request_open_at_the_injection_belongs_to_the_outage(lab: Laboratory) -> None:
    rows = lab.requests(Lane.FRESH, lambda at: 4.9 <= at < 6.0, until=10, how="hanging")
    outage = measure(rows)
    assert outage.stretches[0].start_seconds == pytest.approx(-0.1, abs=0.06)


def test_failures_answered_before_the_injection_are_the_baselines_own(lab: Laboratory) -> None:
    assert measure(lab.requests(Lane.FRESH, lambda at: at < 4.9, until=10)).total is None


def test_an_outage_that_does_not_end_is_bounded_from_below_and_marked(lab: Laboratory) -> None:
    outage = measure(lab.requests(Lane.FRESH, lambda at: at >= 6, until=12))
    assert not outage.recovered
    assert not outage.stretches[-1].ended
    assert outage.total is not None
    assert outage.total.low == pytest.approx(5.9, abs=0.1)


def test_only_fresh_connections_are_asked(lab: Laboratory) -> None:
    kept = lab.requests(Lane.KEEPALIVE, lambda at: at > 6, until=12)
    fresh = lab.requests(Lane.FRESH, lambda at: False, until=12)
    assert measure(kept + fresh).total is None


def test_a_prober_that_was_stopped_widens_the_bracket_by_its_lag(lab: Laboratory) -> None:
    rows = lab.requests(Lane.FRESH, lambda at: 6 <= at < 7, until=12)
    late = [
        row._replace(sent_ns=row.sent_ns + 300_000_000, done_ns=row.done_ns + 300_000_000) if index == 180 else row
        for index, row in enumerate(rows)
    ]
    assert measure(late).epsilon_seconds == pytest.approx(measure(rows).epsilon_seconds + 0.3)


def test_without_a_prober_nothing_is_known() -> None:
    empty = Samples.of([])
    assert user_visible_outage(empty, origin_ns=T0_NS, affected_from_ns=T0_NS, objectives=OBJECTIVES) is None
