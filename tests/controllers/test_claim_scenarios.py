"""Claims: a volume each, by request or by name, and what becomes of it."""

from typing import Any

from flametest.sandbox.objects import Object
from tests.controllers.small_cluster import SmallCluster

CLAIMS = "persistentvolumeclaims"
VOLUMES = "persistentvolumes"


def claim(name: str = "data", **spec: Any) -> Object:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": wanted}


def volume(name: str) -> Object:
    spec = {"capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/somewhere"}}
    return {"metadata": {"name": name}, "spec": {**spec, "persistentVolumeReclaimPolicy": "Retain"}}


def phase(cluster: SmallCluster, resource: str, name: str) -> str:
    namespace = "default" if resource == CLAIMS else ""
    found = cluster.registry.get(resource, namespace, name) or {}
    return str(found.get("status", {}).get("phase", ""))


async def test_a_claim_gets_a_volume_of_the_size_it_asked_for(cluster: SmallCluster) -> None:
    cluster.create(CLAIMS, claim())
    await cluster.until(lambda: phase(cluster, CLAIMS, "data") == "Bound")
    bound = cluster.get(CLAIMS, "data")
    assert bound["spec"]["volumeName"] == f"pvc-{bound['metadata']['uid']}"
    assert bound["status"]["capacity"] == {"storage": "1Gi"}
    assert phase(cluster, VOLUMES, bound["spec"]["volumeName"]) == "Bound"
    await cluster.settled()
    assert len(cluster.events("ProvisioningSucceeded")) == 1


async def test_a_claim_that_names_a_volume_waits_for_it_and_leaves_it_when_it_goes(cluster: SmallCluster) -> None:
    cluster.create(CLAIMS, claim(volumeName="mine"))
    await cluster.settled()
    assert phase(cluster, CLAIMS, "data") == "Pending"
    cluster.create(VOLUMES, volume("mine"))
    await cluster.until(lambda: phase(cluster, CLAIMS, "data") == "Bound")
    assert cluster.get(VOLUMES, "mine", "")["spec"]["claimRef"]["name"] == "data"
    cluster.registry.delete(CLAIMS, "default", "data")
    await cluster.until(lambda: phase(cluster, VOLUMES, "mine") == "Released")


async def test_the_volume_of_another_claim_is_not_taken(cluster: SmallCluster) -> None:
    cluster.create(CLAIMS, claim("first"))
    await cluster.until(lambda: phase(cluster, CLAIMS, "first") == "Bound")
    name = cluster.get(CLAIMS, "first")["spec"]["volumeName"]
    cluster.create(CLAIMS, claim("second", volumeName=name))
    await cluster.settled()
    assert phase(cluster, CLAIMS, "second") == "Pending"
    assert cluster.get(VOLUMES, name, "")["spec"]["claimRef"]["name"] == "first"


async def test_a_new_claim_of_an_old_name_gets_a_new_volume(cluster: SmallCluster) -> None:
    cluster.create(CLAIMS, claim())
    await cluster.until(lambda: phase(cluster, CLAIMS, "data") == "Bound")
    before = cluster.get(CLAIMS, "data")["spec"]["volumeName"]
    cluster.registry.delete(CLAIMS, "default", "data")
    cluster.create(CLAIMS, claim())
    await cluster.until(lambda: phase(cluster, CLAIMS, "data") == "Bound")
    await cluster.until(lambda: cluster.registry.get(VOLUMES, "", before) is None)
    assert cluster.get(CLAIMS, "data")["spec"]["volumeName"] != before
