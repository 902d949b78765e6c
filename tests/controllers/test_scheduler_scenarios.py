"""The scheduler against the real registry: binding, refusing, and trying again when something changed."""

from tests.controllers.small_cluster import SmallCluster, node_object
from tests.controllers.workloads import deployment, pod


def bare(name: str, cpu: str = "0", **spec: object) -> dict[str, object]:
    container = {"name": "main", "image": "kubediff/echo:1", "resources": {"requests": {"cpu": cpu}}}
    metadata = {"name": name, "namespace": "default", "labels": {"app": "web"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def node_of(cluster: SmallCluster, name: str) -> str:
    return str(cluster.get("pods", name)["spec"].get("nodeName", ""))


def scheduled_condition(cluster: SmallCluster, name: str) -> dict[str, str]:
    conditions = cluster.get("pods", name)["status"].get("conditions") or []
    return next((each for each in conditions if each["type"] == "PodScheduled"), {})


async def test_replicas_go_to_different_nodes_and_the_binding_is_told(cluster: SmallCluster) -> None:
    cluster.create("deployments.apps", deployment(replicas=3))
    await cluster.until(lambda: len(cluster.ready_pods()) == 3)
    assert {pod["spec"]["nodeName"] for pod in cluster.pods()} == {"sandbox-1", "sandbox-2", "sandbox-3"}
    messages = {event["message"] for event in cluster.events("Scheduled")}
    bound = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in cluster.pods()}
    assert messages == {f"Successfully assigned default/{name} to {node}" for name, node in bound.items()}


async def test_a_pod_that_fits_nowhere_waits_and_is_bound_when_a_node_comes(cluster: SmallCluster) -> None:
    cluster.create("pods", bare("big", cpu="6"))
    await cluster.until(lambda: scheduled_condition(cluster, "big").get("reason") == "Unschedulable")
    (event,) = cluster.events("FailedScheduling")
    assert event["type"] == "Warning"
    assert event["message"] == scheduled_condition(cluster, "big")["message"]
    assert event["message"].startswith("0/3 nodes are available: 3 Insufficient cpu.")
    cluster.create("nodes", node_object("large", cpu="8"))
    await cluster.until(lambda: node_of(cluster, "big") == "large")
    assert scheduled_condition(cluster, "big")["status"] == "True"


async def test_a_pod_is_bound_when_another_makes_room(cluster: SmallCluster) -> None:
    for number in (1, 2, 3):
        cluster.create("pods", bare(f"holder-{number}", cpu="4"))
    await cluster.until(lambda: len(cluster.ready_pods()) == 3)
    cluster.create("pods", bare("waiting", cpu="4"))
    await cluster.until(lambda: cluster.events("FailedScheduling"))
    cluster.registry.delete("pods", "default", "holder-2")
    await cluster.until(lambda: node_of(cluster, "waiting"))


async def test_an_uncordoned_node_takes_pods_again(cluster: SmallCluster) -> None:
    def cordon(name: str, unschedulable: bool) -> None:
        node = cluster.get("nodes", name, "")
        node["spec"]["unschedulable"] = unschedulable
        cluster.registry.update("nodes", node)

    for name in ("sandbox-1", "sandbox-2", "sandbox-3"):
        cordon(name, unschedulable=True)
    await cluster.settled()
    taints = cluster.get("nodes", "sandbox-1", "")["spec"]["taints"]
    assert [(taint["key"], taint["effect"]) for taint in taints] == [("node.kubernetes.io/unschedulable", "NoSchedule")]
    cluster.create("pods", bare("late"))
    await cluster.until(lambda: cluster.events("FailedScheduling"))
    cordon("sandbox-2", unschedulable=False)
    await cluster.until(lambda: node_of(cluster, "late") == "sandbox-2")


async def test_a_pod_of_another_scheduler_and_one_with_a_gate_are_left_alone(cluster: SmallCluster) -> None:
    cluster.create("pods", bare("theirs", schedulerName="other"))
    cluster.create("pods", bare("gated", schedulingGates=[{"name": "example.com/wait"}]))
    await cluster.settled()
    assert node_of(cluster, "theirs") == node_of(cluster, "gated") == ""


async def test_a_pod_waits_for_its_claim(cluster: SmallCluster) -> None:
    made = pod("claimant", spec={"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "mine"}}]})
    cluster.create("pods", {key: value for key, value in made.items() if key != "status"})
    await cluster.until(lambda: cluster.events("FailedScheduling"))
    assert 'persistentvolumeclaim "mine" not found' in scheduled_condition(cluster, "claimant")["message"]
    claim = {
        "metadata": {"name": "mine", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    cluster.create("persistentvolumeclaims", claim)
    await cluster.until(lambda: node_of(cluster, "claimant"))


async def test_a_node_without_a_spec_takes_pods(cluster: SmallCluster) -> None:
    for name in ("sandbox-1", "sandbox-2", "sandbox-3"):
        cluster.registry.delete("nodes", "", name)
    cluster.create("nodes", {key: value for key, value in node_object("bare").items() if key != "spec"})
    cluster.create("pods", bare("first"))
    await cluster.until(lambda: node_of(cluster, "first") == "bare")
