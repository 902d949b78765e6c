"""Whose a pod is, its owners tell: labels may be shared, foreign or missing, and no figure rests on them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flametest.measure.distribution import distribution
from flametest.measure.figures import Figures, figures
from flametest.measure.objectives import Objectives
from flametest.measure.owners import Owners
from flametest.measure.pods import workload_view
from flametest.measure.samples import Samples
from flametest.measure.scenario import ScenarioSpec, measure_scenario
from flametest.measure.upstream import upstream_requests
from flametest.model.events import (
    ChangeKind,
    Event,
    FaultHealed,
    FaultInjected,
    FaultProved,
    OwnerObserved,
    Phase,
    PodObserved,
    PodRequests,
    RequestsCounted,
    Target,
    WorkloadObserved,
)
from flametest.model.history import History
from flametest.model.samples import Lane
from flametest.model.verdict import Verdict
from tests.measure.conftest import SCENARIO, SECOND_NS, stamp

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

GONE = {"change": ChangeKind.DELETED, "ready": False}


def workload(seconds: float, name: str, desired: int, kind: str = "Deployment", uid: str = "") -> WorkloadObserved:
    counts = (desired,) * 5
    return WorkloadObserved(stamp(seconds), SCENARIO, ChangeKind.MODIFIED, kind, name, "", uid or name, *counts)


def owner(name: str, deployment: str) -> OwnerObserved:
    return OwnerObserved(stamp(0), SCENARIO, ChangeKind.LISTED, "ReplicaSet", name, name, deployment)


def pod(lab: Laboratory, seconds: float, uid: str, owner_uid: str, **changes: object) -> PodObserved:
    kind = "ReplicaSet" if owner_uid else "Pod"
    return lab.pod(seconds, uid, **({"app": "shop", "owner_uid": owner_uid, "owner_kind": kind} | changes))


def two_shops(lab: Laboratory) -> list[Event]:
    """Return two Deployments of two pods each, all with one label, until the fault."""
    return [
        *(workload(0, name, 2) for name in ("shop", "shop-worker")),
        *(owner(f"{name}-rs", name) for name in ("shop", "shop-worker")),
        *(pod(lab, 0, uid, "shop-rs") for uid in "ab"),
        *(pod(lab, 0, uid, "shop-worker-rs") for uid in "vw"),
    ]


def deleted(lab: Laboratory, lost: str, heir: str, owner_uid: str, ready_seconds: float) -> list[Event]:
    """Return a pod deleted at t0 and replaced by another one."""
    return [
        lab.injected(lost),
        pod(lab, 30.01, lost, owner_uid, terminating=True),
        pod(lab, 30.02, heir, owner_uid, ready=False, containers_started=False),
        pod(lab, ready_seconds, heir, owner_uid),
        pod(lab, 31.0, lost, owner_uid, terminating=True, **GONE),
    ]


def measured(lab: Laboratory, events: list[Event], name: str = "shop") -> Figures:
    return figures(History([*events, workload(90, name, 2)]), lab.samples(), name, Objectives())


def test_recovery_is_that_of_the_workloads_own_pods_though_another_one_shares_their_label(lab: Laboratory) -> None:
    found = measured(lab, [*two_shops(lab), *deleted(lab, "a", "c", "shop-rs", 38)])
    assert found.value("recovery_seconds") == pytest.approx(8)
    assert found.view.ready.values == (2, 1, 2)
    result = measure_scenario(
        History([*two_shops(lab), *deleted(lab, "a", "c", "shop-rs", 38)]),
        lab.samples(),
        ScenarioSpec(SCENARIO, "", "", "shop"),
    )
    assert "deleting 1 of 2 shop pods" in result.sentence
    assert result.series is not None
    assert {life.name: life.app for life in result.series.pods} == {
        "api-a": "shop",
        "api-b": "shop",
        "api-c": "shop",
    }


def test_a_fault_on_another_workloads_pod_is_told_and_judged_as_such(lab: Laboratory) -> None:
    events = [*two_shops(lab), *deleted(lab, "v", "x", "shop-worker-rs", 36)]
    result = measure_scenario(History(events), lab.samples(), ScenarioSpec(SCENARIO, "", "", "shop"))
    assert "deleting 1 pod of shop-worker" in result.sentence
    assert measured(lab, events).value("recovery_seconds") == pytest.approx(6)


def test_pods_of_several_workloads_are_counted_each_by_its_own(lab: Laboratory) -> None:
    both = [*deleted(lab, "a", "c", "shop-rs", 33), *deleted(lab, "v", "x", "shop-worker-rs", 36)]
    result = measure_scenario(History([*two_shops(lab), *both]), lab.samples(), ScenarioSpec(SCENARIO, "", "", "shop"))
    assert "deleting 1 of 2 shop pods and 1 pod of shop-worker" in result.sentence


@pytest.mark.parametrize(
    ("owner_uid", "owner_kind", "workload_kind"),
    [("db", "StatefulSet", "StatefulSet"), ("db", "DaemonSet", "DaemonSet"), ("db-rs", "ReplicaSet", "Deployment")],
)
def test_a_workload_without_any_known_label_is_judged(
    lab: Laboratory, owner_uid: str, owner_kind: str, workload_kind: str
) -> None:
    bare = {"app": "", "owner_kind": owner_kind}
    events = [
        workload(0, "db", 1, workload_kind),
        owner("db-rs", "db"),
        pod(lab, 0, "a", owner_uid, **bare),
        lab.injected("a"),
        pod(lab, 30.01, "a", owner_uid, terminating=True, **bare),
        pod(lab, 30.02, "c", owner_uid, ready=False, **bare),
        pod(lab, 34, "c", owner_uid, **bare),
    ]
    found = measured(lab, [*events, workload(89, "db", 1, workload_kind)], "db")
    assert [track.name for track in found.view.own()] == ["api-a", "api-c"]
    assert found.moments is not None
    assert found.moments.replacements == ("api-c",)
    assert found.view.ready.values == (1, 0, 1)


def test_the_pods_of_a_job_with_the_workloads_label_are_not_its_own(lab: Laboratory) -> None:
    job = pod(lab, 0, "j", "job", owner_kind="Job")
    lone = pod(lab, 0, "l", "")
    view = workload_view(History([*two_shops(lab), job, lone]), "shop")
    assert {track.uid for track in view.own()} == {"a", "b"}


def test_a_replacement_of_another_revision_is_one_all_the_same(lab: Laboratory) -> None:
    newer = [owner("shop-rs-2", "shop"), *deleted(lab, "a", "b", "shop-rs", 0)[:2]]
    heir = [pod(lab, 30.02, "n", "shop-rs-2", ready=False), pod(lab, 33, "n", "shop-rs-2")]
    found = measured(lab, [*two_shops(lab), *newer, *heir])
    assert found.moments is not None
    assert found.moments.replacements == ("api-n",)
    assert found.value("recovery_seconds") == pytest.approx(3)


def test_a_pod_that_was_adopted_later_counts_from_then_on(lab: Laboratory) -> None:
    early, late = pod(lab, 0, "z", ""), pod(lab, 10, "z", "shop-rs")
    view = workload_view(History([*two_shops(lab), early, late]), "shop")
    assert (view.ready.at(5 * SECOND_NS), view.ready.at(11 * SECOND_NS)) == (2, 3)


def test_owners_that_own_each_other_end_somewhere(lab: Laboratory) -> None:
    owners = Owners([owner("x", "y"), owner("y", "x")])
    assert owners.workload_uid(pod(lab, 0, "a", "x")) in ("x", "y")


def test_a_workload_that_was_made_again_is_still_itself(lab: Laboratory) -> None:
    gone = replace(workload(10, "shop", 2), change=ChangeKind.DELETED)
    again = [workload(11, "shop", 2, uid="shop-2"), owner("rs-2", "shop-2"), pod(lab, 12, "n", "rs-2")]
    view = workload_view(History([*two_shops(lab), gone, *again]), "shop")
    assert {track.uid for track in view.own()} == {"a", "b", "n"}
    assert [view.desired.at(moment * SECOND_NS) for moment in (5, 10, 11)] == [2, 0, 2]


def test_requests_are_counted_for_the_pods_of_the_workload_only(lab: Laboratory) -> None:
    view = workload_view(History(two_shops(lab)), "shop")
    rows = lab.requests(Lane.FRESH, lambda at: False, until=40, pods=lambda at: ("api-a", "api-b", "api-v", "api-w"))
    whole = (Phase.BASELINE, 0, 40 * SECOND_NS)
    spread = distribution(view, Samples.of(rows), Lane.FRESH, whole, Objectives())
    assert [share.pod for share in spread.shares] == ["api-a", "api-b"]


def test_answers_that_name_a_hostname_are_those_of_the_pod_that_has_it(lab: Laboratory) -> None:
    long = "shop-" + "x" * 70
    named = [
        pod(lab, 0, "n", "shop-rs", hostname="node-1"),
        pod(lab, 0, "l", "shop-rs", name=long),
        *(pod(lab, 0, uid, "shop-worker-rs", hostname="shared") for uid in "yz"),
    ]
    view = workload_view(History([*two_shops(lab), *named]), "shop")
    answers = ("node-1", long[:63], "api-v, api-a", "shared")
    rows = lab.requests(Lane.FRESH, lambda at: False, until=40, pods=lambda at: answers)
    spread = distribution(view, Samples.of(rows), Lane.FRESH, (Phase.BASELINE, 0, 40 * SECOND_NS), Objectives())
    assert {share.pod: share.requests for share in spread.shares} == {
        "api-a": 200,
        "api-b": 0,
        "api-n": 200,
        long: 200,
    }


def test_behind_a_proxy_the_workload_that_answered_most_is_counted_and_not_its_namesake(lab: Laboratory) -> None:
    events = [*two_shops(lab), workload(0, "entry", 1), owner("entry-rs", "entry"), pod(lab, 0, "e", "entry-rs")]
    view = workload_view(History(events), "entry")
    rows = lab.requests(Lane.FRESH, lambda at: False, until=40, pods=lambda at: ("api-v", "api-w", "api-v", "api-a"))
    whole = (Phase.BASELINE, 0, 40 * SECOND_NS)
    spread = distribution(view, Samples.of(rows), Lane.FRESH, whole, Objectives())
    assert [share.pod for share in spread.shares] == ["api-v", "api-w"]


def test_requests_that_pods_counted_are_told_by_workload(lab: Laboratory) -> None:
    job = pod(lab, 0, "j", "job", owner_kind="Job")
    counts = [
        RequestsCounted(
            stamp(moment),
            SCENARIO,
            tuple(
                PodRequests(uid, f"api-{uid}", "shop", int(moment) * each)
                for uid, each in (("a", 1), ("v", 2), ("j", 3))
            ),
        )
        for moment in (0, 10, 20)
    ]
    history = History([*two_shops(lab), job, *counts])
    listed = [replace(event, change=ChangeKind.LISTED) for event in history.of(PodObserved)]
    history = History([*(event for event in history if not isinstance(event, PodObserved)), *listed])
    found = upstream_requests(history, lab.samples(), (), [(Phase.BASELINE, 0, 20 * SECOND_NS)])
    assert {one.app: one.requests for one in found} == {"shop": 20, "shop-worker": 40, "shop (Job)": 60}


# How many pods are wanted: the newest wish counts.


def scaled(lab: Laboratory, moment: float, desired: int, ready_seconds: float = 89) -> list[Event]:
    return [*two_shops(lab), *deleted(lab, "a", "c", "shop-rs", ready_seconds), workload(moment, "shop", desired)]


def test_who_scales_down_meanwhile_has_the_last_word_and_it_is_said(lab: Laboratory) -> None:
    events = scaled(lab, 35, 1)
    found = figures(History(events), lab.samples(), "shop", Objectives())
    assert found.value("recovery_seconds") == pytest.approx(5)
    result = measure_scenario(History(events), lab.samples(), ScenarioSpec(SCENARIO, "", "", "shop"))
    assert "it was scaled from 2 to 1 pod meanwhile" in result.sentence
    assert "not back" not in result.sentence


def test_who_scales_up_before_the_recovery_is_waited_for(lab: Laboratory) -> None:
    events = [*scaled(lab, 31, 3, ready_seconds=34), pod(lab, 32, "d", "shop-rs", ready=False)]
    found = figures(History([*events, pod(lab, 40, "d", "shop-rs")]), lab.samples(), "shop", Objectives())
    assert found.value("recovery_seconds") == pytest.approx(10)


@pytest.mark.parametrize(("fault", "is_over"), [("scaling", False), ("network_partition", True)])
def test_fewer_pods_are_no_recovery_where_the_fault_itself_wants_fewer(
    lab: Laboratory, fault: str, is_over: bool
) -> None:
    targets = (Target("Deployment", "flametest", "shop", "shop"),)
    injected = FaultInjected(stamp(30), SCENARIO, fault, 30 * SECOND_NS, 30 * SECOND_NS, targets, 1)
    gone = [pod(lab, 30.1, "a", "shop-rs", terminating=True), workload(30.05, "shop", 1)]
    found = figures(History([*two_shops(lab), injected, *gone]), lab.samples(), "shop", Objectives())
    assert (found.value("recovery_seconds") is not None) == is_over


def test_what_somebody_else_wants_after_a_scaling_was_healed_counts(lab: Laboratory) -> None:
    targets = (Target("Deployment", "flametest", "shop", "shop"),)
    injected = FaultInjected(stamp(30), SCENARIO, "scaling", 30 * SECOND_NS, 30 * SECOND_NS, targets, 1)
    gone = [workload(30.05, "shop", 0), *(pod(lab, 30.1, uid, "shop-rs", terminating=True) for uid in "ab")]
    other = [workload(35, "shop", 1), FaultHealed(stamp(36), SCENARIO, "scaling", "left"), pod(lab, 37, "c", "shop-rs")]
    found = figures(History([*two_shops(lab), injected, *gone, *other]), lab.samples(), "shop", Objectives())
    assert found.value("recovery_seconds") == pytest.approx(7)
    assert found.moments is not None
    assert found.moments.wishes == (2, 1)


# Each injection has its own proof.


def injection(number: int, seconds: float) -> FaultInjected:
    moment = round(seconds * SECOND_NS)
    target = (Target("Pod", "flametest", f"api-{number}", str(number)),)
    return FaultInjected(stamp(seconds), SCENARIO, "terminate_pods", moment, moment, target, number)


def proof(number: int, seconds: float, proved: bool = True) -> FaultProved:
    return FaultProved(stamp(seconds), SCENARIO, "terminate_pods", proved, f"the watch showed {number}", number)


@pytest.mark.parametrize(
    ("proofs", "verdict", "told"),
    [
        ([proof(1, 31), proof(2, 41)], Verdict.PASSED, "the watch showed 1; the watch showed 2"),
        ([proof(1, 31)], Verdict.INCONCLUSIVE, "no evidence that terminate_pods (2 of 2) took effect"),
        ([proof(1, 31), proof(1, 41)], Verdict.INCONCLUSIVE, "no evidence that terminate_pods (2 of 2) took effect"),
        ([proof(1, 31), proof(2, 41, proved=False)], Verdict.INCONCLUSIVE, "terminate_pods (2 of 2) was not proven"),
    ],
)
def test_each_injection_needs_its_own_proof(
    lab: Laboratory, proofs: list[FaultProved], verdict: Verdict, told: str
) -> None:
    history = History([*lab.before(), injection(1, 30), injection(2, 40), *proofs, *lab.ending()])
    result = measure_scenario(history, lab.samples(), ScenarioSpec(SCENARIO, "", "", "api"))
    (check,) = [one for one in result.checks if one.name == "fault_proven"]
    assert check.verdict is verdict
    assert told in check.detail


def test_records_without_numbers_are_read_by_the_faults_name(lab: Laboratory) -> None:
    bare = [replace(injection(number, 30), injection=0) for number in (1, 2)]
    history = History([*lab.before(), *bare, replace(proof(1, 31), injection=0), *lab.ending()])
    result = measure_scenario(history, lab.samples(), ScenarioSpec(SCENARIO, "", "", "api"))
    assert next(one for one in result.checks if one.name == "fault_proven").verdict is Verdict.PASSED
