"""The registry keeps the promises of `Objects`, by which controllers, scheduler and agent work."""

import asyncio
import random

import pytest

from flametest.sandbox.apiserver import Registry
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Objects
from tests.apiserver.objects import config_map, deployment, pod, service


def code_of(error: pytest.ExceptionInfo[StatusError]) -> int:
    return error.value.code


def test_the_registry_is_an_objects(registry: Registry) -> None:
    objects: Objects = registry
    assert objects.get("nodes", "", "none") is None


def test_a_created_object_has_uid_time_and_version(registry: Registry) -> None:
    metadata = registry.create("configmaps", config_map())["metadata"]
    assert metadata["creationTimestamp"] == "2026-01-02T03:04:05Z"
    assert len(metadata["uid"]) == 36
    assert int(metadata["resourceVersion"]) > 0


def test_the_caller_keeps_its_own_object(registry: Registry) -> None:
    mine = config_map()
    registry.create("configmaps", mine)
    assert mine == config_map()


def test_generated_names_differ(registry: Registry) -> None:
    names = set()
    for _ in range(20):
        obj = config_map()
        obj["metadata"] = {"generateName": "web-", "namespace": "default"}
        names.add(registry.create("configmaps", obj)["metadata"]["name"])
    assert len(names) == 20
    assert all(len(name) == len("web-") + 5 for name in names)


def test_an_update_with_a_stale_version_conflicts(registry: Registry) -> None:
    first = registry.create("configmaps", config_map())
    registry.update("configmaps", {**first, "data": {"k": "2"}})
    with pytest.raises(StatusError, match="the object has been modified") as caught:
        registry.update("configmaps", {**first, "data": {"k": "3"}})
    assert code_of(caught) == 409


def test_an_update_that_changes_nothing_keeps_the_version(registry: Registry) -> None:
    first = registry.create("deployments.apps", deployment())
    assert registry.update("deployments.apps", first) == first
    assert registry.update_status("deployments.apps", first) == first


def test_only_a_change_of_what_is_desired_counts_the_generation_up(registry: Registry) -> None:
    obj = registry.create("deployments.apps", deployment())
    obj["metadata"]["labels"] = {"team": "a"}
    obj = registry.update("deployments.apps", obj)
    assert obj["metadata"]["generation"] == 1
    obj["spec"]["replicas"] = 5
    obj = registry.update("deployments.apps", obj)
    assert obj["metadata"]["generation"] == 2
    obj["status"] = {"replicas": 5}
    assert registry.update_status("deployments.apps", obj)["metadata"]["generation"] == 2


def test_a_controllers_annotation_of_a_deployment_is_no_new_generation(registry: Registry) -> None:
    obj = registry.create("deployments.apps", deployment())
    obj["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
    obj = registry.update("deployments.apps", obj)
    assert obj["metadata"]["generation"] == 1
    obj["metadata"]["annotations"]["mine"] = "1"
    assert registry.update("deployments.apps", obj)["metadata"]["generation"] == 2


def test_update_and_update_status_touch_their_own_part_only(registry: Registry) -> None:
    obj = registry.create("deployments.apps", deployment())
    obj["spec"]["replicas"], obj["status"] = 7, {"replicas": 3}
    assert registry.update("deployments.apps", obj)["status"] == {}
    obj = registry.get("deployments.apps", "default", "web") or {}
    obj["spec"]["replicas"], obj["status"] = 9, {"replicas": 3}
    stored = registry.update_status("deployments.apps", obj)
    assert (stored["spec"]["replicas"], stored["status"]) == (7, {"replicas": 3})


def test_an_unknown_field_of_a_controller_is_an_error(registry: Registry) -> None:
    with pytest.raises(StatusError, match=r'unknown field "spec\.replica"') as caught:
        registry.create("deployments.apps", {**deployment(), "spec": {**deployment()["spec"], "replica": 1}})
    assert code_of(caught) == 400


def test_binding_sets_the_node_and_the_condition_once(registry: Registry) -> None:
    registry.create("pods", pod())
    registry.bind("default", "web", "sandbox-1")
    bound = registry.get("pods", "default", "web") or {}
    assert bound["spec"]["nodeName"] == "sandbox-1"
    assert [(c["type"], c["status"]) for c in bound["status"]["conditions"]] == [("PodScheduled", "True")]
    with pytest.raises(StatusError, match='already assigned to node "sandbox-1"') as caught:
        registry.bind("default", "web", "sandbox-2")
    assert code_of(caught) == 409


def test_a_list_is_selected_by_labels(registry: Registry) -> None:
    for name in ("b", "a"):
        registry.create("pods", pod(name))
    assert [obj["metadata"]["name"] for obj in registry.list("pods")] == ["a", "b"]
    assert [obj["metadata"]["name"] for obj in registry.list("pods", "default", {"app": "b"})] == ["b"]
    assert registry.list("pods", "kube-system") == []


async def test_a_watch_shows_what_exists_then_changes_across_resources(registry: Registry) -> None:
    registry.create("pods", pod("old"))
    watch = registry.watch("pods", "deployments.apps")
    registry.create("deployments.apps", deployment())
    registry.create("configmaps", config_map())
    registry.create("pods", pod("new"))
    registry.delete("pods", "default", "old")
    seen = [await anext(watch) for _ in range(5)]
    assert [(e.type, e.resource, e.object["metadata"]["name"]) for e in seen] == [
        ("ADDED", "pods", "old"),
        ("ADDED", "deployments.apps", "web"),
        ("ADDED", "pods", "new"),
        ("MODIFIED", "pods", "old"),
        ("DELETED", "pods", "old"),
    ]
    await watch.aclose()  # type: ignore[attr-defined]


async def test_a_closed_watch_ends_its_reader(registry: Registry) -> None:
    watch = registry.watch("leases.coordination.k8s.io")
    reader = asyncio.create_task(anext(watch, None))
    await asyncio.sleep(0)
    await watch.aclose()  # type: ignore[attr-defined]
    assert await reader is None


def test_events_make_room_for_new_ones(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flametest.sandbox.apiserver.housekeeping.EVENTS_MAX", 3)
    for number in range(5):
        metadata = {"name": f"e{number}", "namespace": "default"}
        registry.create("events", {"metadata": metadata, "involvedObject": {"kind": "Pod", "name": "web"}})
    assert [event["metadata"]["name"] for event in registry.list("events")] == ["e2", "e3", "e4"]


def test_two_registries_with_the_same_seed_give_the_same_names() -> None:
    names = []
    for _ in range(2):
        registry = Registry(rng=random.Random(3))
        registry.create("namespaces", {"metadata": {"name": "default"}})
        obj = config_map()
        obj["metadata"] = {"generateName": "x-", "namespace": "default"}
        names.append(registry.create("configmaps", obj)["metadata"]["name"])
    assert names[0] == names[1]


class TestServices:
    def test_a_service_gets_an_address_of_the_range(self, registry: Registry) -> None:
        spec = registry.create("services", service())["spec"]
        assert spec["clusterIP"].startswith("10.96.")
        assert spec["clusterIPs"] == [spec["clusterIP"]]

    def test_addresses_and_node_ports_are_not_given_twice(self, registry: Registry) -> None:
        specs = [registry.create("services", service(f"s{n}", type="NodePort"))["spec"] for n in range(50)]
        assert len({spec["clusterIP"] for spec in specs}) == 50
        assert len({spec["ports"][0]["nodePort"] for spec in specs}) == 50

    def test_a_node_port_that_is_asked_for_is_given_once(self, registry: Registry) -> None:
        ports = [{"port": 80, "nodePort": 30080}]
        registry.create("services", service("a", type="NodePort", ports=ports))
        with pytest.raises(StatusError, match="provided port is already allocated"):
            registry.create("services", service("b", type="NodePort", ports=ports))
        registry.delete("services", "default", "a")
        assert (
            registry.create("services", service("b", type="NodePort", ports=ports))["spec"]["ports"][0]["nodePort"]
            == 30080
        )

    def test_an_update_without_address_and_node_port_keeps_both(self, registry: Registry) -> None:
        first = registry.create("services", service(type="NodePort"))
        again = registry.update("services", service(type="NodePort"))
        assert again["spec"] == first["spec"]

    def test_a_change_to_cluster_ip_gives_the_node_port_back(self, registry: Registry) -> None:
        ports = [{"port": 80, "nodePort": 30081}]
        first = registry.create("services", service(type="NodePort", ports=ports))
        first["spec"]["type"] = "ClusterIP"
        assert "nodePort" not in registry.update("services", first)["spec"]["ports"][0]
        registry.create("services", service("other", type="NodePort", ports=ports))

    def test_the_address_may_not_change(self, registry: Registry) -> None:
        first = registry.create("services", service())
        first["spec"]["clusterIP"] = "10.96.1.77"
        with pytest.raises(StatusError, match="may not change once set"):
            registry.update("services", first)
        assert registry.create("services", service("other", clusterIP="10.96.1.77"))

    def test_the_services_of_every_cluster_have_known_addresses(self, registry: Registry) -> None:
        found = {obj["metadata"]["name"]: obj["spec"]["clusterIP"] for obj in registry.list("services")}
        assert found == {"kubernetes": "10.96.0.1", "kube-dns": "10.96.0.10"}
