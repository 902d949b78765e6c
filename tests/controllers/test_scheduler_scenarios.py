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


def cordon(cluster: SmallCluster, name: str, unschedulable: bool) -> None:
    node = cluster.get("nodes", name, "")
    node["spec"]["unschedulable"] = unschedulable
    cluster.registry.update("nodes", node)


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
    for name in ("sandbox-1", "sandbox-2", "sandbox-3"):
        cordon(cluster, name, unschedulable=True)
    await cluster.settled()
    taints = cluster.get("nodes", "sandbox-1", "")["spec"]["taints"]
    assert [(taint["key"], taint["effect"]) for taint in taints] == [("node.kubernetes.io/unschedulable", "NoSchedule")]
    cluster.create("pods", bare("late"))
    await cluster.until(lambda: cluster.events("FailedScheduling"))
    cordon(cluster, "sandbox-2", unschedulable=False)
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


def claim(name: str, storage_class: str | None) -> dict[str, object]:
    spec: dict[str, object] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    named = {} if storage_class is None else {"storageClassName": storage_class}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec | named}


def with_claim(name: str, claim_name: str) -> dict[str, object]:
    return bare(name, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}])


def storage_class(cluster: SmallCluster, name: str, mode: str, **annotations: str) -> None:
    made = {"metadata": {"name": name, "annotations": annotations}, "provisioner": "any", "volumeBindingMode": mode}
    cluster.create("storageclasses.storage.k8s.io", made)


def phase(cluster: SmallCluster, name: str) -> str:
    return str((cluster.get("persistentvolumeclaims", name).get("status") or {}).get("phase", ""))


async def test_a_local_volume_is_on_the_node_of_its_first_pod_and_keeps_later_ones_there(cluster: SmallCluster) -> None:
    """As on a Kubernetes v1.36.2 with local volumes, where a drain makes their pods wait; the words are its own."""
    storage_class(cluster, "disk", "WaitForFirstConsumer")
    cluster.create("persistentvolumeclaims", claim("data", "disk"))
    await cluster.settled()
    assert phase(cluster, "data") == "Pending"
    cluster.create("pods", with_claim("first", "data"))
    await cluster.until(lambda: node_of(cluster, "first"))
    node, bound = node_of(cluster, "first"), cluster.get("persistentvolumeclaims", "data")
    assert bound["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == node
    volume = cluster.get("persistentvolumes", bound["spec"]["volumeName"], "")
    assert volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"] == [
        {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    ]
    cordon(cluster, node, unschedulable=True)
    cluster.registry.delete("pods", "default", "first")
    cluster.create("pods", with_claim("second", "data"))
    await cluster.until(lambda: scheduled_condition(cluster, "second").get("reason") == "Unschedulable")
    assert scheduled_condition(cluster, "second")["message"] == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match PersistentVolume's node "
        "affinity. no new claims to deallocate, preemption: 0/3 nodes are available: "
        "3 Preemption is not helpful for scheduling."
    )
    cordon(cluster, node, unschedulable=False)
    await cluster.until(lambda: node_of(cluster, "second"))
    assert node_of(cluster, "second") == node


async def test_a_claim_of_no_class_waits_where_the_default_one_does(cluster: SmallCluster) -> None:
    storage_class(cluster, "usual", "WaitForFirstConsumer", **{"storageclass.kubernetes.io/is-default-class": "true"})
    cluster.create("persistentvolumeclaims", claim("data", None))
    cluster.create("persistentvolumeclaims", claim("other", "unknown"))
    await cluster.until(lambda: phase(cluster, "other") == "Bound")
    await cluster.settled()
    assert phase(cluster, "data") == "Pending"
    cluster.create("pods", with_claim("first", "data"))
    await cluster.until(lambda: node_of(cluster, "first"))
    assert phase(cluster, "data") == "Bound"
