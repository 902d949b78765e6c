"""Server-side apply: fields have owners, and nobody takes another's by accident."""

from typing import Any

import pytest

from flametest.sandbox.apiserver import Registry
from flametest.sandbox.apiserver.outcomes import WriteOptions
from flametest.sandbox.apiserver.resources import BY_NAME
from flametest.sandbox.errors import StatusError
from tests.apiserver.objects import deployment


def apply(
    registry: Registry, resource: str, config: dict[str, Any], manager: str = "me", *, force: bool = False
) -> dict[str, Any]:
    name = config["metadata"]["name"]
    options = WriteOptions(manager=manager)
    return registry.apply(BY_NAME[resource], "default", name, config, options, force=force).record.load()


def data(**values: str) -> dict[str, Any]:
    return {"metadata": {"name": "one"}, "data": values}


def test_what_is_no_longer_named_goes(registry: Registry) -> None:
    apply(registry, "configmaps", data(a="1", b="2"))
    assert apply(registry, "configmaps", data(a="1"))["data"] == {"a": "1"}


def test_applying_the_same_again_writes_nothing(registry: Registry) -> None:
    first = apply(registry, "deployments.apps", deployment())
    assert apply(registry, "deployments.apps", deployment()) == first


def test_others_fields_stay(registry: Registry) -> None:
    apply(registry, "configmaps", data(a="1"))
    assert apply(registry, "configmaps", data(b="2"), "other")["data"] == {"a": "1", "b": "2"}
    assert apply(registry, "configmaps", {"metadata": {"name": "one"}}, "other")["data"] == {"a": "1"}


def test_a_conflict_names_field_and_owner_and_can_be_forced(registry: Registry) -> None:
    apply(registry, "configmaps", data(a="1"))
    with pytest.raises(StatusError, match=r'conflict with "me" using v1: \.data\.a') as caught:
        apply(registry, "configmaps", data(a="2"), "other")
    assert caught.value.code == 409
    assert apply(registry, "configmaps", data(a="2"), "other", force=True)["data"] == {"a": "2"}
    with pytest.raises(StatusError, match='conflict with "other"'):
        apply(registry, "configmaps", data(a="1"))


def test_equal_values_are_owned_together(registry: Registry) -> None:
    apply(registry, "configmaps", data(a="1"))
    apply(registry, "configmaps", data(a="1"), "other")
    assert apply(registry, "configmaps", {"metadata": {"name": "one"}})["data"] == {"a": "1"}


def test_items_of_lists_merge_by_their_keys(registry: Registry) -> None:
    apply(registry, "deployments.apps", deployment())
    side = deployment()
    side["spec"] = {"template": {"spec": {"containers": [{"name": "side", "image": "s:1"}]}}}
    merged = apply(registry, "deployments.apps", side, "injector")
    assert [c["name"] for c in merged["spec"]["template"]["spec"]["containers"]] == ["main", "side"]
    again = apply(registry, "deployments.apps", deployment())
    assert [c["name"] for c in again["spec"]["template"]["spec"]["containers"]] == ["main", "side"]
    side["spec"] = {}
    left = apply(registry, "deployments.apps", side, "injector")
    assert [c["name"] for c in left["spec"]["template"]["spec"]["containers"]] == ["main"]


def test_a_port_is_the_same_port_with_its_protocol_left_out(registry: Registry) -> None:
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}
    apply(registry, "services", service)
    assert len(apply(registry, "services", service, "other")["spec"]["ports"]) == 1


def test_who_updates_a_field_owns_it(registry: Registry) -> None:
    apply(registry, "deployments.apps", deployment(replicas=2))

    def scale(obj: dict[str, Any]) -> dict[str, Any]:
        obj["spec"]["replicas"] = 5
        return obj

    options = WriteOptions(manager="scaler")
    registry.change(BY_NAME["deployments.apps"], "default", "web", scale, options)
    with pytest.raises(StatusError, match=r'conflict with "scaler" using apps/v1: \.spec\.replicas'):
        apply(registry, "deployments.apps", deployment(replicas=2))
    owners = (registry.get("deployments.apps", "default", "web") or {})["metadata"]["managedFields"]
    assert [(o["manager"], o["operation"]) for o in owners] == [("me", "Apply"), ("scaler", "Update")]
