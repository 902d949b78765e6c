"""kubectl works on the sandbox as on any cluster; skipped where there is none."""

import pytest

from tests.end_to_end.conftest import System

pytestmark = pytest.mark.sandbox


def test_pods_are_listed_with_their_nodes(system: System) -> None:
    lines = system.kubectl("get", "pods", "-o", "wide").splitlines()

    assert lines[0].split()[:6] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP"]
    assert sum(line.split()[1:3] == ["1/1", "Running"] for line in lines[1:]) == 11
    assert len({line.split()[6] for line in lines[1:] if line.startswith("api-")}) == 3


def test_services_and_deployments_are_listed(system: System) -> None:
    services = {line.split()[0]: line.split() for line in system.kubectl("get", "svc").splitlines()}
    deployments = {line.split()[0]: line.split() for line in system.kubectl("get", "deploy").splitlines()}

    assert services["nginx"][1] == "NodePort"
    assert services["nginx"][4] == "80:30080/TCP"
    assert deployments["api"][1:4] == ["3/3", "3", "3"]


def test_a_pod_is_described_with_its_events(system: System) -> None:
    name = system.kubectl("get", "pods", "-l", "app=api", "-o", "name").splitlines()[0]

    described = system.kubectl("describe", name)

    assert "Scheduled" in described
    assert "Started" in described
    assert "Ready             True" in " ".join(described.split("Conditions:")[1].splitlines())


def test_logs_are_the_pods_own(system: System) -> None:
    system.get("/")

    assert '"level"' in system.kubectl("logs", "-l", "app=api", "--tail", "5")


def test_applying_the_manifests_again_changes_nothing(system: System) -> None:
    lines = system.kubectl("apply", "-f", "manifests/").splitlines()
    again = system.kubectl("apply", "-f", "manifests/").splitlines()

    assert len(lines) == 25
    assert [line for line in again if not line.endswith(" unchanged")] == []


def test_a_deployment_is_scaled_and_restarted_and_a_pod_deleted(system: System) -> None:
    system.kubectl("scale", "deployment/api", "--replicas", "4")
    system.kubectl("rollout", "status", "deployment/api", "--timeout", "60s")
    assert system.kubectl("get", "deploy", "api").splitlines()[1].split()[1] == "4/4"

    system.kubectl("scale", "deployment/api", "--replicas", "3")
    system.kubectl("rollout", "restart", "deployment/api")
    assert "successfully rolled out" in system.kubectl("rollout", "status", "deployment/api", "--timeout", "60s")

    staying = "{range .items[*]}{.metadata.deletionTimestamp} pod/{.metadata.name}{'\\n'}{end}"
    pods = system.kubectl("get", "pods", "-l", "app=api", "-o", f"jsonpath={staying}").splitlines()
    name = next(line.strip() for line in pods if line.startswith(" "))
    system.kubectl("delete", name)
    assert name not in system.kubectl("get", "pods", "-o", "name").splitlines()
    system.kubectl("rollout", "status", "deployment/api", "--timeout", "60s")
