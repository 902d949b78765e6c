"""Deletion: grace, finalizers, propagation, namespaces and claims."""

from typing import Any

import pytest

from flametest.sandbox.apiserver import Registry
from flametest.sandbox.apiserver.deletion import DeleteOptions, plan_deletion
from flametest.sandbox.apiserver.resources import BY_NAME
from flametest.sandbox.errors import StatusError
from tests.apiserver.conftest import NOW
from tests.apiserver.objects import config_map, deployment, pod


def bound_pod(registry: Registry, **spec: Any) -> None:
    registry.create("pods", pod(**spec))
    registry.bind("default", "web", "sandbox-1")


def metadata_of(registry: Registry, resource: str, name: str) -> dict[str, Any]:
    obj = registry.get(resource, "default", name)
    assert obj is not None
    metadata: dict[str, Any] = obj["metadata"]
    return metadata


def test_an_unbound_pod_goes_at_once(registry: Registry) -> None:
    registry.create("pods", pod())
    registry.delete("pods", "default", "web")
    assert registry.get("pods", "default", "web") is None


def test_a_bound_pod_is_marked_and_goes_when_the_agent_says_so(registry: Registry) -> None:
    bound_pod(registry, terminationGracePeriodSeconds=5)
    registry.delete("pods", "default", "web")
    metadata = metadata_of(registry, "pods", "web")
    assert (metadata["deletionGracePeriodSeconds"], metadata["deletionTimestamp"]) == (5, "2026-01-02T03:04:10Z")
    registry.delete("pods", "default", "web", grace_seconds=0)
    assert registry.get("pods", "default", "web") is None


def test_a_second_deletion_may_shorten_the_grace_and_not_lengthen_it(registry: Registry) -> None:
    bound_pod(registry)
    registry.delete("pods", "default", "web", grace_seconds=20)
    registry.delete("pods", "default", "web", grace_seconds=40)
    assert metadata_of(registry, "pods", "web")["deletionGracePeriodSeconds"] == 20
    registry.delete("pods", "default", "web", grace_seconds=5)
    metadata = metadata_of(registry, "pods", "web")
    assert (metadata["deletionGracePeriodSeconds"], metadata["deletionTimestamp"]) == (5, "2026-01-02T03:04:10Z")


def test_a_pod_that_has_finished_goes_at_once(registry: Registry) -> None:
    bound_pod(registry)
    obj = registry.get("pods", "default", "web") or {}
    registry.update_status("pods", {**obj, "status": {"phase": "Failed"}})
    registry.delete("pods", "default", "web")
    assert registry.get("pods", "default", "web") is None


async def test_the_events_of_a_forced_deletion_are_those_of_a_real_cluster(registry: Registry) -> None:
    bound_pod(registry)
    watch = registry.watch("pods")
    await anext(watch)
    registry.delete("pods", "default", "web")
    registry.delete("pods", "default", "web", grace_seconds=0)
    seen = [await anext(watch) for _ in range(3)]
    graces = [event.object["metadata"].get("deletionGracePeriodSeconds") for event in seen]
    assert ([event.type for event in seen], graces) == (["MODIFIED", "MODIFIED", "DELETED"], [30, 0, 0])


def test_a_finalizer_holds_even_a_forced_deletion_of_a_pod(registry: Registry) -> None:
    obj = pod()
    obj["metadata"]["finalizers"] = ["example.org/hold"]
    registry.create("pods", obj)
    registry.delete("pods", "default", "web", grace_seconds=0)
    held = registry.get("pods", "default", "web") or {}
    assert held["metadata"]["deletionTimestamp"]
    held["metadata"]["finalizers"] = []
    registry.update("pods", held)
    assert registry.get("pods", "default", "web") is None


def test_taking_a_finalizer_off_does_not_cut_the_grace_short(registry: Registry) -> None:
    obj = pod()
    obj["metadata"]["finalizers"] = ["example.org/hold"]
    registry.create("pods", obj)
    registry.bind("default", "web", "sandbox-1")
    registry.delete("pods", "default", "web")
    held = registry.get("pods", "default", "web") or {}
    held["metadata"]["finalizers"] = []
    registry.update("pods", held)
    assert registry.get("pods", "default", "web") is not None


def test_an_object_that_is_being_deleted_takes_no_new_finalizers(registry: Registry) -> None:
    obj = config_map()
    obj["metadata"]["finalizers"] = ["example.org/hold"]
    registry.create("configmaps", obj)
    registry.delete("configmaps", "default", "one")
    held = registry.get("configmaps", "default", "one") or {}
    held["metadata"]["finalizers"].append("example.org/more")
    with pytest.raises(StatusError, match="no new finalizers can be added"):
        registry.update("configmaps", held)


@pytest.mark.parametrize(
    ("propagation", "finalizers"),
    [("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"]), ("Background", None)],
)
def test_the_policy_is_written_down_for_the_garbage_collector(
    registry: Registry, propagation: Any, finalizers: list[str] | None
) -> None:
    registry.create("deployments.apps", deployment())
    registry.delete("deployments.apps", "default", "web", propagation=propagation)
    left = registry.get("deployments.apps", "default", "web")
    assert (left and left["metadata"]["finalizers"]) == finalizers


def test_jobs_orphan_their_pods_unless_told_otherwise() -> None:
    obj = {"metadata": {"name": "j", "uid": "u", "resourceVersion": "1"}, "spec": {}}
    plan = plan_deletion(BY_NAME["jobs.batch"], obj, DeleteOptions(), NOW)
    assert not plan.removed
    assert plan.marked is not None
    assert plan.marked["metadata"]["finalizers"] == ["orphan"]


def test_a_precondition_that_does_not_hold_is_a_conflict(registry: Registry) -> None:
    registry.create("configmaps", config_map())
    with pytest.raises(StatusError, match="Precondition failed: UID") as caught:
        registry.delete("configmaps", "default", "one", uid="00000000-0000-0000-0000-000000000000")
    assert caught.value.code == 409
    registry.delete("configmaps", "default", "one", uid=metadata_of(registry, "configmaps", "one")["uid"])


class TestNamespaces:
    def test_a_namespace_gets_its_account_and_certificate(self, registry: Registry) -> None:
        registry.create("namespaces", {"metadata": {"name": "shop"}})
        assert registry.get("serviceaccounts", "shop", "default")
        assert registry.get("configmaps", "shop", "kube-root-ca.crt")

    def test_an_empty_namespace_goes_at_once_with_its_furniture(self, registry: Registry) -> None:
        registry.create("namespaces", {"metadata": {"name": "shop"}})
        registry.delete("namespaces", "", "shop")
        assert registry.get("namespaces", "", "shop") is None
        assert registry.list("configmaps", "shop") == []

    def test_a_namespace_waits_for_its_pods(self, registry: Registry) -> None:
        registry.create("namespaces", {"metadata": {"name": "shop"}})
        obj = pod()
        obj["metadata"]["namespace"] = "shop"
        registry.create("pods", obj)
        registry.bind("shop", "web", "sandbox-1")
        registry.delete("namespaces", "", "shop")
        left = registry.get("namespaces", "", "shop") or {}
        assert left["status"]["phase"] == "Terminating"
        with pytest.raises(StatusError, match="because it is being terminated") as caught:
            registry.create("configmaps", {"metadata": {"name": "late", "namespace": "shop"}})
        assert caught.value.code == 403
        registry.delete("pods", "shop", "web", grace_seconds=0)
        assert registry.get("namespaces", "", "shop") is None

    def test_the_default_namespace_stays(self, registry: Registry) -> None:
        with pytest.raises(StatusError, match="this namespace may not be deleted"):
            registry.delete("namespaces", "", "default")


class TestClaims:
    @pytest.fixture
    def claimed(self, registry: Registry) -> Registry:
        resources = {"requests": {"storage": "1Gi"}}
        spec = {"accessModes": ["ReadWriteOnce"], "resources": resources}
        registry.create("persistentvolumeclaims", {"metadata": {"name": "data", "namespace": "default"}, "spec": spec})
        return registry

    def test_an_unused_claim_goes_at_once(self, claimed: Registry) -> None:
        claimed.delete("persistentvolumeclaims", "default", "data")
        assert claimed.get("persistentvolumeclaims", "default", "data") is None

    def test_a_claim_waits_for_the_pod_that_uses_it(self, claimed: Registry) -> None:
        volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
        claimed.create("pods", pod(volumes=[volume]))
        claimed.delete("persistentvolumeclaims", "default", "data")
        assert claimed.get("persistentvolumeclaims", "default", "data") is not None
        claimed.delete("pods", "default", "web")
        assert claimed.get("persistentvolumeclaims", "default", "data") is None
