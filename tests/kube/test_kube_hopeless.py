"""What is known never to pass by itself, and what may still pass."""

from typing import Any

import pytest

from flametest.kube.hopeless import CRASHES_MAX, Setting, faults_of_events, faults_of_pod, part_of

SANDBOX = Setting(pulls_images=False, grows=False)
CLUSTER = Setting(pulls_images=True, grows=True)


def pod(**status: Any) -> dict[str, Any]:
    owner = {"kind": "ReplicaSet", "name": "web-5d9c", "uid": "r", "controller": True}
    labels = {"pod-template-hash": "5d9c"}
    metadata = {"name": "web-5d9c-x", "namespace": "shop", "uid": "p", "labels": labels, "ownerReferences": [owner]}
    return {"metadata": metadata, "status": {"phase": "Pending", **status}}


def waiting(reason: str, restarts: int = 0, **more: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "web:1", "ready": False, "restartCount": restarts}
    return pod(containerStatuses=[container | {"state": {"waiting": {"reason": reason, "message": "told"}}, **more}])


def alone(**metadata: Any) -> dict[str, Any]:
    ended = {"name": "main", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}
    return {"metadata": {"name": "once", "namespace": "shop", **metadata}, "status": {"containerStatuses": [ended]}}


@pytest.mark.parametrize("reason", ["ErrImageNeverPull", "InvalidImageName"])
def test_an_image_that_can_never_come_is_told_at_once_on_any_cluster(reason: str) -> None:
    for setting in (SANDBOX, CLUSTER):
        (fault,) = faults_of_pod(waiting(reason), setting)
        assert (fault.part, fault.patience_seconds) == ("Deployment web", 0)
        assert reason in fault.reason


def test_a_pull_may_still_succeed_only_where_images_are_pulled() -> None:
    (here,), (there,) = (list(faults_of_pod(waiting("ImagePullBackOff"), one)) for one in (SANDBOX, CLUSTER))
    assert here.patience_seconds == 0
    assert there.patience_seconds > 0
    assert "web:1" in here.reason


def test_a_container_counts_as_ending_for_ever_after_many_restarts() -> None:
    last = {"lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}
    assert not list(faults_of_pod(waiting("CrashLoopBackOff", CRASHES_MAX - 1, **last), SANDBOX))
    (fault,) = faults_of_pod(waiting("CrashLoopBackOff", CRASHES_MAX, **last), SANDBOX)
    assert "exit code 1" in fault.reason
    assert (fault.namespace, fault.pod, fault.container, fault.restarts) == ("shop", "web-5d9c-x", "main", CRASHES_MAX)


def test_why_the_kernel_ended_a_container_is_told() -> None:
    last = {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    (fault,) = faults_of_pod(waiting("CrashLoopBackOff", CRASHES_MAX, **last), SANDBOX)
    assert "exit code 137 (OOMKilled)" in fault.reason


def test_what_kept_a_container_from_starting_is_told() -> None:
    why = 'exec: "run.sh": permission denied'
    last = {"lastState": {"terminated": {"exitCode": 128, "reason": "StartError", "message": why}}}
    (fault,) = faults_of_pod(waiting("CrashLoopBackOff", CRASHES_MAX, **last), SANDBOX)
    assert fault.reason == f"container main cannot be started: {why}"
    assert fault.container == ""  # it has written nothing


def test_init_containers_fail_like_others() -> None:
    broken = waiting("CrashLoopBackOff", CRASHES_MAX)
    broken["status"]["initContainerStatuses"] = broken["status"].pop("containerStatuses")
    assert len(list(faults_of_pod(broken, SANDBOX))) == 1


def test_a_pod_that_finds_no_node_is_told_where_no_node_will_come() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    (fault,) = faults_of_pod(pod(conditions=[condition]), SANDBOX)
    assert "0/3 nodes" in fault.reason
    assert fault.patience_seconds > 0
    assert not list(faults_of_pod(pod(conditions=[condition]), CLUSTER))


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_pod_on_its_way_has_no_fault(reason: str) -> None:
    assert not list(faults_of_pod(waiting(reason), SANDBOX))


def test_neither_a_ready_pod_nor_one_that_is_going_has_a_fault() -> None:
    ready = waiting("CrashLoopBackOff", 9)
    ready["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert not list(faults_of_pod(ready, SANDBOX))
    going = waiting("CrashLoopBackOff", 9)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not list(faults_of_pod(going, SANDBOX))


def test_a_pod_of_its_own_that_has_failed_is_told_with_its_exit_code() -> None:
    (fault,) = faults_of_pod(alone(), SANDBOX)
    assert (fault.part, fault.container) == ("Pod once", "main")
    assert "exit code 3" in fault.reason


def test_volumes_that_name_what_is_not_there_and_pods_that_are_not_admitted_are_told_by_events() -> None:
    mount = {"reason": "FailedMount", "message": 'configmap "a" not found', "involvedObject": {"uid": "p"}}
    create = {
        "reason": "FailedCreate",
        "message": 'pods "web-5d9c8f7b6-x2z4q" is forbidden',
        "involvedObject": {"kind": "ReplicaSet", "name": "web-5d9c8f7b6"},
    }
    other = {"reason": "FailedMount", "message": "timed out", "involvedObject": {"uid": "p"}}
    found = list(faults_of_events([mount, create, other], [pod()]))
    assert [(one.part, one.reason) for one in found] == [
        ("Deployment web", 'configmap "a" not found'),
        ("Deployment web", 'its pods are not admitted: pods "POD" is forbidden'),
    ]


def test_a_pod_belongs_to_the_workload_that_people_know() -> None:
    assert part_of(pod()) == "Deployment web"
    owned = alone(ownerReferences=[{"kind": "StatefulSet", "name": "db", "controller": True}])
    assert part_of(owned) == "StatefulSet db"


@pytest.mark.parametrize(
    ("message", "is_final"),
    [
        ('Failed to pull image "web:1": docker.io/library/web:1: not found', True),
        ('Failed to pull image "web:1": unauthorized: authentication required', True),
        ('Failed to pull image "web:1": no match for platform in manifest', True),
        ('Failed to pull image "web:1": dial tcp 127.0.0.1:5000: connection refused', False),
    ],
)
def test_what_a_registry_says_tells_whether_another_attempt_may_succeed(message: str, is_final: bool) -> None:
    event = {"reason": "Failed", "message": message, "involvedObject": {"uid": "p"}}
    assert [one.reason for one in faults_of_events([event], [waiting("ImagePullBackOff")])] == [message] * is_final
    assert not list(faults_of_events([event], [waiting("PodInitializing")])), "an image that has come is no fault"


def test_a_volume_that_came_in_the_end_is_no_fault() -> None:
    mount = {"reason": "FailedMount", "message": 'secret "a" not found', "involvedObject": {"uid": "p"}}
    running = pod(containerStatuses=[{"name": "main", "state": {"running": {"startedAt": "now"}}}])
    assert len(list(faults_of_events([mount], [waiting("ContainerCreating")]))) == 1
    assert not list(faults_of_events([mount], [running]))
