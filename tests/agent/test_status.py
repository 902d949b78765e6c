"""The status of pods that the agent publishes."""

from typing import Any

from flametest.sandbox.agent.state import ContainerRecord, Role, Running, State, Terminated, Waiting
from flametest.sandbox.agent.status import PodProgress, phase_of, pod_status

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
PROGRESS = PodProgress("10.240.0.1", NOW, sandbox_ready=True, ip="10.244.1.2")


def record(state: State, role: Role = Role.MAIN, name: str = "main", **fields: Any) -> ContainerRecord:
    return ContainerRecord({"name": name, "image": "x:1"}, role, state, **fields)


def ended(code: int) -> Terminated:
    return Terminated(code, "Error" if code else "Completed", NOW, NOW + 1, "id")


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", "generation": 3}, "spec": {"restartPolicy": "Always"}, "status": status}


def true_conditions(status: dict[str, Any]) -> list[str]:
    return [condition["type"] for condition in status["conditions"] if condition["status"] == "True"]


def test_conditions_come_in_the_order_of_a_real_kubelet_and_those_of_others_stay() -> None:
    scheduled = {"type": "PodScheduled", "status": "True"}
    status = pod_status(pod(conditions=[scheduled]), [record(Running(NOW), ready=True)], PROGRESS, NOW)
    assert true_conditions(status) == [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ]
    assert status["conditions"][-1] == scheduled


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    before = pod_status(pod(), [record(Running(NOW))], PROGRESS, NOW)
    after = pod_status(pod(**before), [record(Running(NOW), ready=True)], PROGRESS, NOW + 60)
    times = {condition["type"]: condition["lastTransitionTime"] for condition in after["conditions"]}
    assert times["Initialized"] == "2026-01-01T00:00:00Z"
    assert times["Ready"] == "2026-01-01T00:01:00Z"


def test_an_unready_container_is_named() -> None:
    status = pod_status(pod(), [record(Running(NOW), name="slow")], PROGRESS, NOW)
    ready = next(condition for condition in status["conditions"] if condition["type"] == "Ready")
    assert (ready["reason"], ready["message"]) == ("ContainersNotReady", "containers with unready status: [slow]")


def test_the_exit_code_and_the_reason_of_an_ended_container_are_told() -> None:
    over = PodProgress("10.240.0.1", NOW, ip="10.244.1.2", over=True)
    status = pod_status(pod(), [record(ended(137), container_id="id")], over, NOW)
    assert status["phase"] == "Failed"
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    assert true_conditions(status) == ["Initialized"]


def test_a_pod_that_has_completed_is_not_ready_and_says_why() -> None:
    over = PodProgress("10.240.0.1", NOW, over=True)
    status = pod_status(pod(), [record(ended(0))], over, NOW)
    reasons = {condition["type"]: condition.get("reason") for condition in status["conditions"]}
    assert (status["phase"], reasons["Ready"]) == ("Succeeded", "PodCompleted")


def test_a_running_init_container_leaves_the_pod_pending_and_not_initialized() -> None:
    records = [record(Running(NOW), Role.INIT, "init"), record(Waiting("PodInitializing"))]
    status = pod_status(pod(), records, PROGRESS, NOW)
    assert status["phase"] == "Pending"
    assert "Initialized" not in true_conditions(status)
    assert status["initContainerStatuses"][0]["name"] == "init"


def test_a_container_that_waits_for_its_restart_leaves_the_pod_running() -> None:
    waiting = record(Waiting("CrashLoopBackOff"), last=ended(1))
    assert phase_of("Always", [waiting], over=False) == "Running"


def test_what_the_server_owns_is_taken_over() -> None:
    status = pod_status(pod(qosClass="Burstable"), [record(Waiting("ContainerCreating"))], PROGRESS, NOW)
    assert status["qosClass"] == "Burstable"
    assert status["observedGeneration"] == 3
