"""When a namespace is ready, and what is said when it is not."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from flametest.kube.errors import NotReadyError
from flametest.kube.readiness import explain, readiness, wait_ready


def deployment(**status: int) -> dict[str, Any]:
    return {"metadata": {"name": "api", "generation": 2}, "spec": {"replicas": 3}, "status": status}


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
    with pytest.raises(NotReadyError, match="holds no Deployment and no StatefulSet after 5 s"):
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
