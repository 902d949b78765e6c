"""The request cloud and the curves of service level and error budget: nothing is lost, and the sums agree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.measure.density import density
from flametest.measure.figures import Figures, figures
from flametest.measure.levels import budget_used, service_level
from flametest.measure.objectives import Objectives
from flametest.measure.samples import Samples
from flametest.measure.series import series
from flametest.measure.timeline import Demand
from flametest.model.events import LoadStarted, Stamp
from flametest.model.history import History
from flametest.model.samples import Lane, Outcome, Sample

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

MILLISECOND_NS = 1_000_000
OBJECTIVES = Objectives()


def measured(samples: Samples) -> Figures:
    history = History([LoadStarted(Stamp(0, 1_000_000.0), "any", 20, 40.0)])
    return figures(history, samples, "api", OBJECTIVES)


def load(sent_ms: int, latency_us: int, outcome: Outcome) -> Sample:
    sent, done = sent_ms * MILLISECOND_NS, sent_ms * MILLISECOND_NS + latency_us * 1_000
    return Sample(Lane.LOAD, "GET /", sent, sent, done, outcome, 200, "api-a", "")


requests = st.builds(
    load,
    st.integers(min_value=0, max_value=120_000),
    st.integers(min_value=0, max_value=5_000_000),
    st.sampled_from(Outcome),
)


@given(st.lists(requests, min_size=1, max_size=60))
def test_every_request_is_in_one_cell_of_the_cloud(rows: list[Sample]) -> None:
    cloud = density(measured(Samples.of(rows)))
    assert cloud is not None
    good = sum(row.outcome is Outcome.OK for row in rows)
    assert sum(number for _, _, number in cloud.good) == good
    assert sum(number for _, _, number in cloud.bad) == len(rows) - good
    for cells in (cloud.good, cloud.bad):
        assert all(0 <= column < cloud.columns and 0 <= row < cloud.rows for column, row, _ in cells)
        assert list(cells) == sorted(cells)


@given(requests)
def test_a_request_stands_where_its_start_and_latency_are(one: Sample) -> None:
    other = load(60_000, 10_000, Outcome.OK)
    cloud = density(measured(Samples.of([one, other])))
    assert cloud is not None
    latency = max(0.01, (one.done_ns - one.intended_ns) / 1e6)
    step = math.log(cloud.latency_high_ms / cloud.latency_low_ms) / cloud.rows
    column = math.floor(
        ((one.intended_ns - min(one.sent_ns, other.sent_ns, 0)) / 1e9 - cloud.start_seconds) / cloud.bin_seconds
    )
    places = [(math.log(latency / cloud.latency_low_ms) / step, column)]
    cells = cloud.good + cloud.bad if one.outcome is Outcome.OK else cloud.bad
    assert any(abs(row + 0.5 - places[0][0]) <= 0.51 and found == column for found, row, _ in cells)


def test_a_cloud_shares_the_axis_of_the_charts(lab: Laboratory) -> None:
    whole = figures(lab.deletion(), lab.samples(lambda at: 30 < at < 33), "api", OBJECTIVES)
    cloud, lines = density(whole), series(whole, OBJECTIVES)
    assert cloud is not None
    assert lines is not None
    assert (cloud.start_seconds, cloud.bin_seconds) == (lines.start_seconds, lines.bin_seconds)
    assert cloud.columns == len(lines.offered)


def test_without_a_request_there_is_no_cloud() -> None:
    assert density(measured(Samples.of([]))) is None


counts = st.lists(st.tuples(st.integers(0, 500), st.floats(0, 1)), min_size=1, max_size=80)


@given(counts, st.integers(min_value=0, max_value=40))
def test_a_level_is_the_good_share_after_the_injection_and_whole_before_it(
    bins: list[tuple[int, float]], before: int
) -> None:
    offered = np.array([number for number, _ in bins], dtype=np.float64)
    good = np.array([round(number * share) for number, share in bins], dtype=np.int64)
    edges = np.arange(len(bins) + 1, dtype=np.float64) - before
    level = service_level(edges, offered, good)
    assert all(0 <= one <= 1 for one in level)
    assert all(one == 1 for one in level[:before])
    for index in range(before, len(bins)):
        expected = good[index] / offered[index] if offered[index] else 1.0
        assert level[index] == pytest.approx(min(1.0, expected))


@pytest.mark.parametrize("how", ["503", "refused", "hanging"])
def test_the_curves_end_where_the_reported_sums_are(lab: Laboratory, how: str) -> None:
    samples = lab.samples(lambda at: 30.5 < at < 33.5, how=how)
    whole = figures(lab.deletion(), samples, "api", OBJECTIVES)
    lines = series(whole, OBJECTIVES)
    assert lines is not None
    assert whole.availability is not None
    assert lines.budget_used[-1] == pytest.approx(whole.availability.error_budget_used)
    area = sum(1 - level for level in lines.level) * lines.bin_seconds
    assert area == pytest.approx(whole.availability.lost_area_seconds, abs=2 * lines.bin_seconds)
    assert area == pytest.approx(3.0, abs=2 * lines.bin_seconds)


@given(st.lists(requests, min_size=1, max_size=60))
def test_a_budget_is_never_given_back(rows: list[Sample]) -> None:
    samples = Samples.of(rows)
    edges = np.arange(0.0, 130.0, 10.0)
    demand = Demand(samples, 40.0, Lane.LOAD)
    used = budget_used(demand, OBJECTIVES, edges, origin_ns=0, affected_from_ns=0)
    assert list(used) == sorted(used)
    assert used[-1] == pytest.approx(int(samples.bad.sum()) / (0.01 * 40 * 30 * 86_400))


def test_without_an_offered_rate_there_is_no_budget_to_use() -> None:
    demand = Demand(Samples.of([]), 0.0, Lane.LOAD)
    assert budget_used(demand, OBJECTIVES, np.array([0.0, 1.0]), origin_ns=0, affected_from_ns=0) == ()
