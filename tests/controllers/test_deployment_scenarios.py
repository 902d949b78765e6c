"""Deployments against the real registry: the order of events of a real cluster, and every way a rollout can go."""

import asyncio
from typing import Any

from flametest.sandbox.objects import Object
from tests.controllers.small_cluster import SmallCluster
from tests.controllers.workloads import deployment, pod_template, service

DEPLOYMENTS = "deployments.apps"
REPLICA_SETS = "replicasets.apps"
SLICES = "endpointslices.discovery.k8s.io"


def status_of(cluster: SmallCluster, name: str = "web") -> Object:
    status: Object = cluster.get(DEPLOYMENTS, name).get("status", {})
    return status


def told(status: Object) -> list[str]:
    return [f"{each['type']}={each['status']} {each['reason']}" for each in status.get("conditions", [])]


def is_rolled_out(cluster: SmallCluster, name: str = "web") -> bool:
    found = cluster.get(DEPLOYMENTS, name)
    wanted, status = found["spec"]["replicas"], found.get("status", {})
    counts = [status.get(f"{kind}Replicas", 0) for kind in ("updated", "available")]
    observed = status.get("observedGeneration") == found["metadata"]["generation"]
    return observed and [*counts, status.get("replicas", 0)] == [wanted] * 3


async def deployed(cluster: SmallCluster, **options: Any) -> None:
    cluster.create(DEPLOYMENTS, deployment(**options))
    await cluster.until(lambda: is_rolled_out(cluster), "rolled out")


def change_template(cluster: SmallCluster, version: str) -> None:
    cluster.patch(
        DEPLOYMENTS, "web", lambda obj: obj["spec"]["template"]["metadata"].update(annotations={"version": version})
    )


async def test_a_new_deployment_shows_the_steps_of_a_real_cluster(cluster: SmallCluster) -> None:
    await deployed(cluster)
    await cluster.settled()
    steps = [told(event.object["status"]) for event in cluster.seen_of(DEPLOYMENTS) if "status" in event.object]
    distinct = [step for index, step in enumerate(steps) if step and (index == 0 or step != steps[index - 1])]
    assert distinct == [
        ["Progressing=True NewReplicaSetCreated"],
        ["Progressing=True NewReplicaSetCreated", "Available=False MinimumReplicasUnavailable"],
        ["Available=False MinimumReplicasUnavailable", "Progressing=True ReplicaSetUpdated"],
        ["Available=True MinimumReplicasAvailable", "Progressing=True NewReplicaSetAvailable"],
    ]
    assert {**status_of(cluster), "conditions": []} == {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "terminatingReplicas": 0,
        "conditions": [],
    }


async def test_its_replica_set_carries_hash_revision_and_sizes(cluster: SmallCluster) -> None:
    await deployed(cluster, replicas=3)
    owner = cluster.get(DEPLOYMENTS, "web")
    (made,) = cluster.registry.list(REPLICA_SETS, "default")
    digest = made["metadata"]["labels"]["pod-template-hash"]
    assert made["metadata"]["name"] == f"web-{digest}"
    assert made["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": digest}
    assert made["metadata"]["annotations"] == {
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
        "deployment.kubernetes.io/revision": "1",
    }
    assert owner["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
    for pod in cluster.pods():
        assert pod["metadata"]["labels"] == {"app": "web", "pod-template-hash": digest}
        assert pod["metadata"]["generateName"] == f"web-{digest}-"
        assert pod["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]


async def test_a_deleted_pod_is_replaced_while_it_still_ends(cluster: SmallCluster) -> None:
    cluster.create("services", service())
    await deployed(cluster)
    await cluster.settled()
    cluster.agent.may_end = cluster.agent.may_start = lambda pod: False
    start, doomed = len(cluster.seen), cluster.pods()[0]["metadata"]["name"]
    cluster.registry.delete("pods", "default", doomed)
    await cluster.settled()
    counts = [
        tuple(event.object["status"].get(field, 0) for field in ("replicas", "readyReplicas", "terminatingReplicas"))
        for event in cluster.seen_of(REPLICA_SETS, start)
    ]
    assert counts == [(1, 1, 1), (2, 1, 1)]
    unavailable = [event.object["status"] for event in cluster.seen_of(DEPLOYMENTS, start)][-1]
    assert told(unavailable)[-1] == "Available=False MinimumReplicasUnavailable"
    assert (unavailable["terminatingReplicas"], unavailable["unavailableReplicas"]) == (1, 1)
    resources = [event.resource for event in cluster.seen[start:] if event.resource in ("pods", SLICES)]
    # Marked, then its replacement, then the slice, then the replacement is bound: as on a real cluster.
    assert resources == ["pods", "pods", SLICES, "pods"]
    cluster.agent.may_end = cluster.agent.may_start = lambda pod: True
    cluster.agent.look_at_all()
    await cluster.until(lambda: len(cluster.pods()) == 2 and len(cluster.ready_pods()) == 2)
    await cluster.settled()
    assert status_of(cluster)["terminatingReplicas"] == 0
    assert told(status_of(cluster)) == [
        "Progressing=True NewReplicaSetAvailable",
        "Available=True MinimumReplicasAvailable",
    ]


async def test_a_rolling_update_never_has_fewer_ready_pods_than_allowed(cluster: SmallCluster) -> None:
    await deployed(cluster, replicas=4)
    start = len(cluster.seen)
    change_template(cluster, "2")
    await cluster.until(lambda: is_rolled_out(cluster) and len(cluster.pods()) == 4)
    for event in cluster.seen_of(DEPLOYMENTS, start):
        assert event.object["status"].get("availableReplicas", 0) >= 3
        assert event.object["status"]["replicas"] <= 5
    assert status_of(cluster)["observedGeneration"] == 2
    assert cluster.get(DEPLOYMENTS, "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    old, new = sorted(cluster.registry.list(REPLICA_SETS, "default"), key=lambda each: each["spec"]["replicas"])
    assert (old["spec"]["replicas"], new["spec"]["replicas"]) == (0, 4)


async def test_the_first_steps_of_a_rolling_update_are_those_of_a_real_cluster(cluster: SmallCluster) -> None:
    await deployed(cluster)
    cluster.agent.may_end = lambda pod: False
    await cluster.settled()
    start = len(cluster.seen)
    change_template(cluster, "2")
    await cluster.until(lambda: is_rolled_out(cluster))
    scaled = [event["message"] for event in cluster.events("ScalingReplicaSet")][1:]
    old, new = (each.split(" ")[4] for each in (scaled[1], scaled[0]))
    assert scaled == [
        f"Scaled up replica set {new} from 0 to 1",
        f"Scaled down replica set {old} from 2 to 1",
        f"Scaled up replica set {new} from 1 to 2",
        f"Scaled down replica set {old} from 1 to 0",
    ]
    assert cluster.seen_of(REPLICA_SETS, start)[0].type == "ADDED"
    # On a real cluster the rollout counts as done although the old pods have not ended.
    assert status_of(cluster)["terminatingReplicas"] == 2


async def test_scaling_down_to_nothing_stays_available(cluster: SmallCluster) -> None:
    await deployed(cluster)
    cluster.scale(DEPLOYMENTS, "web", 0)
    await cluster.until(lambda: not cluster.pods())
    await cluster.settled()
    status = status_of(cluster)
    assert "replicas" not in status
    assert told(status) == ["Available=True MinimumReplicasAvailable", "Progressing=True NewReplicaSetAvailable"]


async def test_recreate_ends_all_old_pods_before_the_first_new_one(cluster: SmallCluster) -> None:
    await deployed(cluster, strategy={"type": "Recreate"})
    cluster.agent.may_end = lambda pod: False
    change_template(cluster, "2")
    await cluster.until(lambda: all(pod["metadata"].get("deletionTimestamp") for pod in cluster.pods()))
    await cluster.settled()
    assert len(cluster.pods()) == 2
    cluster.agent.may_end = lambda pod: True
    cluster.agent.look_at_all()
    await cluster.until(lambda: is_rolled_out(cluster))
    assert all(pod["metadata"]["annotations"] == {"version": "2"} for pod in cluster.pods())


async def test_a_rollback_takes_the_old_replica_set_again_under_a_new_revision(cluster: SmallCluster) -> None:
    await deployed(cluster)
    for version in ("2", "3", "2"):
        change_template(cluster, version)
        await cluster.until(lambda: is_rolled_out(cluster))
    sets = cluster.registry.list(REPLICA_SETS, "default")
    assert len(sets) == 3
    active = next(each for each in sets if each["spec"]["replicas"])
    assert active["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "4"
    assert active["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "2"
    assert cluster.get(DEPLOYMENTS, "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "4"


async def test_old_replica_sets_beyond_the_limit_are_forgotten(cluster: SmallCluster) -> None:
    await deployed(cluster, revisionHistoryLimit=1)
    for version in ("2", "3", "4"):
        change_template(cluster, version)
        await cluster.until(lambda: is_rolled_out(cluster))
    await cluster.until(lambda: len(cluster.registry.list(REPLICA_SETS, "default")) == 2)


async def test_a_paused_deployment_scales_but_rolls_out_only_when_resumed(cluster: SmallCluster) -> None:
    await deployed(cluster)
    cluster.patch(DEPLOYMENTS, "web", lambda obj: obj["spec"].update(paused=True))
    await cluster.until(lambda: "Progressing=Unknown DeploymentPaused" in told(status_of(cluster)))
    change_template(cluster, "2")
    cluster.scale(DEPLOYMENTS, "web", 3)
    await cluster.until(lambda: len(cluster.ready_pods()) == 3)
    await cluster.settled()
    assert len(cluster.registry.list(REPLICA_SETS, "default")) == 1
    cluster.patch(DEPLOYMENTS, "web", lambda obj: obj["spec"].update(paused=False))
    await cluster.until(lambda: is_rolled_out(cluster))
    assert len(cluster.registry.list(REPLICA_SETS, "default")) == 2
    assert "Progressing=True NewReplicaSetAvailable" in told(status_of(cluster))


async def test_a_rollout_that_does_not_get_on_misses_its_deadline_and_recovers(cluster: SmallCluster) -> None:
    await deployed(cluster, progressDeadlineSeconds=1)
    cluster.agent.may_start = lambda pod: pod["metadata"].get("annotations") != {"version": "2"}
    change_template(cluster, "2")
    await cluster.until(lambda: "Progressing=False ProgressDeadlineExceeded" in told(status_of(cluster)))
    status = status_of(cluster)
    assert told(status)[0] == "Available=True MinimumReplicasAvailable"
    assert [status[f"{kind}Replicas"] for kind in ("available", "unavailable", "updated")] == [2, 1, 1]
    change_template(cluster, "3")
    await cluster.until(lambda: is_rolled_out(cluster))
    assert "Progressing=True NewReplicaSetAvailable" in told(status_of(cluster))


async def test_min_ready_seconds_delay_availability(cluster: SmallCluster) -> None:
    cluster.create(DEPLOYMENTS, deployment(replicas=1, minReadySeconds=1))
    await cluster.until(lambda: status_of(cluster).get("readyReplicas") == 1)
    ready_at = asyncio.get_running_loop().time()
    assert "availableReplicas" not in status_of(cluster)
    await cluster.until(lambda: is_rolled_out(cluster))
    # The ready condition's time is to the second, so that the wait may be shorter than it, but not nothing.
    assert asyncio.get_running_loop().time() > ready_at


async def test_a_name_that_is_taken_by_another_set_is_counted_as_a_collision(cluster: SmallCluster) -> None:
    await deployed(cluster)
    (first,) = cluster.registry.list(REPLICA_SETS, "default")
    cluster.registry.delete(DEPLOYMENTS, "default", "web", propagation="Orphan")
    await cluster.until(lambda: cluster.registry.get(DEPLOYMENTS, "default", "web") is None)

    def claimed_by_nobody_else(obj: Object) -> None:
        obj["metadata"]["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "Other", "name": "x", "uid": "x", "controller": True}
        ]

    cluster.patch(REPLICA_SETS, first["metadata"]["name"], claimed_by_nobody_else)
    cluster.create(DEPLOYMENTS, deployment())
    await cluster.until(lambda: status_of(cluster).get("collisionCount") == 1)
    await cluster.until(lambda: len(cluster.registry.list(REPLICA_SETS, "default")) == 2)


async def test_an_orphaned_replica_set_is_adopted_by_the_next_deployment(cluster: SmallCluster) -> None:
    await deployed(cluster)
    before = {pod["metadata"]["uid"] for pod in cluster.pods()}
    cluster.registry.delete(DEPLOYMENTS, "default", "web", propagation="Orphan")
    await cluster.until(lambda: cluster.registry.get(DEPLOYMENTS, "default", "web") is None)
    await cluster.settled()
    (orphan,) = cluster.registry.list(REPLICA_SETS, "default")
    assert "ownerReferences" not in orphan["metadata"]
    cluster.create(DEPLOYMENTS, deployment())
    await cluster.until(lambda: is_rolled_out(cluster))
    assert {pod["metadata"]["uid"] for pod in cluster.pods()} == before


async def test_a_replacement_exists_and_is_bound_within_milliseconds(cluster: SmallCluster) -> None:
    await deployed(cluster, replicas=3, template=pod_template("web"))
    await cluster.settled()
    cluster.agent.may_start = lambda pod: False
    clock = asyncio.get_running_loop().time
    names = {pod["metadata"]["name"] for pod in cluster.pods()}
    start = clock()
    cluster.registry.delete("pods", "default", min(names))
    await cluster.until(
        lambda: any(pod["spec"].get("nodeName") for pod in cluster.pods() if pod["metadata"]["name"] not in names)
    )
    assert clock() - start < 0.25  # It takes some 3 ms; the bound leaves room for a busy machine.
