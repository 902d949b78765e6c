"""Who may connect to whom, as the NetworkPolicies say it, against what the services are told to connect to."""

from typing import Any

import pytest

Manifest = dict[str, Any]

ALLOWED = {
    "nginx": None,  # from anywhere
    "api": {"nginx"},
    "frontend": {"nginx"},
    "logic": {"frontend"},
    "redis": {"api", "logic"},
    "postgres": {"api", "logic"},
}


@pytest.fixture
def policies(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Return the policies by the app whose pods they select."""
    found = [each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"]
    return {spec["podSelector"]["matchLabels"]["app"]: spec for spec in found}


@pytest.fixture
def ports(manifests: list[Manifest]) -> dict[str, set[str]]:
    """Return the ports that each app's Service leads to, by name."""
    services = [each["spec"] for each in manifests if each["kind"] == "Service"]
    return {spec["selector"]["app"]: {port["targetPort"] for port in spec["ports"]} for spec in services}


def test_each_pod_accepts_its_clients_only(policies: dict[str, Manifest]) -> None:
    assert set(policies) == set(ALLOWED)
    for app, spec in policies.items():
        (rule,) = spec["ingress"]
        peers = rule.get("from")
        clients = None if peers is None else {peer["podSelector"]["matchLabels"]["app"] for peer in peers}
        assert clients == ALLOWED[app]
        assert spec["policyTypes"] == ["Ingress"]
        assert all(set(peer) == {"podSelector"} for peer in peers or ())


def test_only_the_port_of_the_service_is_open(policies: dict[str, Manifest], ports: dict[str, set[str]]) -> None:
    for app, spec in policies.items():
        (rule,) = spec["ingress"]
        assert {port["port"] for port in rule["ports"]} == ports[app]
        assert {port["protocol"] for port in rule["ports"]} == {"TCP"}


def test_every_service_that_a_pod_is_told_of_lets_it_in(manifests: list[Manifest]) -> None:
    deployments = [each for each in manifests if each["kind"] == "Deployment"]
    for deployment in deployments:
        client = deployment["metadata"]["name"]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        told = {variable["name"]: variable.get("value", "") for variable in container.get("env", ())}
        for variable in ("REDIS_URL", "PGHOST", "LOGIC_URL"):
            if variable in told:
                host = told[variable].removeprefix("redis://").removeprefix("http://")
                service = host.partition(":")[0].partition(".")[0]
                assert client in (ALLOWED[service] or set())


def test_a_fault_switch_that_is_enabled_is_behind_a_policy(
    manifests: list[Manifest], policies: dict[str, Manifest]
) -> None:
    for deployment in (each for each in manifests if each["kind"] == "Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        if {"name": "FAULTS_ENABLED", "value": "true"} in container.get("env", ()):
            (rule,) = policies[deployment["metadata"]["name"]]["ingress"]
            assert "admin" not in {port["port"] for port in rule["ports"]}
