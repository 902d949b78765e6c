"""What a watch shows, as events of the history."""

from typing import Any

from flametest.chaos.observations import observe
from flametest.kube.resources import DEPLOYMENTS, ENDPOINT_SLICES, PODS, STATEFUL_SETS
from flametest.kube.watch import Change
from flametest.model.events import (
    ChangeKind,
    EndpointsObserved,
    EndpointState,
    PodObserved,
    Stamp,
    WorkloadObserved,
)
from flametest.model.history import decode, encode

AT = Stamp(5, 6.0)


def change(obj: dict[str, Any]) -> Change:
    return Change(AT, ChangeKind.MODIFIED, obj)


def test_a_pod_is_told_with_owner_readiness_and_restarts() -> None:
    pod = {
        "metadata": {
            "name": "api-1",
            "uid": "u",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "deletionTimestamp": "2026-01-01T00:01:00Z",
            "labels": {"app": "api", "app.kubernetes.io/name": "other"},
            "ownerReferences": [{"uid": "not"}, {"uid": "rs", "kind": "ReplicaSet", "controller": True}],
        },
        "spec": {"nodeName": "sandbox-1", "containers": [{"name": "a"}, {"name": "b"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {"name": "a", "restartCount": 2, "state": {"running": {}}},
                {"name": "b", "restartCount": 1, "state": {"running": {}}},
            ],
        },
    }
    event = observe(PODS, change(pod), "s")
    assert event == PodObserved(
        AT,
        "s",
        ChangeKind.MODIFIED,
        "u",
        "api-1",
        "sandbox-1",
        "api",
        "rs",
        "Running",
        True,
        True,
        True,
        3,
        1767225600.0,
        owner_kind="ReplicaSet",
    )
    assert decode(encode(event)) == event


def test_the_reason_is_that_of_the_container_that_ended_last() -> None:
    def ended(reason: str, second: int) -> dict[str, Any]:
        return {"terminated": {"reason": reason, "finishedAt": f"2026-01-01T00:00:{second:02}Z"}}

    statuses = [
        {"name": "a", "restartCount": 1, "state": {"running": {}}, "lastState": ended("Error", 5)},
        {"name": "b", "restartCount": 1, "state": ended("OOMKilled", 7), "lastState": ended("Completed", 1)},
    ]
    event = observe(
        PODS, change({"metadata": {"name": "p", "uid": "u"}, "status": {"containerStatuses": statuses}}), "s"
    )
    assert isinstance(event, PodObserved)
    assert event.ended_because == "OOMKilled"


def test_a_pod_that_is_just_made_has_nothing_yet() -> None:
    event = observe(PODS, change({"metadata": {"name": "api-1", "uid": "u"}}), "s")
    assert isinstance(event, PodObserved)
    assert (event.node, event.app, event.phase, event.ready) == ("", "", "Unknown", False)
    assert not event.containers_started


def test_one_container_that_waits_means_that_not_all_have_started() -> None:
    statuses = [{"name": "a", "state": {"running": {}}}, {"name": "b", "state": {"waiting": {}}}]
    pod = {
        "metadata": {"name": "p", "uid": "u"},
        "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
        "status": {"containerStatuses": statuses},
    }
    event = observe(PODS, change(pod), "s")
    assert isinstance(event, PodObserved)
    assert not event.containers_started


def test_conditions_that_an_endpoint_leaves_out_are_read_as_the_api_says() -> None:
    endpoint_slice = {
        "metadata": {"name": "api-x", "uid": "u", "labels": {"kubernetes.io/service-name": "api"}},
        "endpoints": [
            {"addresses": ["10.0.0.1"], "targetRef": {"uid": "u1", "name": "api-1"}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False, "serving": True, "terminating": True}},
        ],
    }
    event = observe(ENDPOINT_SLICES, change(endpoint_slice), "s")
    assert isinstance(event, EndpointsObserved)
    assert (event.service, event.slice_name) == ("api", "api-x")
    assert event.endpoints == (
        EndpointState("10.0.0.1", "u1", "api-1", True, True, False),
        EndpointState("10.0.0.2", "", "", False, True, True),
    )


def test_a_slice_without_endpoints_is_empty() -> None:
    event = observe(ENDPOINT_SLICES, change({"metadata": {"name": "x", "uid": "u"}, "endpoints": None}), "s")
    assert isinstance(event, EndpointsObserved)
    assert event.endpoints == ()


def test_a_workload_is_told_with_its_counts() -> None:
    workload = {
        "metadata": {"name": "api", "uid": "u", "labels": {"app": "label"}},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "api"}}},
        "status": {"replicas": 3, "readyReplicas": 2, "availableReplicas": 1, "updatedReplicas": 3},
    }
    expected = WorkloadObserved(AT, "s", ChangeKind.MODIFIED, "Deployment", "api", "api", "u", 3, 3, 2, 1, 3)
    assert observe(DEPLOYMENTS, change(workload), "s") == expected
    event = observe(STATEFUL_SETS, change(workload), "s")
    assert isinstance(event, WorkloadObserved)
    assert event.kind == "StatefulSet"
