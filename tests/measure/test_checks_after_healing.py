"""The steady state is judged again after healing: what breaks when a fault goes fails, whatever the limits are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flametest.measure.scenario import ScenarioSpec, measure_scenario
from flametest.model.events import FaultHealed
from flametest.model.result import ScenarioResult
from flametest.model.verdict import Verdict
from tests.measure.conftest import SCENARIO, stamp

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

SPEC = ScenarioSpec(SCENARIO, "A pod is deleted", "Teaches.", "api")


def healed_at(lab: Laboratory, seconds: float, is_bad: Callable[[float], bool]) -> ScenarioResult:
    history = lab.deletion().append(FaultHealed(stamp(seconds), SCENARIO, "terminate_pods", "made again"))
    return measure_scenario(history, lab.samples(is_bad), SPEC)


def verdict(result: ScenarioResult) -> tuple[Verdict, str]:
    (check,) = [one for one in result.checks if one.name == "steady_again"]
    return check.verdict, check.detail


def test_a_system_that_stays_good_after_healing_passes(lab: Laboratory) -> None:
    found, detail = verdict(healed_at(lab, 40, lambda at: False))
    assert found is Verdict.PASSED
    assert detail.startswith("steady 0.0 s after the last healing")


def test_a_system_that_breaks_when_its_fault_goes_has_failed(lab: Laboratory) -> None:
    result = healed_at(lab, 60, lambda at: at > 65)
    told = "after the last healing: more than 1 % of the requests failed: 316 of 316 within 7.9 s"
    assert verdict(result) == (Verdict.FAILED, told)
    assert result.verdict is Verdict.FAILED
    assert result.sentence.endswith(told)


def test_a_record_that_ends_soon_after_healing_leaves_a_doubt(lab: Laboratory) -> None:
    found, detail = verdict(healed_at(lab, 85, lambda at: False))
    assert found is Verdict.INCONCLUSIVE
    assert "are needed to tell" in detail


def test_a_fault_that_heals_by_itself_is_judged_by_its_time_to_steady_state(lab: Laboratory) -> None:
    found, detail = verdict(measure_scenario(lab.deletion(), lab.samples(), SPEC))
    assert found is Verdict.PASSED
    assert detail == "nothing had to be healed; see the time to steady state"
