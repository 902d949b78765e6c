"""Several faults of one scenario: each has its own moment, proof, healing, and what users felt of it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from flametest.measure.apart import healing_of, proves
from flametest.measure.scenario import ScenarioSpec, measure_scenario
from flametest.model.events import Event, FaultHealed, FaultInjected, FaultProved, Target
from flametest.model.history import History, decode, encode
from flametest.model.result import ScenarioResult
from flametest.model.verdict import Verdict
from tests.measure.conftest import SCENARIO, Laboratory, stamp

SLOW, AWAY = Target("Service", "flametest", "logic", "s"), Target("Deployment", "flametest", "redis", "r")


def injected(lab: Laboratory, number: int, name: str, seconds: float, target: Target) -> FaultInjected:
    made = lab.injected(seconds=seconds)
    kind = "edge" if target is SLOW else "dependency_outage"
    return replace(made, fault=kind, targets=(target,), injection=number, name=name)


def proved(number: int, kind: str, seconds: float) -> FaultProved:
    return FaultProved(stamp(seconds), SCENARIO, kind, True, f"seen {number}", number)


def healed(number: int, kind: str, seconds: float) -> FaultHealed:
    return FaultHealed(stamp(seconds), SCENARIO, kind, "led back", number)


@pytest.fixture
def overlapped(lab: Laboratory) -> Callable[..., ScenarioResult]:
    """Measures faults at 30 and 34 s, healed at 42 and 38 s, after changes of the record."""

    def measure(is_bad: Callable[[float], bool], *without: type, several: bool = True) -> ScenarioResult:
        events: list[Event] = [*lab.before(), injected(lab, 1, "slow", 30.0, SLOW), proved(1, "edge", 30.2)]
        if several:
            events += [injected(lab, 2, "away", 34.0, AWAY), proved(2, "dependency_outage", 34.2)]
            events += [healed(2, "dependency_outage", 38.0)]
        events += [healed(1, "edge", 42.0), *lab.ending()]
        kept = History(event for event in events if not isinstance(event, without))
        return measure_scenario(kept, lab.samples(is_bad), ScenarioSpec(SCENARIO, "t", "d", "api"))

    return measure


def test_each_fault_has_its_own_t0_proof_healing_and_outage(overlapped: Callable[..., ScenarioResult]) -> None:
    result = overlapped(lambda moment: 35 <= moment < 37 or 40 <= moment < 41)
    slow, away = result.faults
    assert (slow.name, away.name) == ("slow", "away")
    assert away.injected_seconds - slow.injected_seconds == pytest.approx(4.0)
    assert away.healed_seconds == pytest.approx(8, abs=0.1)
    assert slow.healed_seconds == pytest.approx(12, abs=0.1)
    assert (slow.proved, slow.evidence, away.evidence) == (True, "seen 1", "seen 2")
    assert (slow.together_with, away.together_with) == (("away",), ("slow",))
    assert slow.outage is not None
    assert slow.outage.total is not None
    assert away.outage is not None
    assert away.outage.total is not None
    assert slow.outage.total.low <= 3 <= slow.outage.total.high
    assert away.outage.total.low <= 3 <= away.outage.total.high
    # From its own injection, not from the first.
    assert away.outage.stretches[0].start_seconds == pytest.approx(1.0, abs=0.1)
    assert slow.outage.stretches[0].start_seconds == pytest.approx(5.0, abs=0.1)
    assert "steady" not in {stage.name for stage in (*slow.stages, *away.stages)}


def test_what_came_after_the_next_turn_is_not_felt_of_a_fault_that_was_healed_before(
    overlapped: Callable[..., ScenarioResult],
) -> None:
    slow, away = overlapped(lambda moment: moment >= 43).faults
    assert away.until_seconds == pytest.approx(12, abs=0.1)
    assert away.outage is not None
    assert away.outage.total is None
    assert slow.outage is not None
    assert slow.outage.total is not None


def test_the_scenarios_own_figures_count_from_the_first_fault_whatever_came_later(
    overlapped: Callable[..., ScenarioResult],
) -> None:
    result, alone = (overlapped(lambda moment: 35 <= moment < 37, several=several) for several in (True, False))
    assert alone.faults == ()
    assert result.outage == alone.outage
    assert result.availability == alone.availability
    assert (result.fault, result.fault_uncertainty_seconds) == (alone.fault, alone.fault_uncertainty_seconds)
    assert "disturbing requests to Service logic and taking away Deployment redis" in result.sentence
    assert [mark.label for mark in result.marks if "injected" in mark.label or "healed" in mark.label] == [
        "slow injected",
        "away injected",
        "away healed",
        "slow healed",
    ]


def test_two_faults_need_two_proofs(overlapped: Callable[..., ScenarioResult], lab: Laboratory) -> None:
    first = injected(lab, 1, "one", 30.0, SLOW)
    second = injected(lab, 2, "two", 31.0, SLOW)
    assert proves(proved(1, "edge", 30.2), first)
    assert not proves(proved(1, "edge", 30.2), second)
    history = History([*lab.before(), first, second, proved(1, "edge", 32), *lab.ending()])
    result = measure_scenario(history, lab.samples(), ScenarioSpec(SCENARIO, "t", "d", "api"))
    check = next(one for one in result.checks if one.name == "fault_proven")
    assert (check.verdict, check.detail) == (Verdict.INCONCLUSIVE, "no evidence that two took effect")
    assert [one.proved for one in result.faults] == [True, None]


def test_records_without_names_and_numbers_are_read_and_have_no_healing_of_their_own(lab: Laboratory) -> None:
    elder = encode(injected(lab, 1, "slow", 30.0, SLOW)).replace(',"name":"slow"', "")
    fault = decode(elder)
    assert isinstance(fault, FaultInjected)
    assert fault.name == ""
    healing = decode(encode(healed(0, "edge", 42.0)).replace(',"injection":0', ""))
    assert isinstance(healing, FaultHealed)
    assert healing_of(History([healing]), replace(fault, injection=0)) is None
