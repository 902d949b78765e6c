"""Faults by name: what each makes of its arguments, once the cluster is there to be asked."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from flametest.faults.errors import FaultError
from flametest.kube import KubeClient
from flametest.kube.resources import DEPLOYMENTS, STATEFUL_SETS
from flametest.pytest_plugin import (
    FaultRequest,
    add_latency,
    crash_container,
    delete_pods,
    disturb_edge,
    drain_node,
    fail_requests,
    no_fault,
    partition_network,
    remove_service,
    restart_rollout,
    roll_out_bad_image,
    scale,
    stop_node,
    stop_workload,
)


def workload(name: str, selector: dict[str, Any]) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": []}}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"selector": selector, "template": template}}


@dataclass
class Listed:
    items: list[dict[str, Any]]


@dataclass
class Cluster:
    """A cluster of one Deployment and one StatefulSet."""

    objects: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {
            DEPLOYMENTS.path("shop"): [workload("web", {"matchLabels": {"app": "web", "tier": "front"}})],
            STATEFUL_SETS.path("shop"): [
                workload("db", {"matchExpressions": [{"key": "app", "operator": "In", "values": ["db", "store"]}]})
            ],
        }
    )

    @property
    def api(self) -> "Cluster":
        return self

    def listed(self, path: str) -> Listed:
        return Listed(self.objects.get(path, []))


CLIENT = cast(KubeClient, Cluster())


@pytest.mark.parametrize(
    ("request_", "workload", "title"),
    [
        (delete_pods("web", count=2), "web", "app=web,tier=front"),
        (delete_pods("db", grace_seconds=0), "db", "app in (db,store)"),
        (crash_container("web"), "web", "app=web,tier=front"),
        (remove_service("front", workload="web"), "web", "Service front"),
        (scale("web", 5), "web", "5"),
        (stop_workload("db"), "db", "StatefulSet db"),
        (partition_network("web", 80), "web", "pods of web"),
        (fail_requests("web", 0.2, status=503), "web", "503"),
        (add_latency("web", 300), "web", "300"),
        (disturb_edge("db", {"reset": True}, caller="web"), "db", "web asks of Service db"),
        (roll_out_bad_image("web"), "web", "web"),
        (restart_rollout("web"), "web", "web"),
        (drain_node("web"), "web", "app=web,tier=front"),
        (stop_node("db"), "db", "app in (db,store)"),
    ],
)
def test_a_fault_is_made_for_its_workload(request_: FaultRequest, workload: str, title: str) -> None:
    fault = request_.make(CLIENT, "shop")
    assert fault is not None
    assert title in fault.title
    assert request_.workload == workload
    assert request_.nodes == (1 if "node" in fault.name else 0)


def test_a_control_makes_no_fault() -> None:
    assert no_fault("web").make(CLIENT, "shop") is None


def test_a_workload_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(FaultError, match="'api'") as caught:
        delete_pods("api").make(CLIENT, "shop")
    assert caught.value.remedy == "use one of: db, web"


def test_an_effect_that_is_none_is_refused() -> None:
    with pytest.raises(FaultError, match="explode"):
        disturb_edge("db", {"explode": True}).make(CLIENT, "shop")


def test_a_fault_is_the_same_under_a_name() -> None:
    request = delete_pods("api")
    assert request.name == ""
    named = request.named("lost-pod")
    assert (named.name, named.workload, named.make) == ("lost-pod", request.workload, request.make)
