"""ReplicationControllers keep their pods, as ReplicaSets do: over the whole of registry, controllers and scheduler."""

from flametest.sandbox.objects import Object
from tests.controllers.small_cluster import SmallCluster
from tests.controllers.workloads import budget, pod_template, replication_controller

RESOURCE = "replicationcontrollers"


def uids(cluster: SmallCluster) -> set[str]:
    return {pod["metadata"]["uid"] for pod in cluster.ready_pods(app="web")}


def owned(cluster: SmallCluster) -> list[Object]:
    return [pod for pod in cluster.ready_pods(app="web") if pod["metadata"].get("ownerReferences")]


async def whole(cluster: SmallCluster, replicas: int = 2) -> None:
    cluster.create(RESOURCE, replication_controller(replicas=replicas))
    await cluster.until(lambda: len(owned(cluster)) == replicas)


async def test_it_keeps_so_many_pods_and_says_so(cluster: SmallCluster) -> None:
    await whole(cluster)
    status = await cluster.until(lambda: (one := cluster.get(RESOURCE, "web")["status"]).get("readyReplicas") and one)
    await cluster.until(lambda: cluster.get(RESOURCE, "web")["status"].get("availableReplicas") == 2)
    assert status["replicas"] == 2
    assert "terminatingReplicas" not in cluster.get(RESOURCE, "web")["status"]
    (owner,) = cluster.pods(app="web")[0]["metadata"]["ownerReferences"]
    assert (owner["apiVersion"], owner["kind"], owner["controller"]) == ("v1", "ReplicationController", True)
    sources = {event["source"]["component"] for event in cluster.events("SuccessfulCreate")}
    assert sources == {"replication-controller"}


async def test_a_deleted_pod_is_replaced(cluster: SmallCluster) -> None:
    await whole(cluster)
    before = uids(cluster)
    victim = cluster.ready_pods(app="web")[0]["metadata"]
    cluster.registry.delete("pods", "default", victim["name"])
    await cluster.until(lambda: len(uids(cluster)) == 2 and victim["uid"] not in uids(cluster))
    assert len(uids(cluster) & before) == 1


async def test_it_scales_down_to_nothing_and_up_again(cluster: SmallCluster) -> None:
    await whole(cluster)
    cluster.scale(RESOURCE, "web", 0)
    await cluster.until(lambda: not cluster.pods(app="web"))
    cluster.scale(RESOURCE, "web", 3)
    await cluster.until(lambda: len(cluster.ready_pods(app="web")) == 3)


async def test_an_orphan_that_matches_is_adopted_and_one_that_no_longer_does_is_released(cluster: SmallCluster) -> None:
    orphan: Object = {"metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "web"}}}
    cluster.create("pods", orphan | {"spec": pod_template("web")["spec"]})
    await whole(cluster)
    assert cluster.get("pods", "orphan")["metadata"]["ownerReferences"][0]["name"] == "web"
    cluster.patch("pods", "orphan", lambda pod: pod["metadata"]["labels"].update(app="other"))
    await cluster.until(lambda: "ownerReferences" not in cluster.get("pods", "orphan")["metadata"])
    await cluster.until(lambda: len(cluster.ready_pods(app="web")) == 2)


async def test_its_pods_go_with_it_or_stay_when_orphaned(cluster: SmallCluster) -> None:
    await whole(cluster)
    cluster.registry.delete(RESOURCE, "default", "web", propagation="Orphan")
    await cluster.until(lambda: cluster.registry.get(RESOURCE, "default", "web") is None)
    assert len(cluster.ready_pods(app="web")) == 2
    before = uids(cluster)
    await whole(cluster)
    assert uids(cluster) == before
    cluster.registry.delete(RESOURCE, "default", "web", propagation="Foreground")
    await cluster.until(lambda: not cluster.pods() and cluster.registry.get(RESOURCE, "default", "web") is None)


async def test_a_budget_knows_its_scale(cluster: SmallCluster) -> None:
    await whole(cluster, 3)
    cluster.create("poddisruptionbudgets.policy", budget(maxUnavailable=1))
    await cluster.until(
        lambda: cluster.get("poddisruptionbudgets.policy", "web").get("status", {}).get("disruptionsAllowed") == 1
    )
    assert cluster.get("poddisruptionbudgets.policy", "web")["status"]["expectedPods"] == 3
