"""The figures by name: what live probes read before, during and after a fault, and what the analysis reads later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flametest.measure.figures import CRITERIA, Figures, figures
from flametest.measure.latency import latency_summary, percentile
from flametest.measure.objectives import Objectives
from flametest.measure.samples import Samples
from flametest.model.events import Phase
from flametest.model.history import History
from flametest.model.samples import Lane

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

SECOND_NS = 1_000_000_000


def as_of(lab: Laboratory, history: History, samples: Samples, seconds: float) -> Figures:
    """Return the figures as a live probe would have read them at a moment."""
    moment_ns = round(seconds * SECOND_NS)
    events = History(event for event in history if event.at.monotonic_ns <= moment_ns)
    return figures(events, samples.where(samples.done_ns <= moment_ns), "api", Objectives())


def test_before_a_fault_a_healthy_system_shows_nothing_bad(lab: Laboratory) -> None:
    early = as_of(lab, lab.deletion(), lab.samples(), 20)
    values = {name: early.value(name) for name in ("outage_seconds", "recovery_seconds", "steady_seconds")}
    assert values == {"outage_seconds": 0.0, "recovery_seconds": 0.0, "steady_seconds": 0.0}
    assert early.value("availability") == 1.0
    assert early.value("p95_ms") == pytest.approx(4.1, abs=0.2)
    assert early.stages == ()


def test_before_a_fault_a_sick_system_does_not_pass(lab: Laboratory) -> None:
    early = as_of(lab, lab.deletion(), lab.samples(lambda at: 5 < at < 8), 20)
    assert early.value("outage_seconds") == pytest.approx(3.0, abs=0.1)
    assert early.value("steady_seconds") is None


def test_before_a_fault_a_missing_pod_is_no_recovery(lab: Laboratory) -> None:
    events = [*lab.before(), lab.pod(5, "a", ready=False)]
    assert figures(History(events), lab.samples(until=20.0), "api", Objectives()).value("recovery_seconds") is None


def test_a_live_probe_reads_what_the_analysis_reads_later(lab: Laboratory) -> None:
    history, samples = lab.deletion(), lab.samples(lambda at: 30.1 <= at < 30.6)
    live, later = as_of(lab, history, samples, 80), figures(history, samples, "api", Objectives())
    for name in ("outage_seconds", "recovery_seconds", "steady_seconds"):
        assert live.by_name[name] == later.by_name[name]


def test_every_criterion_has_a_figure_and_another_name_is_refused(lab: Laboratory) -> None:
    measured = figures(lab.deletion(), lab.samples(), "api", Objectives())
    assert list(measured.by_name) == list(CRITERIA)
    with pytest.raises(KeyError, match="expected one of outage_seconds"):
        measured.value("downtime")


def test_an_empty_record_has_no_figure_and_no_error() -> None:
    measured = figures(History(), Samples.of([]), "api", Objectives())
    assert [measured.value(name) for name in CRITERIA] == [None] * len(CRITERIA)


def test_availability_counts_from_the_injection_and_its_area_is_the_seconds_lost(lab: Laboratory) -> None:
    measured = figures(lab.deletion(), lab.samples(lambda at: 33 <= at < 36), "api", Objectives())
    level = measured.availability
    assert level is not None
    assert level.valid == level.good + level.bad
    assert level.bad == 120
    assert level.ratio == pytest.approx(1 - 3 / 60, abs=0.001)
    assert level.lost_area_seconds == pytest.approx(3.0, abs=0.1)
    assert level.error_budget_used == pytest.approx(120 / (0.01 * 40 * 30 * 86_400))


def test_requests_that_were_never_sent_are_lost_too(lab: Laboratory) -> None:
    samples = lab.samples()
    standing = (samples.sent_ns < 40 * SECOND_NS) | (samples.sent_ns >= 44 * SECOND_NS)
    measured = figures(lab.deletion(), samples.where(standing), "api", Objectives())
    assert measured.availability is not None
    assert measured.availability.lost_area_seconds == pytest.approx(4.0, abs=0.1)


def test_without_load_the_prober_is_judged(lab: Laboratory) -> None:
    samples = Samples.of(lab.requests(Lane.FRESH, lambda at: False))
    measured = figures(lab.deletion(), samples, "api", Objectives())
    assert measured.demand.lane is Lane.FRESH
    assert measured.demand.offered_per_second == pytest.approx(20.0)


@given(
    st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=50), st.floats(min_value=0.1, max_value=100)
)
@settings(deadline=None)
def test_a_percentile_is_one_of_the_values_and_enough_do_not_exceed_it(values: list[float], share: float) -> None:
    found = percentile(np.array(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share / 100 * len(values) - 1e-6


def test_latency_counts_from_the_intended_start_of_good_requests(lab: Laboratory) -> None:
    rows = lab.requests(Lane.LOAD, lambda at: at >= 5, until=10)
    delayed = [row._replace(intended_ns=row.intended_ns - 50_000_000) for row in rows]
    summary = latency_summary(Phase.FAULT, Samples.of(delayed))
    assert summary.samples == 100
    assert summary.p50_ms == pytest.approx(54.1, abs=0.01)
    assert summary.max_ms == pytest.approx(54.1, abs=0.01)


@pytest.mark.parametrize("slo", [0.0, 1.0, 99.0])
def test_an_impossible_objective_is_refused(slo: float) -> None:
    with pytest.raises(ValueError, match="objective slo"):
        Objectives(slo=slo)
