"""What priority classes, limit ranges and quotas add to new objects, and what they refuse."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.apiserver import Registry
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object
from flametest.sandbox.quantities import format_quantity, parse_quantity
from flametest.sandbox.quotas import usage_of
from tests.apiserver.objects import config_map, deployment, pod, service

Refusal = Callable[[str, Object], str]


@pytest.fixture
def refusal(registry: Registry) -> Refusal:
    """Return what tells why an object is refused; empty for one that is not."""

    def attempt(resource: str, obj: Object) -> str:
        try:
            registry.create(resource, obj)
        except StatusError as error:
            return str(error) if error.code == 403 else f"refused for another reason: {error}"
        return ""

    return attempt


def limit_range(**item: Any) -> Object:
    return {
        "metadata": {"name": "limits", "namespace": "default"},
        "spec": {"limits": [{"type": "Container", **item}]},
    }


def quota(name: str = "quota", **spec: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def asking(name: str = "web", **resources: dict[str, str]) -> Object:
    made = pod(name)
    made["spec"]["containers"][0]["resources"] = resources
    return made


def resources_of(obj: Object) -> Object:
    found: Object = obj["spec"]["containers"][0]["resources"]
    return found


def test_a_limit_range_fills_in_what_containers_leave_open(registry: Registry) -> None:
    registry.create("limitranges", limit_range(default={"cpu": "1", "memory": "64Mi"}, defaultRequest={"cpu": "100m"}))
    made = registry.create("pods", pod())
    assert resources_of(made) == {
        "limits": {"cpu": "1", "memory": "64Mi"},
        "requests": {"cpu": "100m", "memory": "64Mi"},
    }
    assert made["status"]["qosClass"] == "Burstable"


def test_what_a_container_says_itself_goes_before_the_limit_range(registry: Registry) -> None:
    registry.create("limitranges", limit_range(default={"cpu": "1"}, defaultRequest={"cpu": "100m", "memory": "1Mi"}))
    made = registry.create("pods", asking(limits={"cpu": "2"}, requests={"memory": "8Mi"}))
    assert resources_of(made) == {"limits": {"cpu": "2"}, "requests": {"cpu": "2", "memory": "8Mi"}}


def test_a_limit_range_is_about_its_own_namespace(registry: Registry) -> None:
    registry.create("namespaces", {"metadata": {"name": "other"}})
    registry.create("limitranges", limit_range(default={"cpu": "1"}))
    away = pod()
    away["metadata"]["namespace"] = "other"
    assert resources_of(registry.create("pods", away)) == {}


@pytest.mark.parametrize(
    ("item", "resources", "because"),
    [
        ({"max": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, "maximum cpu usage per Container is 1, but limit is 2"),
        (
            {"min": {"memory": "16Mi"}},
            {"requests": {"memory": "8Mi"}},
            "minimum memory usage per Container is 16Mi, but request is 8Mi",
        ),
        (
            {"min": {"cpu": "100m"}, "max": {"cpu": "1"}, "default": {"cpu": "200m"}},
            {"requests": {"cpu": "50m"}},
            "minimum cpu usage per Container is 100m, but request is 50m",
        ),
        ({"min": {"cpu": "100m"}, "max": {"cpu": "1"}}, {}, ""),
        ({"max": {"cpu": "1"}}, {"limits": {"cpu": "1000m"}}, ""),
    ],
)
def test_a_limit_range_refuses_what_lies_beyond_its_bounds(
    registry: Registry, refusal: Refusal, item: Object, resources: Object, because: str
) -> None:
    registry.create("limitranges", limit_range(**item))
    told = refusal("pods", asking(**resources))
    assert told == (f'pods "web" is forbidden: {because}' if because else "")


def test_a_quota_of_pods_refuses_one_too_many_and_takes_it_when_there_is_room(
    registry: Registry, refusal: Refusal
) -> None:
    registry.create("resourcequotas", quota(hard={"pods": "2"}))
    assert refusal("pods", pod("a")) == refusal("pods", pod("b")) == ""
    told = refusal("pods", pod("c"))
    assert told == 'pods "c" is forbidden: exceeded quota: quota, requested: pods=1, used: pods=2, limited: pods=2'
    ended = registry.get("pods", "default", "a")
    assert ended is not None
    registry.update_status("pods", {**ended, "status": {**ended["status"], "phase": "Succeeded"}})
    assert refusal("pods", pod("c")) == ""


def test_a_quota_of_amounts_wants_them_named_and_refuses_their_sum(registry: Registry, refusal: Refusal) -> None:
    registry.create("resourcequotas", quota(hard={"requests.cpu": "1", "limits.memory": "128Mi"}))
    assert "must specify limits.memory for: main; requests.cpu for: main" in refusal("pods", pod())
    first = asking("first", requests={"cpu": "600m"}, limits={"memory": "64Mi"})
    assert refusal("pods", first) == ""
    told = refusal("pods", asking("second", requests={"cpu": "500m"}, limits={"memory": "64Mi"}))
    assert "requested: requests.cpu=500m, used: requests.cpu=600m, limited: requests.cpu=1" in told


def test_a_limit_range_makes_pods_fit_for_a_quota_of_amounts(registry: Registry, refusal: Refusal) -> None:
    registry.create("resourcequotas", quota(hard={"limits.cpu": "1"}))
    assert refusal("pods", pod())
    registry.create("limitranges", limit_range(default={"cpu": "500m"}))
    assert refusal("pods", pod()) == ""


@pytest.mark.parametrize(
    ("name", "resource", "make"),
    [
        ("configmaps", "configmaps", config_map),
        ("count/configmaps", "configmaps", config_map),
        ("count/deployments.apps", "deployments.apps", deployment),
        ("services", "services", service),
        ("services.nodeports", "services", lambda name: service(name, type="NodePort")),
        ("services.loadbalancers", "services", lambda name: service(name, type="LoadBalancer")),
    ],
)
def test_quotas_count_objects(
    registry: Registry, refusal: Refusal, name: str, resource: str, make: Callable[[str], Object]
) -> None:
    present = len(registry.list(resource, "default")) if "." not in name.removeprefix("count/") else 0
    present = len(registry.list(resource, "default")) if name == "services" else present
    registry.create("resourcequotas", quota(hard={name: str(present + 1)}))
    assert refusal(resource, make("one")) == ""
    assert "exceeded quota: quota" in refusal(resource, make("two"))


def test_a_quota_with_scopes_refuses_nothing(registry: Registry, refusal: Refusal) -> None:
    registry.create("resourcequotas", quota(hard={"pods": "0"}, scopes=["BestEffort"]))
    assert refusal("pods", pod()) == ""


def test_init_containers_take_what_the_largest_of_them_takes() -> None:
    made = asking(requests={"cpu": "1"})["spec"]
    made["initContainers"] = [
        {"name": "big", "resources": {"requests": {"cpu": "3"}}},
        {"name": "beside", "restartPolicy": "Always", "resources": {"requests": {"cpu": "500m"}}},
    ]
    assert usage_of("pods", {"spec": made})["requests.cpu"] == 3
    made["initContainers"][0]["resources"]["requests"]["cpu"] = "1"
    assert usage_of("pods", {"spec": made})["requests.cpu"] == Decimal("1.5")


def priority_class(name: str, value: int, **more: Any) -> Object:
    return {"metadata": {"name": name}, "value": value, **more}


def test_a_pod_gets_the_priority_of_its_class(registry: Registry, refusal: Refusal) -> None:
    classes = "priorityclasses.scheduling.k8s.io"
    assert refusal("pods", pod(priorityClassName="high")).endswith("no PriorityClass with name high was found")
    registry.create(classes, priority_class("high", 1000, preemptionPolicy="Never"))
    made = registry.create("pods", pod("classed", priorityClassName="high"))["spec"]
    assert (made["priority"], made["preemptionPolicy"]) == (1000, "Never")
    assert registry.create("pods", pod("plain"))["spec"]["priority"] == 0
    registry.create(classes, priority_class("usual", 5, globalDefault=True))
    made = registry.create("pods", pod("usual"))["spec"]
    assert (made["priority"], made["priorityClassName"]) == (5, "usual")
    critical = registry.create("pods", pod("critical", priorityClassName="system-node-critical"))["spec"]
    assert critical["priority"] == 2_000_001_000


@given(st.integers(0, 10**15), st.booleans())
def test_an_amount_in_whole_units_is_read_back_as_it_was_written(amount: int, binary: bool) -> None:
    assert parse_quantity(format_quantity(Decimal(amount), binary=binary)) == amount


@pytest.mark.parametrize(
    ("amount", "binary", "text"),
    [("0.2", False, "200m"), ("0", True, "0"), ("134217728", True, "128Mi"), ("2000", False, "2k"), ("3", False, "3")],
)
def test_amounts_are_shown_as_kubernetes_shows_them(amount: str, binary: bool, text: str) -> None:
    assert format_quantity(Decimal(amount), binary=binary) == text
