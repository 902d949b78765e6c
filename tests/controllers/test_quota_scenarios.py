"""Quotas count what is used of them, and workloads go on as soon as there is room."""

from typing import Any

from flametest.sandbox.objects import Object
from tests.controllers.small_cluster import SmallCluster
from tests.controllers.workloads import replication_controller


def quota(**hard: str) -> Object:
    named = {name.replace("_", "."): amount for name, amount in hard.items()}
    return {"metadata": {"name": "quota", "namespace": "default"}, "spec": {"hard": named}}


def used(cluster: SmallCluster) -> Any:
    return cluster.get("resourcequotas", "quota").get("status", {}).get("used")


async def test_the_status_follows_what_comes_and_goes(cluster: SmallCluster) -> None:
    cluster.create("resourcequotas", quota(pods="10", requests_cpu="2", replicationcontrollers="3"))
    await cluster.until(lambda: used(cluster) == {"pods": "0", "requests.cpu": "0", "replicationcontrollers": "0"})
    assert cluster.get("resourcequotas", "quota")["status"]["hard"]["pods"] == "10"
    owner = replication_controller(replicas=2)
    owner["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "300m"}}
    cluster.create("replicationcontrollers", owner)
    await cluster.until(lambda: used(cluster) == {"pods": "2", "requests.cpu": "600m", "replicationcontrollers": "1"})
    cluster.scale("replicationcontrollers", "web", 0)
    await cluster.until(lambda: used(cluster) == {"pods": "0", "requests.cpu": "0", "replicationcontrollers": "1"})


async def test_a_workload_beyond_its_quota_says_why_and_goes_on_when_there_is_room(cluster: SmallCluster) -> None:
    cluster.create("resourcequotas", quota(pods="1"))
    cluster.create("replicationcontrollers", replication_controller(replicas=2))
    await cluster.until(lambda: cluster.events("FailedCreate"))
    assert "exceeded quota: quota" in cluster.events("FailedCreate")[0]["message"]
    assert len(cluster.pods()) == 1
    cluster.patch("resourcequotas", "quota", lambda one: one["spec"]["hard"].update(pods="2"))
    await cluster.until(lambda: len(cluster.ready_pods()) == 2)
