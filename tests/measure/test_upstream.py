"""What arrives inside: retries that multiply the load are found, and nothing else is taken for them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flametest.measure.samples import Samples
from flametest.measure.scenario import ScenarioSpec, measure_scenario
from flametest.measure.upstream import multiplied_load, upstream_requests
from flametest.model.events import ChangeKind, Event, Phase, PodRequests, RequestsCounted
from flametest.model.history import History, decode, encode
from flametest.model.measures import Upstream
from flametest.model.samples import Lane
from tests.measure.conftest import SCENARIO, stamp

if TYPE_CHECKING:
    from flametest.model.result import ScenarioResult
    from tests.measure.conftest import Laboratory

SECOND_NS = 1_000_000_000
PHASES = (
    (Phase.BASELINE, 0, 30 * SECOND_NS),
    (Phase.FAULT, 30 * SECOND_NS, 50 * SECOND_NS),
    (Phase.RECOVERY, 50 * SECOND_NS, 90 * SECOND_NS),
)


def reading(seconds: float, **counts: int) -> RequestsCounted:
    pods = tuple(PodRequests(pod, pod, pod.partition("_")[0], count) for pod, count in counts.items())
    return RequestsCounted(stamp(seconds), SCENARIO, pods)


def readings(arrived: Callable[[float], float], until: float = 90.0, first: int = 5_000) -> list[RequestsCounted]:
    """Return readings every 2 s of one pod of logic at which ``arrived(moment)`` requests a second arrive."""
    count, found = float(first), []
    for tick in range(int(until / 2) + 1):
        found.append(reading(tick * 2, logic_1=round(count)))
        count += 2 * arrived(tick * 2 + 1)
    return found


def by_phase(lab: Laboratory, counted: Iterable[Event], sent: Samples | None = None) -> dict[Phase, Upstream]:
    existing = [lab.pod(0, "logic_1", change=ChangeKind.LISTED)]
    found = upstream_requests(History([*existing, *counted]), sent if sent is not None else lab.samples(), (), PHASES)
    return {one.phase: one for one in found}


def judged(lab: Laboratory, arrived: Callable[[float], float]) -> ScenarioResult:
    history = History([*lab.deletion(), lab.pod(0, "logic_1", change=ChangeKind.LISTED), *readings(arrived)])
    return measure_scenario(history, lab.samples(), ScenarioSpec("pod-delete-api", "", "", "api"))


def test_an_event_of_counts_is_read_back_as_it_was_written() -> None:
    event = reading(3.5, logic_1=17, api_1=4)
    assert decode(encode(event)) == event


@given(st.integers(1, 200), st.integers(0, 1_000_000))
@settings(deadline=None, max_examples=30)
def test_known_rates_come_out_by_phase(lab: Laboratory, rate: int, first: int) -> None:
    found = by_phase(lab, readings(lambda at: rate * (3 if 30 <= at < 50 else 1), first=first))
    sent_per_second = 60  # the laboratory's prober and load
    for phase, times in ((Phase.BASELINE, 1), (Phase.FAULT, 3), (Phase.RECOVERY, 1)):
        assert found[phase].per_sent == pytest.approx(times * rate / sent_per_second, rel=0.05)


def test_retries_that_multiply_the_load_are_found_with_their_evidence(lab: Laboratory) -> None:
    result = judged(lab, lambda at: 60 if 30 <= at < 34 else 20)
    one = next(one for one in result.findings if one.rule == "multiplied_load")
    assert one.title == "retries multiplied the load on logic"
    assert (
        "counted 0.33 requests for each one that users sent before the fault and 1.00 during the fault" in one.evidence
    )
    assert [(up.app, up.phase) for up in result.upstream] == [("logic", phase) for phase in Phase]


def test_retries_that_go_on_after_the_fault_are_found_too(lab: Laboratory) -> None:
    one = next(one for one in judged(lab, lambda at: 20 if at < 34 else 50).findings if one.rule == "multiplied_load")
    assert "0.80 after it: 2.4 times as many" in one.evidence


def test_a_load_that_users_multiplied_themselves_is_none_of_retries(lab: Laboratory) -> None:
    rows = lab.requests(Lane.LOAD, lambda at: False, until=30.0, interval=0.05)
    rows += lab.requests(Lane.LOAD, lambda at: False, phase=30.0, until=90.0, interval=0.01)
    found = by_phase(lab, readings(lambda at: 20 if at < 30 else 100), Samples.of(rows))
    assert found[Phase.FAULT].requests > 4 * 20 * 20
    assert multiplied_load(found.values()) is None


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=40, derandomize=True)  # so that nothing is left to chance
def test_what_scatters_by_chance_is_no_finding(seed: int) -> None:
    draw = random.Random(seed)

    def count(phase: Phase, sent: int) -> Upstream:
        requests = sum(draw.random() < 0.2 for _ in range(sent))
        return Upstream("logic", phase, sent / 60, requests, sent, requests / sent)

    sent = (draw.randrange(60, 1200), draw.randrange(60, 600), draw.randrange(60, 2400))
    assert multiplied_load([count(phase, number) for phase, number in zip(Phase, sent, strict=True)]) is None


def test_a_replacement_counts_from_nothing_and_a_restarted_program_anew(lab: Laboratory) -> None:
    counted = [
        reading(0, logic_1=900),
        reading(28, logic_1=1000),
        reading(40, logic_1=7, logic_2=30),
        reading(51, logic_1=9, logic_2=35),
    ]
    assert by_phase(lab, counted)[Phase.FAULT].requests == 7 + 30 + 2 + 5


def test_what_came_while_a_pod_could_not_be_read_is_not_taken_for_a_burst(lab: Laboratory) -> None:
    counted = [one for one in readings(lambda at: 20) if not 30 < one.at.monotonic_ns / 1e9 < 60]
    beside = [reading(at, api_1=10) for at in range(31, 60, 2)]
    found = [
        one
        for one in upstream_requests(
            History([lab.pod(0, "logic_1", change=ChangeKind.LISTED), *counted, *beside]), lab.samples(), (), PHASES
        )
        if one.app == "logic"
    ]
    assert multiplied_load(found) is None
    assert found[-1].per_sent is not None
    assert found[-1].per_sent < 20 / 60


def test_a_baseline_with_a_gap_is_no_measure(lab: Laboratory) -> None:
    counted = readings(lambda at: 20)
    gap = [reading(at, api_1=1) if at in (0, 2, 4) else one for at, one in zip(range(0, 92, 2), counted, strict=True)]
    assert Phase.BASELINE not in {
        one.phase
        for one in upstream_requests(
            History([lab.pod(0, "logic_1", change=ChangeKind.LISTED), *gap]), lab.samples(), (), PHASES
        )
        if one.app == "logic"
    }


def test_without_pods_that_count_nothing_is_said(lab: Laboratory) -> None:
    result = measure_scenario(lab.deletion(), lab.samples(), ScenarioSpec("pod-delete-api", "", "", "api"))
    assert result.upstream == ()
    assert not any(one.rule == "multiplied_load" for one in result.findings)
