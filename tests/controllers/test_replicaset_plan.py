"""What a ReplicaSet does with the pods it finds."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.controllers.changes import Create, Delete, Update, UpdateStatus
from flametest.sandbox.controllers.metadata import controller_reference
from flametest.sandbox.controllers.ranking import deletion_order
from flametest.sandbox.controllers.replicaset import Observed, plan
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import format_time
from tests.controllers.workloads import pod, replica_set

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def owner(replicas: int, **spec: Any) -> Object:
    made = replica_set(replicas=replicas, **spec)
    made["metadata"] |= {"uid": "uid-owner", "generation": 1}
    return made


def owned(name: str, of: Object, **options: Any) -> Object:
    made = pod(name, **options)
    made["metadata"]["ownerReferences"] = [controller_reference(of)]
    return made


states = st.sampled_from(["pending", "ready", "ending", "failed", "ended"])


def in_state(name: str, of: Object, state: str) -> Object:
    made = owned(name, of, node="sandbox-1", ready=state == "ready")
    if state in ("failed", "ended"):
        made["status"]["phase"] = "Failed"
    if state in ("ending", "ended"):
        made["metadata"]["deletionTimestamp"] = format_time(NOW)
    return made


@given(st.integers(0, 8), st.lists(states, max_size=8))
def test_it_makes_what_lacks_or_deletes_what_is_too_much_and_changes_nothing_it_was_given(
    replicas: int, found: list[str]
) -> None:
    of = owner(replicas)
    pods = tuple(in_state(f"p{index}", of, state) for index, state in enumerate(found))
    before = copy.deepcopy((of, pods))
    changes = plan(Observed(of, pods, pods, NOW)).changes
    assert (of, pods) == before
    created = sum(isinstance(change, Create) for change in changes)
    deleted = [change for change in changes if isinstance(change, Delete)]
    active = sum(state in ("pending", "ready") for state in found)
    assert active + created - len(deleted) == replicas
    assert not (created and deleted)
    status = next(change.object["status"] for change in changes if isinstance(change, UpdateStatus))
    assert status["replicas"] == active
    assert status.get("readyReplicas", 0) == found.count("ready")
    assert status["terminatingReplicas"] == found.count("ending")


@given(st.integers(0, 6), st.lists(states, max_size=6))
def test_a_second_look_at_the_same_state_writes_no_status(replicas: int, found: list[str]) -> None:
    of = owner(replicas)
    pods = tuple(in_state(f"p{index}", of, state) for index, state in enumerate(found))
    first = plan(Observed(of, pods, pods, NOW)).changes
    told = next(change.object for change in first if isinstance(change, UpdateStatus))
    second = plan(Observed(told, pods, pods, NOW)).changes
    assert not any(isinstance(change, UpdateStatus) for change in second)


def test_an_orphan_that_matches_is_adopted_and_one_that_no_longer_does_is_released() -> None:
    of = owner(1)
    stray = owned("stray", of, labels={"app": "other"})
    changes = plan(Observed(of, (pod("orphan"), stray), (), NOW)).changes
    updates = {change.object["metadata"]["name"]: change.object for change in changes if isinstance(change, Update)}
    assert updates["orphan"]["metadata"]["ownerReferences"] == [controller_reference(of)]
    assert "ownerReferences" not in updates["stray"]["metadata"]
    assert not any(isinstance(change, Create) for change in changes)


def test_the_pod_of_another_controller_is_left_alone() -> None:
    of, other = owner(1), owner(1)
    other["metadata"]["uid"] = "uid-other"
    changes = plan(Observed(of, (owned("theirs", other),), (), NOW)).changes
    assert [type(change) for change in changes] == [Create, UpdateStatus]


def test_nothing_is_scaled_once_deletion_has_begun() -> None:
    of = owner(3)
    of["metadata"]["deletionTimestamp"] = format_time(NOW)
    assert not any(isinstance(change, Create) for change in plan(Observed(of, (), (), NOW)).changes)


def test_a_pod_is_available_only_after_min_ready_seconds_and_the_plan_comes_back_for_it() -> None:
    of = owner(1, minReadySeconds=10)
    young = owned("young", of, ready=True)
    young["status"]["conditions"][0]["lastTransitionTime"] = format_time(NOW - timedelta(seconds=4))
    planned = plan(Observed(of, (young,), (), NOW))
    status = next(change.object["status"] for change in planned.changes if isinstance(change, UpdateStatus))
    assert status.get("readyReplicas") == 1
    assert "availableReplicas" not in status
    assert planned.revisit_seconds == 6


def ranked(*pods: Object, related: tuple[Object, ...] = ()) -> list[str]:
    return [each["metadata"]["name"] for each in deletion_order(pods, related or pods, NOW)]


def test_unassigned_goes_before_pending_before_unready_before_ready() -> None:
    unready = pod("unready", node="sandbox-1")
    unready["status"]["phase"] = "Running"
    ready, pending = pod("ready", node="sandbox-2", ready=True), pod("pending", node="sandbox-3")
    assert ranked(ready, unready, pending, pod("none")) == ["none", "pending", "unready", "ready"]


def test_a_lower_deletion_cost_goes_first() -> None:
    dear, cheap = (pod(name, node=name, ready=True) for name in ("dear", "cheap"))
    dear["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": "10"}
    assert ranked(dear, cheap) == ["cheap", "dear"]


def test_the_pod_on_the_more_crowded_node_goes_first() -> None:
    alone = pod("alone", node="a", ready=True)
    one, two = (pod(name, node="b", ready=True) for name in ("one", "two"))
    assert ranked(alone, one, two)[-1] == "alone"


def test_of_two_ready_pods_the_one_that_was_ready_for_less_time_goes_first() -> None:
    young, old = pod("young", node="a", ready=True), pod("old", node="b", ready=True)
    young["status"]["conditions"][0]["lastTransitionTime"] = format_time(NOW - timedelta(seconds=2))
    assert ranked(old, young) == ["young", "old"]


def test_more_restarts_go_first() -> None:
    calm, shaky = pod("calm", node="a"), pod("shaky", node="b")
    shaky["status"]["containerStatuses"] = [{"restartCount": 3}]
    assert ranked(calm, shaky) == ["shaky", "calm"]
