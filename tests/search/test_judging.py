"""A trial breaks its promise, keeps it, or proves nothing; what proves nothing is never taken for kept."""

from dataclasses import replace

import pytest

from flametest.model.result import Check, ScenarioResult
from flametest.model.verdict import Bound, Criterion, Limit, Verdict
from flametest.search.evidence import Outcome
from flametest.search.judging import judged
from tests.report.sample_result import failed_result

AVAILABILITY = Limit("availability", Bound.AT_LEAST, 0.9)
OUTAGE = Limit("outage_seconds", Bound.AT_MOST, 4.0)
PROMISE = (AVAILABILITY, OUTAGE)


def figure(limit: Limit, value: float | None) -> Criterion:
    held = value is not None and limit.holds(value)
    known = Verdict.PASSED if held else Verdict.FAILED
    verdict = Verdict.INCONCLUSIVE if value is None else known
    return Criterion(limit.criterion, limit.criterion, "s", value, None, limit, verdict, f"it is {value}")


def scenario(availability: float | None, outage: float | None, *checks: Check) -> ScenarioResult:
    base = failed_result().scenarios[0]
    return replace(base, criteria=(figure(AVAILABILITY, availability), figure(OUTAGE, outage)), checks=checks)


DOUBT = Check("fault_proven", "The fault took effect", Verdict.INCONCLUSIVE, "no evidence")


def test_a_trial_whose_figures_keep_their_limits_holds_and_tells_how_much_was_used_up() -> None:
    found = judged(scenario(0.95, 1.0), PROMISE, deviated=False)

    assert found.saw.outcome is Outcome.HOLDS
    assert found.saw.strain == pytest.approx(0.5)
    assert found.figures == {"availability": 0.95, "outage_seconds": 1.0}


def test_one_missed_limit_breaks_the_promise() -> None:
    found = judged(scenario(0.5, 1.0), PROMISE, deviated=True)

    assert found.saw.outcome is Outcome.BREAKS
    assert found.saw.strain == pytest.approx(5.0)  # by how much
    assert "availability" in found.sentence


@pytest.mark.parametrize("availability", [0.5, 0.95])
def test_a_record_in_doubt_proves_nothing_whatever_its_figures_are(availability: float) -> None:
    found = judged(scenario(availability, 1.0, DOUBT), PROMISE, deviated=availability < 0.9)

    assert found.saw.outcome is Outcome.INCONCLUSIVE
    assert "no evidence" in found.sentence


def test_a_figure_that_was_not_measured_is_not_held() -> None:
    assert judged(scenario(None, 1.0), PROMISE, deviated=False).saw.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("availability", "deviated"), [(0.5, False), (0.95, True)])
def test_a_trial_that_chaos_toolkit_judged_otherwise_proves_nothing(availability: float, deviated: bool) -> None:
    assert judged(scenario(availability, 1.0), PROMISE, deviated=deviated).saw.outcome is Outcome.INCONCLUSIVE


def test_whether_service_is_steady_again_is_no_part_of_the_promise() -> None:
    short = Check("steady_again", "The system was steady again after healing", Verdict.INCONCLUSIVE, "too short")

    found = judged(scenario(0.95, 1.0, short), PROMISE, deviated=False)

    assert found.saw.outcome is Outcome.HOLDS
    assert found.sentence == "availability: it is 0.95; outage_seconds: it is 1.0"


def test_a_promise_of_nothing_lost_is_read_back_when_chaos_toolkit_is_done() -> None:
    promise = (Limit("write_anomalies", Bound.AT_MOST, 0.0),)
    lost = replace(scenario(0.95, 1.0), criteria=(figure(promise[0], 2.0),))

    assert judged(lost, promise, deviated=False).saw.outcome is Outcome.BREAKS
