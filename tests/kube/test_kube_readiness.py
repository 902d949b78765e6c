"""When a namespace is ready, and what is said when it is not."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from flametest.kube.errors import NotReadyError
from flametest.kube.pages import Listing, whole_list
from flametest.kube.readiness import explain, readiness, wait_ready


def deployment(**status: int) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "api", "generation": 2},
        "spec": {"replicas": 3},
        "status": status | {"availableReplicas": status.get("availableReplicas", status.get("readyReplicas", 0))},
    }


READY = {"observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 3}


def test_all_replicas_ready_of_the_newest_revision_is_complete() -> None:
    found = readiness(deployment(**READY))
    assert found.complete
    assert str(found) == "api 3/3"


@pytest.mark.parametrize(
    "lacking",
    [
        {"readyReplicas": 2},
        {"updatedReplicas": 2},
        {"observedGeneration": 1},  # the controller has not seen the newest specification
        {"replicas": 4},  # a surplus pod of the old revision is still there
        {"availableReplicas": 2},  # ready, but not for as long as minReadySeconds asks
    ],
)
def test_whatever_lacks_is_not_complete(lacking: dict[str, int]) -> None:
    assert not readiness(deployment(**READY | lacking)).complete


def test_a_workload_without_a_status_is_not_complete_and_one_scaled_to_nothing_is() -> None:
    assert not readiness(deployment()).complete
    assert (
        readiness({"metadata": {"name": "a", "generation": 1}, "spec": {"replicas": 0}, "status": {}}).settled is False
    )
    nothing = {"metadata": {"name": "a", "generation": 1}, "spec": {"replicas": 0}, "status": {"observedGeneration": 1}}
    assert readiness(nothing).complete


def stateful_set(strategy: dict[str, Any], **status: int) -> dict[str, Any]:
    counts = {"observedGeneration": 2, "replicas": 3, "readyReplicas": 3} | status
    spec = {"replicas": 3, "updateStrategy": strategy}
    return {"kind": "StatefulSet", "metadata": {"name": "db", "generation": 2}, "spec": spec, "status": counts}


def rolling(partition: int | None) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": {} if partition is None else {"partition": partition}}


@pytest.mark.parametrize(
    ("strategy", "status", "complete"),
    [
        (rolling(0), {"updatedReplicas": 3}, True),
        (rolling(None), {"updatedReplicas": 2}, False),
        ({}, {"updatedReplicas": 2}, False),
        (rolling(2), {"updatedReplicas": 1}, True),
        (rolling(2), {}, False),
        (rolling(3), {}, True),
        (rolling(7), {}, True),
        (rolling(2), {"updatedReplicas": 1, "readyReplicas": 2}, False),
        ({"type": "OnDelete"}, {}, True),
        ({"type": "OnDelete"}, {"readyReplicas": 2}, False),
        ({"type": "OnDelete"}, {"observedGeneration": 1}, False),
        ({"type": "OnDelete"}, {"replicas": 4}, False),
    ],
)
def test_of_a_stateful_set_as_many_pods_are_renewed_as_its_strategy_ever_will(
    strategy: dict[str, Any], status: dict[str, int], complete: bool
) -> None:
    found = readiness(stateful_set(strategy, **status))
    assert found.complete == complete
    assert str(found) == "db 3/3" or not complete


@pytest.mark.parametrize(
    ("status", "complete"),
    [
        ({}, True),
        ({"replicas": 4}, True),  # a rollout that was paused half-way keeps its surplus
        ({"availableReplicas": 2}, False),
        ({"observedGeneration": 1}, False),
    ],
)
def test_a_paused_deployment_is_ready_when_its_pods_are(status: dict[str, int], complete: bool) -> None:
    paused = deployment(**READY | {"updatedReplicas": 0} | status)
    assert not readiness(paused).complete
    paused["spec"]["paused"] = True
    assert readiness(paused).complete == complete


@pytest.mark.parametrize(
    ("strategy", "lacking", "complete"),
    [
        ("RollingUpdate", {}, True),
        ("RollingUpdate", {"updatedNumberScheduled": 1}, False),
        ("OnDelete", {"updatedNumberScheduled": 1}, True),
        ("OnDelete", {"numberAvailable": 1}, False),
        ("RollingUpdate", {"numberAvailable": 1}, False),
        ("RollingUpdate", {"observedGeneration": 1}, False),
        ("RollingUpdate", {"desiredNumberScheduled": 0}, True),
    ],
)
def test_a_daemon_set_is_ready_when_every_node_has_its_pod(
    strategy: str, lacking: dict[str, int], complete: bool
) -> None:
    counts = {"observedGeneration": 2, "desiredNumberScheduled": 2, "numberAvailable": 2, "updatedNumberScheduled": 2}
    found = {
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "generation": 2},
        "spec": {"updateStrategy": {"type": strategy}},
        "status": counts | lacking,
    }
    assert readiness(found).complete == complete


class Cluster:
    """Answers lists, a different one each time it is asked for Deployments; its clock moves by the pauses only."""

    def __init__(self, *deployments: list[dict[str, Any]], pods: Any = (), events: Any = ()) -> None:
        self.turns = list(deployments)
        self.pods, self.events = list(pods), list(events)
        self.now = 0.0

    def get(self, path: str) -> dict[str, Any]:
        kind = path.rsplit("/", 1)[1]
        if kind == "deployments":
            return {"items": self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]}
        return {"items": {"pods": self.pods, "events": self.events}.get(kind, [])}

    def listed(self, path: str) -> Listing:
        return whole_list(lambda _: self.get(path), {})

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, timeout_seconds: float, saw: Callable[[str], None] | None = None) -> Any:
        return wait_ready(
            self,
            "flametest",
            timeout_seconds,
            saw,
            clock=lambda: self.now,
            pause=self.pause,
        )


def test_the_wait_ends_with_the_last_replica_and_shows_each_step_once() -> None:
    steps = [[deployment(**READY | {"readyReplicas": count})] for count in (0, 0, 1, 3)]
    seen: list[str] = []
    assert [str(one) for one in Cluster(*steps).wait(60, seen.append)] == ["api 3/3"]
    assert seen == ["api 0/3", "api 1/3", "api 3/3"]


def test_a_namespace_that_appears_late_is_waited_for() -> None:
    assert Cluster([], [], [deployment(**READY)]).wait(60)


def test_time_running_out_names_the_pods_and_why() -> None:
    pods = [
        {
            "metadata": {"name": "api-2", "uid": "2"},
            "status": {
                "phase": "Pending",
                "containerStatuses": [
                    {"name": "api", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
                ],
            },
        },
        {"metadata": {"name": "api-1", "uid": "1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
    ]
    events = [
        {
            "type": "Warning",
            "reason": "Failed",
            "message": "cannot pull",
            "lastTimestamp": "2026-01-01T00:00:00Z",
            "involvedObject": {"kind": "Pod", "uid": "2"},
        }
    ]
    cluster = Cluster([deployment(**READY | {"readyReplicas": 1})], pods=pods, events=events)
    with pytest.raises(NotReadyError) as raised:
        cluster.wait(30)
    assert raised.value.message == (
        "not ready after 30 s in namespace 'flametest': Deployment api 1/3\n"
        "  pod api-2 (Pending): container api waits: ErrImagePull (no such image); Failed: cannot pull"
    )
    assert 30 <= cluster.now < 31


def test_an_empty_namespace_is_an_error_of_its_own() -> None:
    with pytest.raises(NotReadyError, match="holds no Deployment, StatefulSet or DaemonSet after 5 s"):
        Cluster([]).wait(5)


def test_a_crash_and_a_pod_that_cannot_be_placed_are_explained() -> None:
    pods = [
        {
            "metadata": {"name": "crash", "uid": "1"},
            "status": {
                "phase": "Running",
                "containerStatuses": [
                    {
                        "name": "main",
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"exitCode": 3}},
                    }
                ],
            },
        },
        {
            "metadata": {"name": "unplaced", "uid": "2", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "status": {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}],
            },
        },
    ]
    first, second = explain(pods, [])
    assert first == "pod crash (Running): container main waits: CrashLoopBackOff; it ended before with exit code 3"
    assert re.fullmatch(r"pod unplaced \(Pending\): is terminating; PodScheduled: 0/3 nodes are available", second)
