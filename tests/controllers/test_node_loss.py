"""What becomes of the pods of a node that falls silent, is tainted, or is deleted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flametest.sandbox.controllers import evictions, nodepods, podgarbage
from flametest.sandbox.controllers.changes import Delete, UpdateStatus
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import format_time
from tests.controllers.small_cluster import SmallCluster, node_object
from tests.controllers.workloads import deployment

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UNREACHABLE = "node.kubernetes.io/unreachable"


def pod(name: str = "one", *, ready: bool = True, tolerations: list[Object] | None = None, **metadata: Any) -> Object:
    condition = {"type": "Ready", "status": str(ready)}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", **metadata},
        "spec": {"nodeName": "sandbox-1", "containers": [], "tolerations": tolerations or []},
        "status": {"phase": "Running", "conditions": [condition]},
    }


def taint(seconds_ago: float = 0, key: str = UNREACHABLE) -> Object:
    return {"key": key, "effect": "NoExecute", "timeAdded": format_time(NOW - timedelta(seconds=seconds_ago))}


def tolerating(seconds: int | None) -> list[Object]:
    limit = {} if seconds is None else {"tolerationSeconds": seconds}
    return [{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", **limit}]


def deleted(changes: tuple[Any, ...]) -> list[tuple[str, int | None]]:
    return [(each.reference.name, each.grace_seconds) for each in changes if isinstance(each, Delete)]


@pytest.mark.parametrize(
    ("tolerations", "seconds_ago", "evicted", "revisit"),
    [
        ([], 0, True, None),
        (tolerating(300), 299, False, 1),
        (tolerating(300), 300, True, None),
        (tolerating(None), 100_000, False, None),
        ([*tolerating(300), *tolerating(10)], 10, True, None),
        ([{"operator": "Exists"}], 100_000, False, None),
    ],
)
def test_a_pod_leaves_a_tainted_node_when_it_tolerates_the_taint_no_longer(
    tolerations: list[Object], seconds_ago: float, evicted: bool, revisit: float | None
) -> None:
    planned = evictions.plan(evictions.Observed(pod(tolerations=tolerations), (taint(seconds_ago),), NOW))
    assert deleted(planned.changes) == ([("one", None)] if evicted else [])
    assert planned.revisit_seconds == revisit


def test_an_evicted_pod_says_why() -> None:
    planned = evictions.plan(evictions.Observed(pod(), (taint(),), NOW))
    (marked,) = [each.object for each in planned.changes if isinstance(each, UpdateStatus)]
    assert marked["status"]["conditions"][-1]["reason"] == "DeletionByTaintManager"


def test_a_pod_that_is_being_deleted_is_not_evicted_again() -> None:
    going = pod(deletionTimestamp=format_time(NOW))
    assert evictions.plan(evictions.Observed(going, (taint(),), NOW)).changes == ()


def node(ready: str = "True", *taints: str) -> Object:
    made = node_object("sandbox-1")
    made["status"]["conditions"][0]["status"] = ready
    made["spec"]["taints"] = [{"key": key, "effect": "NoExecute"} for key in taints]
    return made


def test_pods_of_a_node_that_is_not_ready_are_not_ready() -> None:
    pods = (pod("one"), pod("two", ready=False))
    assert nodepods.plan(nodepods.Observed(node("True"), pods, NOW)).changes == ()
    written, _ = nodepods.plan(nodepods.Observed(node("Unknown"), pods, NOW)).changes
    assert isinstance(written, UpdateStatus)
    assert written.object["metadata"]["name"] == "one"
    assert written.object["status"]["conditions"][0]["status"] == "False"


def test_pods_of_a_deleted_node_are_removed_after_a_while() -> None:
    waiting = podgarbage.plan(podgarbage.Observed((pod(),), None, 1, NOW))
    assert (waiting.changes, waiting.revisit_seconds) == ((), 3)
    planned = podgarbage.plan(podgarbage.Observed((pod(),), None, 4, NOW))
    (written,) = [each.object for each in planned.changes if isinstance(each, UpdateStatus)]
    assert (written["status"]["phase"], written["status"]["conditions"][-1]["reason"]) == ("Failed", "DeletionByPodGC")
    assert deleted(planned.changes) == [("one", 0)]


def test_a_node_that_is_declared_dead_lets_go_the_pods_that_are_being_deleted() -> None:
    pods = (pod("one"), pod("two", deletionTimestamp=format_time(NOW)))
    dead = "node.kubernetes.io/out-of-service"
    assert podgarbage.plan(podgarbage.Observed(pods, node("True", dead), 0, NOW)).changes == ()
    assert podgarbage.plan(podgarbage.Observed(pods, node("Unknown"), 0, NOW)).changes == ()
    planned = podgarbage.plan(podgarbage.Observed(pods, node("Unknown", dead), 0, NOW))
    assert deleted(planned.changes) == [("two", 0)]


async def test_a_deployment_is_whole_again_when_its_node_was_tainted(cluster: SmallCluster) -> None:
    cluster.create("deployments.apps", deployment("web", 2))
    await cluster.until(lambda: len(cluster.ready_pods()) == 2)
    lost = cluster.pods()[0]["spec"]["nodeName"]
    marked = cluster.get("nodes", lost, "")
    marked["spec"]["taints"] = [{"key": "broken", "effect": "NoExecute"}, {"key": "broken", "effect": "NoSchedule"}]
    cluster.registry.update("nodes", marked)
    await cluster.until(
        lambda: len(cluster.ready_pods()) == 2 and all(each["spec"]["nodeName"] != lost for each in cluster.pods())
    )
    assert cluster.events("TaintManagerEviction")
