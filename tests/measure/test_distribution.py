"""Who served: the indices keep their bounds, and rates count a pod by the time it was ready."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flametest.measure.distribution import coefficient_of_variation, distribution, jain_index, max_over_mean
from flametest.measure.figures import figures
from flametest.measure.objectives import Objectives
from flametest.measure.pods import workload_view
from flametest.measure.samples import Samples
from flametest.model.events import Phase
from flametest.model.history import History
from flametest.model.samples import Lane

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

# A pod served nothing, or at least one request within the longest run that anybody would watch.
RATES = st.lists(st.just(0.0) | st.floats(min_value=1e-9, max_value=1e9), min_size=1, max_size=12).filter(
    lambda rates: max(rates) > 0
)
SECOND_NS = 1_000_000_000


@given(RATES)
@settings(deadline=None)
def test_the_indices_keep_their_bounds(rates: list[float]) -> None:
    jain, variation, ratio = jain_index(rates), coefficient_of_variation(rates), max_over_mean(rates)
    assert jain is not None
    assert variation is not None
    assert ratio is not None
    assert 1 / len(rates) - 1e-9 <= jain <= 1 + 1e-9
    assert -1e-9 <= variation <= math.sqrt(len(rates) - 1) + 1e-6
    assert 1 - 1e-9 <= ratio <= len(rates) + 1e-9


@given(RATES, st.randoms(use_true_random=False), st.floats(min_value=0.01, max_value=100))
@settings(deadline=None)
def test_the_indices_know_neither_order_nor_scale(rates: list[float], order: random.Random, scale: float) -> None:
    shuffled = order.sample(rates, len(rates))
    assert jain_index([rate * scale for rate in shuffled]) == pytest.approx(jain_index(rates), rel=1e-6)
    assert max_over_mean([rate * scale for rate in shuffled]) == pytest.approx(max_over_mean(rates), rel=1e-6)


def test_equal_rates_are_perfectly_fair() -> None:
    assert (jain_index([3, 3, 3]), coefficient_of_variation([3, 3, 3]), max_over_mean([3, 3, 3])) == (1, 0, 1)


@pytest.mark.parametrize("rates", [[], [0.0, 0.0]])
def test_without_a_request_there_is_no_index(rates: list[float]) -> None:
    assert (jain_index(rates), coefficient_of_variation(rates), max_over_mean(rates)) == (None, None, None)


def test_a_pod_that_was_ready_for_half_the_time_is_due_half_the_requests(lab: Laboratory) -> None:
    view = workload_view(History([lab.pod(0, "a"), lab.pod(0, "b"), lab.pod(20, "c")]), "api")

    def serving(moment: float) -> tuple[str, ...]:
        return ("api-a", "api-b") if moment < 20 else ("api-a", "api-b", "api-c")

    # While two serve they take a third more each, so that every pod serves 10 requests a second when it is ready.
    early = lab.requests(Lane.FRESH, lambda at: False, until=20, interval=0.05, pods=serving)
    late = lab.requests(Lane.FRESH, lambda at: False, phase=20, until=40, interval=1 / 30, pods=serving)
    whole = (Phase.BASELINE, 0, 40 * SECOND_NS)
    spread = distribution(view, Samples.of(early + late), Lane.FRESH, whole, Objectives())
    assert [share.ready_seconds for share in spread.shares] == [40.0, 40.0, 20.0]
    assert [share.rate for share in spread.shares] == pytest.approx([10, 10, 10], rel=0.01)
    assert spread.max_over_mean == pytest.approx(1.0, abs=0.01)


def test_a_ready_pod_that_serves_nothing_counts(lab: Laboratory) -> None:
    view = workload_view(History([lab.pod(0, "a"), lab.pod(0, "b")]), "api")
    rows = lab.requests(Lane.FRESH, lambda at: False, until=40, pods=lambda at: ("api-a",))
    spread = distribution(view, Samples.of(rows), Lane.FRESH, (Phase.BASELINE, 0, 40 * SECOND_NS), Objectives())
    assert spread.max_over_mean == pytest.approx(2.0)
    assert [(share.pod, share.requests > 0) for share in spread.shares] == [("api-a", True), ("api-b", False)]


def test_before_during_and_after_are_told_apart_for_both_kinds_of_connection(lab: Laboratory) -> None:
    measured = figures(lab.deletion(), lab.samples(), "api", Objectives())
    kinds = [(one.phase, one.connections) for one in measured.distribution]
    assert kinds == [(phase, kind) for phase in Phase for kind in ("fresh", "load")]
    before, after = measured.distribution[0], measured.distribution[4]
    assert [share.pod for share in before.shares] == ["api-a", "api-b", "api-c"]
    assert [share.pod for share in after.shares] == ["api-b", "api-c", "api-d"]
    assert measured.value("max_over_mean") == after.max_over_mean


@pytest.mark.parametrize(("ready_seconds", "is_told"), [(0.0, False), (0.004, False), (0.9, False), (1.0, True)])
def test_a_pod_that_was_ready_for_a_moment_only_has_no_rate(
    lab: Laboratory, ready_seconds: float, is_told: bool
) -> None:
    moments = [lab.pod(0, "a"), lab.pod(0, "b"), lab.pod(ready_seconds, "b", ready=False)]
    view = workload_view(History(moments[:1] + moments[1 if ready_seconds else 2 :]), "api")
    rows = lab.requests(Lane.FRESH, lambda at: False, until=20, pods=lambda at: ("api-a", "api-b")[: 1 + (at < 0.2)])
    spread = distribution(view, Samples.of(rows), Lane.FRESH, (Phase.FAULT, 0, 20 * SECOND_NS), Objectives())
    served = {share.pod: share for share in spread.shares}
    assert served["api-b"].requests > 0
    assert (served["api-b"].rate is not None) is is_told
    assert served["api-b"].note.startswith("too short to tell") is not is_told
    assert served["api-a"].rate == pytest.approx(20, rel=0.02)


def test_a_handful_of_requests_is_not_compared(lab: Laboratory) -> None:
    samples = Samples.of(lab.requests(Lane.FRESH, lambda at: False, until=1))
    figure = figures(History(lab.before()), samples, "api", Objectives()).by_name["max_over_mean"]
    assert figure.value is None
    assert "too few requests" in figure.note


def test_behind_a_proxy_the_pods_that_answered_are_counted(lab: Laboratory) -> None:
    proxies = [lab.pod(0, uid, name=f"nginx-{uid}", app="nginx") for uid in "xy"]
    measured = figures(History([*lab.before(), *proxies]), lab.samples(until=30.0), "nginx", Objectives())
    assert {share.pod for share in measured.distribution[0].shares} == {"api-a", "api-b", "api-c"}
