"""StatefulSets: order, names, claims, rolling updates and partitions."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.controllers.changes import Create, Delete
from flametest.sandbox.controllers.metadata import controller_reference
from flametest.sandbox.controllers.statefulset import Observed, plan
from flametest.sandbox.objects import Object
from tests.controllers.small_cluster import SmallCluster
from tests.controllers.workloads import pod, stateful_set

SETS = "statefulsets.apps"
CLAIMS = "persistentvolumeclaims"


def names(cluster: SmallCluster) -> list[str]:
    return [pod["metadata"]["name"] for pod in cluster.pods()]


def change_template(cluster: SmallCluster, version: str) -> None:
    cluster.patch(SETS, "db", lambda obj: obj["spec"]["template"]["metadata"].update(annotations={"version": version}))


def versions(cluster: SmallCluster) -> dict[str, str]:
    return {
        pod["metadata"]["name"]: (pod["metadata"].get("annotations") or {}).get("version", "") for pod in cluster.pods()
    }


def is_new(cluster: SmallCluster, before: Object) -> bool:
    found = cluster.registry.get("pods", "default", "db-0")
    return found is not None and bool(found["metadata"]["uid"] != before["metadata"]["uid"])


def is_settled(cluster: SmallCluster) -> bool:
    found = cluster.get(SETS, "db")
    status, wanted = found.get("status", {}), found["spec"]["replicas"]
    observed = status.get("observedGeneration") == found["metadata"]["generation"]
    return bool(observed and status.get("replicas") == wanted and status.get("readyReplicas", 0) == wanted)


async def test_pods_are_made_one_after_another_when_the_one_before_is_ready(cluster: SmallCluster) -> None:
    cluster.agent.may_start = lambda pod: False
    cluster.create(SETS, stateful_set(replicas=3))
    await cluster.until(lambda: names(cluster) == ["db-0"])
    await cluster.settled()
    assert names(cluster) == ["db-0"]
    cluster.agent.may_start = lambda pod: True
    cluster.agent.look_at_all()
    await cluster.until(lambda: is_settled(cluster))
    added = [event.object["metadata"]["name"] for event in cluster.seen_of("pods") if event.type == "ADDED"]
    assert added == ["db-0", "db-1", "db-2"]


async def test_a_pod_has_its_name_labels_host_name_and_claim(cluster: SmallCluster) -> None:
    cluster.create(SETS, stateful_set(replicas=1))
    await cluster.until(lambda: is_settled(cluster))
    (pod,), owner = cluster.pods(), cluster.get(SETS, "db")
    assert pod["metadata"]["labels"] == {
        "app": "db",
        "apps.kubernetes.io/pod-index": "0",
        "controller-revision-hash": owner["status"]["currentRevision"],
        "statefulset.kubernetes.io/pod-name": "db-0",
    }
    assert not cluster.events("FailedScheduling")
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-0", "db")
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}} in pod["spec"]["volumes"]
    claim = cluster.get(CLAIMS, "data-db-0")
    assert claim["status"]["phase"] == "Bound"
    volume = cluster.get("persistentvolumes", claim["spec"]["volumeName"], "")
    assert volume["status"]["phase"] == "Bound"
    assert volume["spec"]["claimRef"]["name"] == "data-db-0"
    messages = {event["message"] for event in cluster.events("SuccessfulCreate")}
    assert "create Pod db-0 in StatefulSet db successful" in messages
    assert "create Claim data-db-0 Pod db-0 in StatefulSet db success" in messages


async def test_a_deleted_pod_comes_back_under_its_name_with_its_claim(cluster: SmallCluster) -> None:
    cluster.create(SETS, stateful_set(replicas=1))
    await cluster.until(lambda: is_settled(cluster))
    before, volume = cluster.get("pods", "db-0"), cluster.get(CLAIMS, "data-db-0")["spec"]["volumeName"]
    cluster.registry.delete("pods", "default", "db-0")
    await cluster.until(lambda: is_settled(cluster) and is_new(cluster, before))
    assert cluster.get(CLAIMS, "data-db-0")["spec"]["volumeName"] == volume


async def test_parallel_makes_all_pods_at_once(cluster: SmallCluster) -> None:
    cluster.agent.may_start = lambda pod: False
    cluster.create(SETS, stateful_set(replicas=3, podManagementPolicy="Parallel"))
    await cluster.until(lambda: names(cluster) == ["db-0", "db-1", "db-2"])


async def test_scaling_down_removes_the_highest_first_and_keeps_the_claims(cluster: SmallCluster) -> None:
    cluster.create(SETS, stateful_set(replicas=3))
    await cluster.until(lambda: is_settled(cluster))
    start = len(cluster.seen)
    cluster.scale(SETS, "db", 1)
    await cluster.until(lambda: is_settled(cluster) and names(cluster) == ["db-0"])
    gone = [event.object["metadata"]["name"] for event in cluster.seen_of("pods", start) if event.type == "DELETED"]
    assert gone == ["db-2", "db-1"]
    assert len(cluster.registry.list(CLAIMS, "default")) == 3


async def test_a_rolling_update_goes_from_the_highest_to_the_partition(cluster: SmallCluster) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    cluster.create(SETS, stateful_set(replicas=3, updateStrategy=strategy))
    await cluster.until(lambda: is_settled(cluster))
    start = len(cluster.seen)
    change_template(cluster, "2")
    await cluster.until(lambda: versions(cluster) == {"db-0": "", "db-1": "2", "db-2": "2"} and is_settled(cluster))
    gone = [event.object["metadata"]["name"] for event in cluster.seen_of("pods", start) if event.type == "DELETED"]
    assert gone == ["db-2", "db-1"]
    await cluster.settled()
    status = cluster.get(SETS, "db")["status"]
    assert status["currentRevision"] != status["updateRevision"]
    assert (status["currentReplicas"], status["updatedReplicas"]) == (1, 2)
    cluster.registry.delete("pods", "default", "db-0")
    await cluster.until(lambda: is_settled(cluster) and len(cluster.ready_pods()) == 3)
    assert versions(cluster)["db-0"] == ""
    cluster.patch(SETS, "db", lambda obj: obj["spec"].update(updateStrategy={"type": "RollingUpdate"}))
    await cluster.until(lambda: set(versions(cluster).values()) == {"2"} and is_settled(cluster))
    await cluster.settled()
    status = cluster.get(SETS, "db")["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert status["currentReplicas"] == 3
    assert [each["revision"] for each in cluster.registry.list("controllerrevisions.apps", "default")].count(2) == 1


async def test_on_delete_waits_for_somebody_to_delete(cluster: SmallCluster) -> None:
    cluster.create(SETS, stateful_set(replicas=1, updateStrategy={"type": "OnDelete"}))
    await cluster.until(lambda: is_settled(cluster))
    change_template(cluster, "2")
    await cluster.settled()
    assert versions(cluster) == {"db-0": ""}
    cluster.registry.delete("pods", "default", "db-0")
    await cluster.until(lambda: versions(cluster) == {"db-0": "2"})


async def test_a_failed_pod_is_replaced(cluster: SmallCluster) -> None:
    cluster.create(SETS, stateful_set(replicas=1))
    await cluster.until(lambda: is_settled(cluster))
    before = cluster.get("pods", "db-0")
    cluster.registry.update_status("pods", {**before, "status": {**before["status"], "phase": "Failed"}})
    await cluster.until(lambda: is_settled(cluster) and is_new(cluster, before))


async def test_the_volume_goes_with_its_claim(cluster: SmallCluster) -> None:
    cluster.create(SETS, stateful_set(replicas=1))
    await cluster.until(lambda: is_settled(cluster))
    cluster.registry.delete(SETS, "default", "db")
    await cluster.until(lambda: not cluster.pods())
    assert cluster.registry.list("persistentvolumes")
    cluster.registry.delete(CLAIMS, "default", "data-db-0")
    await cluster.until(lambda: not cluster.registry.list("persistentvolumes"))


states = st.sampled_from(["absent", "pending", "ready", "ending", "failed"])


@given(st.integers(0, 4), st.lists(states, min_size=6, max_size=6))
def test_an_ordered_set_takes_at_most_one_step_and_only_when_all_before_are_ready(
    replicas: int, found: list[str]
) -> None:
    owner = stateful_set(replicas=replicas)
    owner["metadata"] |= {"uid": "uid-owner", "generation": 1}
    pods = [_in_state(f"db-{ordinal}", owner, state) for ordinal, state in enumerate(found) if state != "absent"]
    changes = plan(Observed(owner, tuple(pods), frozenset(), (), datetime(2026, 1, 2, tzinfo=UTC))).changes
    made = [change.object["metadata"]["name"] for change in changes if isinstance(change, Create)]
    made = [name for name in made if name.startswith("db-") and name[3:].isdecimal()]
    ended = [change.reference.name for change in changes if isinstance(change, Delete)]
    assert len(made) + len(ended) <= 1
    for name in made:
        ordinal = int(name[3:])
        assert found[ordinal] == "absent"
        assert all(state == "ready" for state in found[:ordinal])


def _in_state(name: str, owner: Object, state: str) -> Object:
    made = pod(name, node="sandbox-1", labels={"app": "db"}, ready=state == "ready")
    made["metadata"]["ownerReferences"] = [controller_reference(owner)]
    if state == "failed":
        made["status"]["phase"] = "Failed"
    if state == "ending":
        made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return made
