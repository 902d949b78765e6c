"""Callers whose egress is limited: who of them may connect to the fault proxy, and who may not."""

from typing import Any

import pytest

from flametest.faults.egress import companions, matches
from flametest.faults.proxy_parts import Front, routes_of
from flametest.kube.resources import NETWORK_POLICIES, PODS
from tests.faults.conftest import pod

FRONT = Front("flametest", "api")
API = {"podSelector": {"matchLabels": {"app": "api"}}}


def made(client: Any, *rules: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the companions where the pods of app web may connect by these rules only."""
    client.api.put(PODS, pod("web-0", "web"))
    spec = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"], "egress": list(rules)}
    client.api.put(NETWORK_POLICIES, {"metadata": {"name": "web"}, "spec": spec})
    service = {
        "metadata": {"name": "api"},
        "spec": {"selector": {"app": "api"}, "clusterIP": "10.96.0.7", "ports": [{"port": 80, "targetPort": 8080}]},
    }
    pods = [one for one in client.api.get(PODS.path("flametest"))["items"] if one["metadata"]["labels"]["app"] == "api"]
    return companions(client, FRONT, pods, routes_of(service, pods[0]))


@pytest.mark.parametrize(
    "rule",
    [
        {"to": [API]},
        {"to": [API], "ports": [{"protocol": "TCP", "port": 8080}]},
        {"to": [{"podSelector": {}}]},
        {"to": [{"namespaceSelector": {}}]},
        {"to": [{"namespaceSelector": {"matchLabels": {"flametest.dev/faults": "allowed"}}} | API]},
        {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]},
    ],
)
def test_who_may_connect_to_the_pods_may_connect_to_the_proxy(client: Any, rule: dict[str, Any]) -> None:
    (companion,) = made(client, rule)
    assert companion["spec"]["podSelector"] == {"matchLabels": {"app": "web"}}
    assert companion["spec"]["policyTypes"] == ["Egress"]
    (allowed,) = companion["spec"]["egress"]
    assert allowed == {
        "to": [{"podSelector": {"matchLabels": FRONT.labels}}],
        "ports": [{"protocol": "TCP", "port": 10080}],
    }


def test_who_may_connect_anywhere_needs_nothing_more_to_connect_to_the_proxy(client: Any) -> None:
    assert made(client, {}) == []


@pytest.mark.parametrize(
    "rule",
    [
        {"to": [{"podSelector": {"matchLabels": {"app": "other"}}}]},
        {"to": [API], "ports": [{"protocol": "TCP", "port": 9090}]},
        {"to": [API], "ports": [{"protocol": "UDP", "port": 53}]},
        {"to": [{"namespaceSelector": {"matchLabels": {"name": "elsewhere"}}} | API]},
        {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/24"]}}]},
    ],
)
def test_who_may_not_connect_to_the_pods_may_not_connect_to_the_proxy(client: Any, rule: dict[str, Any]) -> None:
    assert made(client, rule) == []


def test_nothing_is_made_for_the_proxy_of_another_edge(client: Any) -> None:
    other = Front("flametest", "redis")
    client.api.put(PODS, pod("proxy-0", other.proxy))
    policies = other.policies({"spec": {"selector": {}}}, (), [])
    for one in policies:
        client.api.put(NETWORK_POLICIES, one)
    assert made(client) == []


def test_selectors_are_read_as_the_api_reads_them() -> None:
    labels = {"app": "api", "tier": "back"}
    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        ({"matchLabels": {"app": "api"}}, True),
        ({"matchLabels": {"app": "web"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["api", "web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["api"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}, True),
    ]
    for selector, found in cases:
        assert matches(selector, labels) is found
