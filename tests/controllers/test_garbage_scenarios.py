"""Garbage collection: what goes with an owner, what holds it, what is let go."""

from flametest.sandbox.apiserver.resources import CATALOGUE
from flametest.sandbox.controllers.kinds import kind_named
from flametest.sandbox.objects import Object
from tests.controllers.small_cluster import SmallCluster
from tests.controllers.workloads import deployment

DEPLOYMENTS = "deployments.apps"
REPLICA_SETS = "replicasets.apps"


def config(name: str, *owners: Object, blocks: bool = False) -> Object:
    references = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": blocks,
        }
        for owner in owners
    ]
    metadata = {"name": name, "namespace": "default", "ownerReferences": references}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def exists(cluster: SmallCluster, name: str, resource: str = "configmaps") -> bool:
    return cluster.registry.get(resource, "default", name) is not None


async def deployed(cluster: SmallCluster) -> None:
    cluster.create(DEPLOYMENTS, deployment())
    await cluster.until(lambda: len(cluster.ready_pods()) == 2)


async def test_a_background_deletion_takes_everything_along(cluster: SmallCluster) -> None:
    await deployed(cluster)
    cluster.registry.delete(DEPLOYMENTS, "default", "web")
    assert not exists(cluster, "web", DEPLOYMENTS)
    await cluster.until(lambda: not cluster.pods() and not cluster.registry.list(REPLICA_SETS))


async def test_a_foreground_deletion_goes_from_the_bottom_up(cluster: SmallCluster) -> None:
    await deployed(cluster)
    cluster.agent.may_end = lambda pod: False
    cluster.registry.delete(DEPLOYMENTS, "default", "web", propagation="Foreground")
    await cluster.until(lambda: all(pod["metadata"].get("deletionTimestamp") for pod in cluster.pods()))
    await cluster.settled()
    assert exists(cluster, "web", DEPLOYMENTS)
    assert len(cluster.pods()) == 2
    cluster.agent.may_end = lambda pod: True
    cluster.agent.look_at_all()
    await cluster.until(lambda: not exists(cluster, "web", DEPLOYMENTS))
    await cluster.settled()
    gone = [event.resource for event in cluster.seen if event.type == "DELETED" and event.resource != "events"]
    assert gone == ["pods", "pods", REPLICA_SETS, DEPLOYMENTS]


async def test_an_orphaning_deletion_leaves_the_dependents_without_their_owner(cluster: SmallCluster) -> None:
    await deployed(cluster)
    cluster.registry.delete(DEPLOYMENTS, "default", "web", propagation="Orphan")
    await cluster.until(lambda: not exists(cluster, "web", DEPLOYMENTS))
    await cluster.settled()
    (left,) = cluster.registry.list(REPLICA_SETS, "default")
    assert "ownerReferences" not in left["metadata"]
    assert len(cluster.ready_pods()) == 2


async def test_a_dependent_of_an_owner_that_never_was_goes(cluster: SmallCluster) -> None:
    absent = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "absent", "uid": "no-such-uid"}}
    cluster.create("configmaps", config("child", absent))
    await cluster.until(lambda: not exists(cluster, "child"))


async def test_an_owner_of_the_same_name_but_another_identity_does_not_count(cluster: SmallCluster) -> None:
    owner = cluster.create("configmaps", config("owner"))
    cluster.create("configmaps", config("child", {**owner, "metadata": {**owner["metadata"], "uid": "another"}}))
    await cluster.until(lambda: not exists(cluster, "child"))
    assert exists(cluster, "owner")


async def test_one_living_owner_is_enough(cluster: SmallCluster) -> None:
    one, two = (cluster.create("configmaps", config(name)) for name in ("one", "two"))
    cluster.create("configmaps", config("child", one, two))
    cluster.registry.delete("configmaps", "default", "one")
    await cluster.until(lambda: len(cluster.get("configmaps", "child")["metadata"]["ownerReferences"]) == 1)
    cluster.registry.delete("configmaps", "default", "two")
    await cluster.until(lambda: not exists(cluster, "child"))


async def test_a_dependent_that_does_not_block_does_not_hold_up_a_foreground_deletion(cluster: SmallCluster) -> None:
    owner = cluster.create("configmaps", config("owner"))
    held = config("held", owner)
    held["metadata"]["finalizers"] = ["example.com/mine"]
    cluster.create("configmaps", held)
    cluster.registry.delete("configmaps", "default", "owner", propagation="Foreground")
    await cluster.until(lambda: not exists(cluster, "owner"))
    await cluster.until(lambda: cluster.get("configmaps", "held")["metadata"].get("deletionTimestamp"))


async def test_what_a_cluster_role_owns_goes_with_it(cluster: SmallCluster) -> None:
    group = "rbac.authorization.k8s.io"
    owner = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": "owner"}, "rules": []}
    made = cluster.create(f"clusterroles.{group}", owner)
    cluster.create("configmaps", config("child", made))
    await cluster.settled()
    assert exists(cluster, "child")
    cluster.registry.delete(f"clusterroles.{group}", "", "owner")
    await cluster.until(lambda: not exists(cluster, "child"))


def test_every_kind_that_is_stored_may_be_an_owner() -> None:
    passing = ("Event", "SelfSubjectAccessReview", "SelfSubjectReview")  # they end by themselves, or are not stored
    served = {
        (f"{one.group}/{one.version}".lstrip("/"), one.kind): (one.name, one.namespaced)
        for one in CATALOGUE
        if one.kind not in passing
    }
    found = {name: kind_named(*name) for name in served}
    assert served == {name: kind and (kind.resource, kind.namespaced) for name, kind in found.items()}


async def test_an_owner_of_a_kind_that_is_not_known_keeps_its_dependents(cluster: SmallCluster) -> None:
    stranger = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x", "uid": "x"}}
    cluster.create("configmaps", config("child", stranger))
    await cluster.settled()
    assert exists(cluster, "child")


async def test_a_namespace_takes_along_what_is_in_it(cluster: SmallCluster) -> None:
    cluster.create("namespaces", {"metadata": {"name": "work"}})
    inside = deployment()
    inside["metadata"]["namespace"] = "work"
    cluster.create(DEPLOYMENTS, inside)
    await cluster.until(lambda: len(cluster.ready_pods("work")) == 2)
    cluster.registry.delete("namespaces", "", "work")
    await cluster.until(lambda: cluster.registry.get("namespaces", "", "work") is None)
    assert not cluster.pods("work")
