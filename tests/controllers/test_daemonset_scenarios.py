"""DaemonSets: a pod on every node that will have it, now and later."""

from typing import Any

from flametest.sandbox.objects import Object
from tests.controllers.small_cluster import SmallCluster, node_object
from tests.controllers.workloads import pod_template

SETS = "daemonsets.apps"


def daemon_set(**spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "watch", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "watch"}}, "template": pod_template("watch"), **spec},
    }


def status_of(cluster: SmallCluster) -> Object:
    status: Object = cluster.get(SETS, "watch").get("status", {})
    return status


def nodes(cluster: SmallCluster) -> list[str]:
    return sorted(pod["spec"].get("nodeName", "") for pod in cluster.ready_pods())


async def test_every_node_gets_one_pod_and_a_new_node_too(cluster: SmallCluster) -> None:
    cluster.create(SETS, daemon_set())
    await cluster.until(lambda: status_of(cluster).get("numberAvailable") == 3)
    assert nodes(cluster) == ["sandbox-1", "sandbox-2", "sandbox-3"]
    cluster.create("nodes", node_object("sandbox-4"))
    await cluster.until(lambda: status_of(cluster).get("numberAvailable") == 4)
    await cluster.settled()
    assert status_of(cluster) == {
        "currentNumberScheduled": 4,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 4,
        "numberReady": 4,
        "observedGeneration": 1,
        "updatedNumberScheduled": 4,
        "numberAvailable": 4,
    }


async def test_a_tainted_node_is_left_out_and_a_cordoned_one_is_not(cluster: SmallCluster) -> None:
    tainted = cluster.get("nodes", "sandbox-1", "")
    tainted["spec"]["taints"] = [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]
    cluster.registry.update("nodes", tainted)
    cordoned = cluster.get("nodes", "sandbox-2", "")
    cordoned["spec"]["unschedulable"] = True
    cluster.registry.update("nodes", cordoned)
    cluster.create(SETS, daemon_set())
    await cluster.until(lambda: nodes(cluster) == ["sandbox-2", "sandbox-3"])


async def test_a_deleted_pod_is_made_anew_on_its_node(cluster: SmallCluster) -> None:
    cluster.create(SETS, daemon_set())
    await cluster.until(lambda: len(nodes(cluster)) == 3)
    doomed = cluster.pods()[0]
    cluster.registry.delete("pods", "default", doomed["metadata"]["name"])
    await cluster.until(
        lambda: (
            len(nodes(cluster)) == 3
            and doomed["metadata"]["uid"] not in {pod["metadata"]["uid"] for pod in cluster.pods()}
        )
    )
    assert nodes(cluster) == ["sandbox-1", "sandbox-2", "sandbox-3"]


async def test_a_new_template_replaces_one_pod_after_the_other(cluster: SmallCluster) -> None:
    cluster.create(SETS, daemon_set())
    await cluster.until(lambda: status_of(cluster).get("numberAvailable") == 3)
    start = len(cluster.seen)
    cluster.patch(SETS, "watch", lambda obj: obj["spec"]["template"]["metadata"].update(annotations={"version": "2"}))
    await cluster.until(
        lambda: (
            status_of(cluster).get("updatedNumberScheduled") == 3
            and status_of(cluster).get("numberAvailable") == 3
            and status_of(cluster)["observedGeneration"] == 2
        )
    )
    assert all(event.object["status"].get("numberUnavailable", 0) <= 1 for event in cluster.seen_of(SETS, start))


async def test_a_rollback_renumbers_the_old_revision(cluster: SmallCluster) -> None:
    cluster.create(SETS, daemon_set())
    await cluster.until(lambda: status_of(cluster).get("numberAvailable") == 3)

    def version(text: str) -> None:
        cluster.patch(SETS, "watch", lambda obj: obj["spec"]["template"]["metadata"].update(annotations={"v": text}))

    for generation, text in enumerate(("1", "2", "1"), start=2):
        version(text)
        await cluster.until(
            lambda generation=generation: (
                status_of(cluster).get("observedGeneration") == generation  # type: ignore[misc]
                and status_of(cluster).get("updatedNumberScheduled") == 3
                and status_of(cluster).get("numberAvailable") == 3
            )
        )
    revisions = sorted(each["revision"] for each in cluster.registry.list("controllerrevisions.apps", "default"))
    assert revisions == [1, 3, 4]
