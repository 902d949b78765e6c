"""What an app names: a workload with the pods it owns; only where no workload has the name, a label."""

from typing import Any

import pytest

from flametest.faults.apps import find_app
from flametest.faults.errors import FaultError
from flametest.faults.intrusion import Intrusion
from flametest.faults.network_partition import NetworkPartition
from flametest.faults.nodes import NodeSelection
from flametest.kube.resources import DAEMON_SETS, DEPLOYMENTS, NETWORK_POLICIES, NODES, PODS, REPLICA_SETS, Resource
from tests.faults.conftest import pod

NS = "flametest"


def workload(client: Any, name: str, labels: dict[str, str], *, pods: int = 1, **options: Any) -> None:
    """Put a Deployment, or another ``resource``, with these labels of its pods, and its pods, which are on ``node``."""
    resource: Resource = options.get("resource", DEPLOYMENTS)
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}
    owner = client.api.put(resource, {"metadata": {"name": name}, "spec": spec})
    if resource is DEPLOYMENTS:
        metadata = {"name": f"{name}-1", "ownerReferences": owned_by(owner)}
        owner = client.api.put(REPLICA_SETS, {"metadata": metadata})
    for number in range(pods):
        put_pod(client, f"{name}-{number}", labels, owned_by(owner), options.get("node", "node-1"))


def owned_by(owner: Any) -> list[dict[str, Any]]:
    return [{"uid": owner["metadata"]["uid"], "name": owner["metadata"]["name"], "controller": True}]


def put_pod(client: Any, name: str, labels: dict[str, str], owners: Any = (), node: str = "node-1") -> None:
    obj = pod(name, "")
    obj["metadata"] |= {"labels": labels, "ownerReferences": list(owners)}
    obj["spec"]["nodeName"] = node
    client.api.put(PODS, obj)


@pytest.fixture
def shop(client: Any) -> Any:
    """Return a system whose two Deployments share the label ``app``, and one of which goes by another label."""
    workload(client, "shop", {"app": "shop", "part": "web"}, pods=2)
    workload(client, "shop-worker", {"app": "shop", "part": "worker"})
    workload(client, "stock", {"io.kompose.service": "stock"})
    return client


def pods_of(client: Any, name: str) -> set[str]:
    return {one["metadata"]["name"] for one in find_app(client, NS, name).pods}


def test_an_app_is_the_workload_of_that_name_with_the_pods_that_it_owns(shop: Any) -> None:
    assert pods_of(shop, "shop") == {"shop-0", "shop-1"}
    assert pods_of(shop, "shop-worker") == {"shop-worker-0"}
    assert pods_of(shop, "stock") == {"stock-0"}
    assert [target.name for target in find_app(shop, NS, "stock").targets] == ["stock"]


def test_a_daemon_set_is_an_app_too(client: Any) -> None:
    workload(client, "agent", {"name": "agent"}, pods=2, resource=DAEMON_SETS)
    assert pods_of(client, "agent") == {"agent-0", "agent-1"}


def test_where_no_workload_has_the_name_it_is_a_label_and_owners_tell_whose_its_pods_are(client: Any) -> None:
    workload(client, "web-v1", {"app": "web"})
    workload(client, "web-v2", {"app": "web"})
    put_pod(client, "by-hand", {"app": "web"})
    found = find_app(client, NS, "web")
    assert pods_of(client, "web") == {"web-v1-0", "web-v2-0", "by-hand"}
    assert {(one.kind, one.name) for one in found.targets} == {
        ("Deployment", "web-v1"),
        ("Deployment", "web-v2"),
        ("Pod", "by-hand"),
    }


def test_a_name_that_nothing_has_is_told_with_those_there_are(shop: Any) -> None:
    with pytest.raises(
        FaultError, match="holds no workload 'shopp', and none whose pods have the label app=shopp"
    ) as no:
        find_app(shop, NS, "shopp")
    assert no.value.remedy == "use one of: shop, shop-worker, stock"


def test_a_partition_selects_as_the_workload_does(shop: Any) -> None:
    fault = NetworkPartition(NS, "stock", 80)
    targets = fault.targets(shop)
    assert [(one.kind, one.name) for one in targets] == [("Deployment", "stock")]
    fault.inject(shop, targets)
    policy = shop.api.objects[NETWORK_POLICIES.path(NS, "flametest-partition-stock")]
    assert policy["spec"]["podSelector"] == {"matchLabels": {"io.kompose.service": "stock"}}


def test_a_partition_that_would_cut_pods_of_others_off_is_refused(shop: Any) -> None:
    assert NetworkPartition(NS, "shop", 80).targets(shop)  # its selector tells the two apart
    put_pod(shop, "export-1", {"app": "shop", "part": "web"})
    with pytest.raises(FaultError, match=r"selects 1 pod not its own as well \(export-1\)"):
        NetworkPartition(NS, "shop", 80).targets(shop)


def test_a_partition_of_an_app_without_a_live_pod_is_refused(client: Any) -> None:
    workload(client, "empty", {"name": "empty"}, pods=0)
    with pytest.raises(FaultError, match="no pod of empty in namespace 'flametest' lives"):
        NetworkPartition(NS, "empty", 80).targets(client)


def test_an_intruder_tries_the_workloads_own_pods(shop: Any) -> None:
    targets = Intrusion(NS, {"shop": 80, "stock": 80}, ("shop", 80)).targets(shop)
    assert [one.name for one in targets] == ["shop", "stock"]


def test_a_node_is_drawn_by_the_pods_that_an_app_owns(client: Any) -> None:
    for name in ("node-1", "node-2"):
        client.api.put(NODES, {"metadata": {"name": name}, "spec": {}})
    workload(client, "shop", {"app": "shop", "part": "web"}, node="node-2")
    workload(client, "shop-worker", {"app": "shop", "part": "worker"}, node="node-1")
    assert {NodeSelection(NS, app="shop").targets(client)[0].name for _ in range(20)} == {"node-2"}


def test_a_node_whose_pods_are_all_of_the_namespace_is_drawn_before_one_with_others(client: Any) -> None:
    for name in ("node-1", "node-2", "node-3"):
        client.api.put(NODES, {"metadata": {"name": name}, "spec": {}})
    for number in (2, 3):
        workload(client, f"shop-{number}", {"app": "shop"}, node=f"node-{number}")
    dns = pod("dns-1", "dns") | {"spec": {"nodeName": "node-2"}}
    client.api.put(PODS, dns, namespace="kube-system")
    agent = pod("agent-1", "agent") | {"spec": {"nodeName": "node-3"}}
    agent["metadata"]["ownerReferences"][0]["kind"] = "DaemonSet"  # a drain leaves it where it is
    client.api.put(PODS, agent, namespace="kube-system")

    selection = NodeSelection(NS, label_selector="app=shop")

    assert {selection.targets(client)[0].name for _ in range(20)} == {"node-3"}
    client.api.put(PODS, pod("dns-2", "dns") | {"spec": {"nodeName": "node-3"}}, namespace="kube-system")
    found = selection.targets(client)
    assert {one.namespace for one in found} == {"", NS, "kube-system"}  # the gate refuses it, and says why
