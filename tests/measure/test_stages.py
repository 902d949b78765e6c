"""The stages of a recovery: who replaced whom is told by owner and uid, and each step by its first sight."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flametest.measure.figures import Figures, figures
from flametest.measure.objectives import Objectives
from flametest.measure.samples import Samples
from flametest.model.events import ChangeKind, Event
from flametest.model.history import History
from flametest.model.measures import Stage

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory


def measure(events: list[Event], samples: Samples | None = None) -> Figures:
    return figures(History(events), samples or Samples.of([]), "api", Objectives())


def stage(measured: Figures, name: str) -> Stage:
    return next(one for one in measured.stages if one.name == name)


def seconds(measured: Figures) -> dict[str, float | None]:
    return {one.name: one.seconds if one.seconds is None else round(one.seconds, 3) for one in measured.stages}


def test_a_deleted_pod_is_followed_through_every_stage(lab: Laboratory) -> None:
    measured = figures(lab.deletion(), lab.samples(lambda at: 30.1 <= at < 30.6), "api", Objectives())
    found = seconds(measured)
    assert (found["rescheduled"], found["started"], found["ready"], found["routed"]) == (0.04, 1.0, 1.9, 1.95)
    assert found["detected"] == 0.03
    assert stage(measured, "detected").detail == "endpoint taken out"
    assert found["first_success"] == pytest.approx(0.6, abs=0.051)
    assert found["steady"] is not None
    assert stage(measured, "rescheduled").detail == "api-d"
    assert {one.uncertainty_seconds for one in measured.stages} == {0.005}


def test_a_client_may_notice_before_the_endpoints_do(lab: Laboratory) -> None:
    measured = figures(lab.deletion(), lab.samples(lambda at: 29.99 <= at < 30.6), "api", Objectives())
    assert stage(measured, "detected").detail == "first client failure"


def test_a_pod_of_another_owner_is_no_replacement(lab: Laboratory) -> None:
    stranger = lab.pod(30.03, "x", owner_uid="another", ready=False)
    before = seconds(measure([*lab.before(), lab.injected("a"), *lab.replacement()]))
    assert seconds(measure([*lab.before(), lab.injected("a"), stranger, *lab.replacement()])) == before


def test_a_pod_of_the_same_name_is_a_replacement_by_its_uid(lab: Laboratory) -> None:
    events = [
        lab.pod(0, "old", name="redis-0", owner_uid="set"),
        lab.workload(0, 1, desired=1),
        lab.injected("old"),
        lab.pod(30.02, "old", name="redis-0", owner_uid="set", terminating=True),
        lab.pod(30.5, "old", name="redis-0", owner_uid="set", change=ChangeKind.DELETED),
        lab.pod(30.6, "new", name="redis-0", owner_uid="set", ready=False, containers_started=False),
        lab.pod(31.5, "new", name="redis-0", owner_uid="set"),
    ]
    found = seconds(measure(events))
    assert (found["rescheduled"], found["started"], found["ready"]) == (0.6, 1.5, 1.5)


def test_with_two_pods_lost_a_stage_waits_for_the_second(lab: Laboratory) -> None:
    waiting = {"ready": False, "containers_started": False}
    events = [
        *lab.before(),
        lab.injected("a", "b"),
        lab.pod(30.02, "a", terminating=True),
        lab.pod(30.03, "b", terminating=True),
        lab.pod(30.04, "d", **waiting),
        lab.pod(30.3, "e", **waiting),
        lab.pod(31.0, "d"),
        lab.pod(33.0, "e"),
    ]
    found = seconds(measure(events))
    assert (found["rescheduled"], found["started"], found["ready"]) == (0.3, 3.0, 3.0)


def test_a_pod_that_only_restarted_takes_its_own_place(lab: Laboratory) -> None:
    events = [
        *lab.before(),
        lab.injected("a"),
        lab.pod(30.1, "a", ready=False, containers_started=False),
        lab.endpoints(30.15, "bc"),
        lab.pod(30.9, "a", ready=False, restarts=1),
        lab.pod(31.4, "a", restarts=1),
        lab.endpoints(31.5, "abc"),
    ]
    found = seconds(measure(events))
    assert found["rescheduled"] is None
    assert (found["started"], found["ready"], found["routed"]) == (0.9, 1.4, 1.5)


def test_the_ready_count_is_not_back_before_the_loss_was_seen(lab: Laboratory) -> None:
    measured = measure([*lab.before(), lab.injected("a")])
    assert stage(measured, "ready").seconds is None
    assert measured.value("recovery_seconds") is None


def test_a_recovery_without_an_end_is_known_to_exceed_the_watch(lab: Laboratory) -> None:
    events = [*lab.before(), lab.injected("a"), lab.pod(30.02, "a", terminating=True), lab.workload(50, 2)]
    figure = measure(events).by_name["recovery_seconds"]
    assert figure.value is None
    assert figure.above == pytest.approx(20.0)
    assert "2 of 3 pods are ready" in figure.note


def test_a_fault_that_takes_no_pod_has_nothing_to_recover(lab: Laboratory) -> None:
    measured = measure([*lab.before(), lab.injected("x", kind="Service")])
    assert measured.value("recovery_seconds") == 0.0
    assert stage(measured, "ready").detail == "the ready count never fell"


def test_pods_that_go_with_their_node_are_found_without_being_named(lab: Laboratory) -> None:
    measured = measure([*lab.before(), lab.injected("sandbox-1", kind="Node"), *lab.replacement()])
    assert seconds(measured)["ready"] == 1.9
    assert measured.moments is not None
    assert measured.moments.lost == ("api-a",)


@pytest.mark.parametrize("fault", ["cpu_hog", "frozen_process", "full_volume"])
def test_a_pod_in_which_a_fault_acts_and_that_stays_need_not_be_replaced(lab: Laboratory, fault: str) -> None:
    inside = replace(lab.injected("a"), fault=fault)
    measured = measure([*lab.before(), inside, lab.pod(40, "a")])
    assert stage(measured, "ready").detail == "the ready count never fell"
    unready = measure([*lab.before(), inside, lab.pod(31, "a", ready=False), lab.pod(33.5, "a")])
    assert seconds(unready)["ready"] == 3.5
    still = measure([*lab.before(), inside, lab.pod(31, "a", ready=False)])
    assert stage(still, "ready").detail == "the ready count was not back when the watch ended"
