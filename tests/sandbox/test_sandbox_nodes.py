"""Nodes of a whole sandbox: drained under a budget, switched off and on, deleted."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from flametest.sandbox.launch import Sandbox
from tests.sandbox.cluster_access import KUBECTL, Access

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl on this machine"),
]

STOPPED = "sandbox.flametest.dev/stopped"


@pytest.fixture
def access(sandbox: Sandbox) -> Iterator[Access]:
    opened = Access(sandbox)
    yield opened
    opened.close()


def workload(kind: str, name: str, replicas: int, toleration_seconds: int = 1) -> dict[str, Any]:
    tolerations = [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute"}
        | {"tolerationSeconds": toleration_seconds}
        for key in ("unreachable", "not-ready")
    ]
    container = {
        "name": "hello",
        "image": "test/hello:1",
        "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1},
    }
    # With a grace of 0 the API would remove a deleted pod without asking its node.
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1, "tolerations": tolerations}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        }
        | ({"serviceName": name} if kind == "StatefulSet" else {}),
    }


def service(name: str) -> dict[str, Any]:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8000}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def ready_nodes(access: Access, app: str) -> list[str]:
    """Return the nodes of the pods that are ready and are not being deleted."""
    return [
        pod.spec.node_name
        for pod in access.pods(f"app={app}")
        if pod.metadata.deletion_timestamp is None
        and any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or [])
    ]


def node_status(access: Access, name: str) -> str:
    node = access.core.read_node(name)
    return str(next(each.status for each in node.status.conditions if each.type == "Ready"))


def allowed_disruptions(access: Access) -> int | None:
    """Return what the budget allows; None while it has not counted the pods."""
    found = json.loads(access.kubectl("get", "poddisruptionbudget", "web", "-o", "json"))
    status = found["status"]
    counted = status.get("observedGeneration") == found["metadata"]["generation"] and status["expectedPods"]
    return int(status["disruptionsAllowed"]) if counted else None


def test_a_drain_waits_for_the_budget_and_a_cordoned_node_gets_nothing(access: Access) -> None:
    access.apply(workload("Deployment", "web", 3))
    access.kubectl("create", "poddisruptionbudget", "web", "--selector", "app=web", "--min-available", "3")
    access.until(lambda: len(ready_nodes(access, "web")) == 3 and allowed_disruptions(access) == 0)
    refused = access.kubectl("drain", "sandbox-1", "--timeout", "2s", code=1)
    assert "Cannot evict pod as it would violate the pod's disruption budget" in refused
    assert sorted(ready_nodes(access, "web")) == ["sandbox-1", "sandbox-2", "sandbox-3"]

    access.kubectl("patch", "poddisruptionbudget", "web", "--type", "merge", "-p", '{"spec":{"minAvailable":2}}')
    access.until(lambda: allowed_disruptions(access) == 1)
    assert "node/sandbox-1 drained" in access.kubectl("drain", "sandbox-1", "--timeout", "20s")
    access.until(lambda: len(ready_nodes(access, "web")) == 3)
    assert "sandbox-1" not in ready_nodes(access, "web")
    assert "Ready,SchedulingDisabled" in access.kubectl("get", "node", "sandbox-1")

    access.kubectl("uncordon", "sandbox-1")
    access.kubectl("scale", "deployment/web", "--replicas", "6")
    access.until(lambda: len(ready_nodes(access, "web")) == 6)
    assert "sandbox-1" in ready_nodes(access, "web")

    assert "node/sandbox-2 cordoned" in access.kubectl("cordon", "sandbox-2")
    assert ready_nodes(access, "web").count("sandbox-2") > 0


def test_a_lost_node_is_noticed_and_its_pods_are_replaced_elsewhere_but_those_with_an_identity(access: Access) -> None:
    access.apply(workload("Deployment", "web", 3), workload("StatefulSet", "db", 1), service("web"))
    access.until(lambda: len(ready_nodes(access, "web")) == 3 and ready_nodes(access, "db"))
    (lost,) = ready_nodes(access, "db")
    (first,) = access.pods("app=db")
    began = time.monotonic()
    access.kubectl("annotate", "node", lost, f"{STOPPED}=true")
    access.until(lambda: node_status(access, lost) == "Unknown")
    assert 3 <= time.monotonic() - began <= 12
    taints = {(each.key, each.effect) for each in access.core.read_node(lost).spec.taints}
    assert taints == {("node.kubernetes.io/unreachable", effect) for effect in ("NoSchedule", "NoExecute")}
    access.until(lambda: lost not in endpoint_nodes(access, "web"))

    access.until(lambda: len(ready_nodes(access, "web")) == 3 and lost not in ready_nodes(access, "web"))
    access.until(lambda: access.pods("app=db")[0].metadata.deletion_timestamp is not None)
    assert [pod.metadata.uid for pod in access.pods("app=db")] == [first.metadata.uid]

    access.kubectl("delete", "pod", "db-0", "--force", "--grace-period", "0")
    access.until(lambda: ready_nodes(access, "db") not in ([], [lost]))


def endpoint_nodes(access: Access, name: str) -> list[str]:
    endpoints = access.core.read_namespaced_endpoints(name, "default")
    return [address.node_name for subset in endpoints.subsets or [] for address in subset.addresses or []]


def test_a_node_that_comes_back_restarts_its_pods_or_lets_the_evicted_ones_go(access: Access) -> None:
    access.apply(workload("StatefulSet", "db", 1), workload("StatefulSet", "loyal", 1, toleration_seconds=300))
    access.until(lambda: ready_nodes(access, "db") and ready_nodes(access, "loyal"))
    nodes = {*ready_nodes(access, "db"), *ready_nodes(access, "loyal")}
    uids = {app: access.pods(f"app={app}")[0].metadata.uid for app in ("db", "loyal")}
    for node in nodes:
        access.kubectl("annotate", "node", node, f"{STOPPED}=true")
    access.until(lambda: access.pods("app=db")[0].metadata.deletion_timestamp is not None)
    access.until(lambda: not ready_nodes(access, "loyal"))
    for node in nodes:
        access.kubectl("annotate", "node", node, f"{STOPPED}-")
    access.until(lambda: all(node_status(access, node) == "True" for node in nodes))
    access.until(lambda: ready_nodes(access, "db") and ready_nodes(access, "loyal"))
    assert access.pods("app=db")[0].metadata.uid != uids["db"]
    (loyal,) = access.pods("app=loyal")
    assert (loyal.metadata.uid, loyal.status.container_statuses[0].restart_count) == (uids["loyal"], 1)
    assert access.until(lambda: not access.core.read_node(next(iter(nodes))).spec.taints)


def test_pods_of_a_deleted_node_are_collected_and_the_node_returns_when_it_is_made_anew(access: Access) -> None:
    access.apply(workload("Deployment", "web", 3))
    access.until(lambda: len(ready_nodes(access, "web")) == 3)
    access.kubectl("delete", "node", "sandbox-2")
    access.until(lambda: len(ready_nodes(access, "web")) == 3 and "sandbox-2" not in ready_nodes(access, "web"))
    access.until(lambda: all(pod.spec.node_name != "sandbox-2" for pod in access.pods("app=web")))
    access.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "sandbox-2"}})
    access.until(lambda: "sandbox-2   Ready" in access.kubectl("get", "nodes"))
    access.kubectl("scale", "deployment/web", "--replicas", "6")
    access.until(lambda: "sandbox-2" in ready_nodes(access, "web"))
