"""Disruption budgets, nodes, and the recorder of events."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.apiserver import Registry
from flametest.sandbox.controllers import disruption, nodes
from flametest.sandbox.controllers.changes import Note, Update, UpdateStatus
from flametest.sandbox.eventrecorder import EventRecorder
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import format_micro_time, format_time
from tests.controllers.small_cluster import SmallCluster, node_object
from tests.controllers.workloads import budget, deployment, pod

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def budget_status(healthy: int, unhealthy: int, scale: int | None, **spec: Any) -> Object:
    of = budget(**spec)
    pods = [pod(f"h{index}", ready=True) for index in range(healthy)] + [pod(f"u{index}") for index in range(unhealthy)]
    changes = disruption.plan(disruption.Observed(of, tuple(pods), scale, NOW)).changes
    (status,) = [change.object["status"] for change in changes if isinstance(change, UpdateStatus)]
    return {key: value for key, value in status.items() if key != "conditions"}


def test_all_of_three_leaves_no_disruption() -> None:
    assert budget_status(3, 0, 3, minAvailable="100%") == {
        "disruptionsAllowed": 0,
        "currentHealthy": 3,
        "desiredHealthy": 3,
        "expectedPods": 3,
        "observedGeneration": 1,
    }


def test_a_quarter_may_be_unavailable_rounded_up() -> None:
    status = budget_status(3, 0, 3, maxUnavailable="25%")
    assert (status["desiredHealthy"], status["disruptionsAllowed"]) == (2, 1)


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 100), st.booleans())
def test_a_budget_never_allows_more_than_its_limit(healthy: int, unhealthy: int, percent: int, at_most: bool) -> None:
    scale = healthy + unhealthy
    limit = {"maxUnavailable" if at_most else "minAvailable": f"{percent}%"}
    status = budget_status(healthy, unhealthy, scale, **limit)
    assert 0 <= status["disruptionsAllowed"] <= healthy
    if status["disruptionsAllowed"]:
        assert healthy - status["disruptionsAllowed"] >= status["desiredHealthy"]


async def test_a_budget_follows_its_deployment(cluster: SmallCluster) -> None:
    cluster.create("deployments.apps", deployment(replicas=3))
    cluster.create("poddisruptionbudgets.policy", budget(minAvailable=2))
    resource = "poddisruptionbudgets.policy"
    await cluster.until(lambda: cluster.get(resource, "web").get("status", {}).get("disruptionsAllowed") == 1)
    cluster.agent.may_start = cluster.agent.may_end = lambda pod: False
    cluster.registry.delete("pods", "default", cluster.pods()[0]["metadata"]["name"])
    await cluster.until(lambda: cluster.get(resource, "web")["status"]["disruptionsAllowed"] == 0)
    (condition,) = cluster.get(resource, "web")["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "InsufficientPods")


def lease(renewed: datetime) -> Object:
    return {"metadata": {"name": "sandbox-1"}, "spec": {"renewTime": format_micro_time(renewed)}}


def test_a_node_that_reports_is_looked_at_again_when_its_grace_would_end() -> None:
    planned = nodes.plan(nodes.Observed(node_object("sandbox-1"), lease(NOW - timedelta(seconds=4.5)), NOW))
    assert (planned.changes, planned.revisit_seconds) == ((), 0.5)


def test_a_controller_that_was_held_up_itself_gives_a_silent_node_another_chance() -> None:
    silent = lease(NOW - timedelta(seconds=60))
    planned = nodes.plan(nodes.Observed(node_object("sandbox-1"), silent, NOW, unseen_seconds=30))
    assert (planned.changes, planned.revisit_seconds) == ((), 1)


def test_a_silent_node_becomes_unknown_and_is_tainted() -> None:
    planned = nodes.plan(nodes.Observed(node_object("sandbox-1"), lease(NOW - timedelta(seconds=60)), NOW))
    status = next(change.object["status"] for change in planned.changes if isinstance(change, UpdateStatus))
    assert [(each["status"], each["reason"]) for each in status["conditions"]] == [("Unknown", "NodeStatusUnknown")]
    assert any(isinstance(change, Note) and change.reason == "NodeNotReady" for change in planned.changes)
    (tainted,) = [change.object for change in planned.changes if isinstance(change, Update)]
    assert [(taint["key"], taint["effect"]) for taint in tainted["spec"]["taints"]] == [
        ("node.kubernetes.io/unreachable", "NoSchedule"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
    ]


def test_a_node_that_comes_back_loses_the_taints_that_are_ours_and_keeps_the_others() -> None:
    node = node_object("sandbox-1")
    ours = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": format_time(NOW)}
    theirs = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    node["spec"]["taints"] = [ours, theirs]
    (change,) = nodes.plan(nodes.Observed(node, lease(NOW), NOW)).changes
    assert isinstance(change, Update)
    assert change.object["spec"]["taints"] == [theirs]


def recorded(registry: Registry) -> EventRecorder:
    registry.create("namespaces", {"metadata": {"name": "default"}})
    return EventRecorder(registry, "kubelet", lambda: NOW, host="sandbox-1")


def test_the_same_event_again_is_counted_not_repeated() -> None:
    registry = Registry()
    recorder = recorded(registry)
    for _ in range(3):
        recorder.warning(pod("one"), "BackOff", "Back-off restarting failed container", "spec.containers{main}")
    recorder.normal(pod("one"), "Started", "Started container main")
    events = {event["reason"]: event for event in registry.list("events")}
    assert {reason: event["count"] for reason, event in events.items()} == {"BackOff": 3, "Started": 1}
    backed_off = events["BackOff"]
    assert backed_off["involvedObject"]["fieldPath"] == "spec.containers{main}"
    assert backed_off["source"] == {"component": "kubelet", "host": "sandbox-1"}
    assert backed_off["metadata"]["namespace"] == "default"


def test_an_event_that_cannot_be_written_troubles_nobody() -> None:
    registry = Registry()
    lost = pod("one")
    lost["metadata"]["namespace"] = "nowhere"
    EventRecorder(registry, "kubelet").normal(lost, "Started", "Started container main")
    assert registry.list("events") == []


def test_the_event_of_an_object_without_namespace_goes_to_the_default_one() -> None:
    registry = Registry()
    recorded(registry).normal({**node_object("sandbox-1"), "apiVersion": "v1"}, "NodeReady", "Node is ready")
    (event,) = registry.list("events", "default")
    assert event["involvedObject"] == {"kind": "Node", "name": "sandbox-1", "apiVersion": "v1"}
