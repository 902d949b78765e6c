"""The manifests hold together: what one object names, another one is."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
# What the sandbox carries binaries for; everything else has to be built from this repository.
PUBLIC_IMAGES = ("redis", "postgres", "nginxinc/nginx-unprivileged")
# Deployed by Flametest itself: the distributed load, the Job.
OWN_IMAGES = {"flametest/load:0.1.0", "flametest/flametest:0.1.0"}

Manifest = dict[str, Any]


@pytest.fixture
def workloads(manifests: list[Manifest]) -> list[Manifest]:
    """Return the Deployments and StatefulSets."""
    return [each for each in manifests if each["kind"] in {"Deployment", "StatefulSet"}]


def containers(workload: Manifest) -> Iterator[Manifest]:
    """Yield every container of a workload."""
    pod = workload["spec"]["template"]["spec"]
    yield from (*pod.get("initContainers", ()), *pod["containers"])


def name(manifest: Manifest) -> str:
    """Return the object's kind and name."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def test_the_namespace_comes_first_and_everything_is_in_it(manifests: list[Manifest]) -> None:
    assert name(manifests[0]) == "Namespace/flametest"
    assert {each["metadata"]["namespace"] for each in manifests[1:]} == {"flametest"}


def test_the_system_has_the_pods_that_the_design_says(workloads: list[Manifest]) -> None:
    assert {name(each): each["spec"]["replicas"] for each in workloads} == {
        "Deployment/api": 3,
        "Deployment/frontend": 2,
        "Deployment/logic": 2,
        "Deployment/nginx": 2,
        "StatefulSet/redis": 1,
        "StatefulSet/postgres": 1,
    }


def test_no_object_is_described_twice(manifests: list[Manifest]) -> None:
    names = [name(each) for each in manifests]
    assert len(names) == len(set(names))


def test_workloads_select_their_own_pods_and_spread_them(workloads: list[Manifest]) -> None:
    for workload in workloads:
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"] == {"app": workload["metadata"]["name"]}
        assert labels["app"] == workload["metadata"]["name"]
        for constraint in workload["spec"]["template"]["spec"].get("topologySpreadConstraints", ()):
            assert constraint["labelSelector"]["matchLabels"].items() <= labels.items()


def test_services_and_budgets_select_pods_that_exist(manifests: list[Manifest], workloads: list[Manifest]) -> None:
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in workloads]
    selectors = [each["spec"]["selector"] for each in manifests if each["kind"] == "Service"]
    selectors += [
        each["spec"]["selector"]["matchLabels"] for each in manifests if each["kind"] == "PodDisruptionBudget"
    ]
    assert len(selectors) == 10
    for selector in selectors:
        assert sum(selector.items() <= labels.items() for labels in pods) == 1


def test_ports_of_services_and_probes_are_named_by_the_containers(
    manifests: list[Manifest], workloads: list[Manifest]
) -> None:
    ports_by_app = {}
    for workload in workloads:
        for container in containers(workload):
            ports = {port["name"] for port in container["ports"]}
            ports_by_app[workload["metadata"]["name"]] = ports
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                check = container[kind].get("httpGet") or container[kind].get("tcpSocket")
                assert check is None or check["port"] in ports
    for service in (each for each in manifests if each["kind"] == "Service"):
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports_by_app[service["spec"]["selector"]["app"]]


def test_stateful_sets_name_a_service_and_keep_their_data_on_a_claim(
    manifests: list[Manifest], workloads: list[Manifest]
) -> None:
    services = {each["metadata"]["name"] for each in manifests if each["kind"] == "Service"}
    for workload in (each for each in workloads if each["kind"] == "StatefulSet"):
        assert workload["spec"]["serviceName"] in services
        assert [claim["metadata"]["name"] for claim in workload["spec"]["volumeClaimTemplates"]] == ["data"]


def test_mounts_secrets_and_config_maps_exist(manifests: list[Manifest], workloads: list[Manifest]) -> None:
    keys = {name(each): set(each["data"]) for each in manifests if each["kind"] in {"Secret", "ConfigMap"}}
    for workload in workloads:
        volumes = workload["spec"]["template"]["spec"].get("volumes", [])
        claims = workload["spec"].get("volumeClaimTemplates", [])
        known = {volume["name"] for volume in volumes} | {claim["metadata"]["name"] for claim in claims}
        for volume in volumes:
            assert "configMap" not in volume or f"ConfigMap/{volume['configMap']['name']}" in keys
        for container in containers(workload):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= known
            for variable in container.get("env", []):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    assert reference["key"] in keys[f"Secret/{reference['name']}"]


def test_every_image_is_public_or_built_from_this_repository(workloads: list[Manifest]) -> None:
    catalogue = tomllib.loads((REPOSITORY / "manifests" / "images.toml").read_text())["image"]
    built = {image["name"] for image in catalogue}
    used = {container["image"] for workload in workloads for container in containers(workload)}
    assert built <= used | OWN_IMAGES
    for image in used - built:
        assert image.partition(":")[0] in PUBLIC_IMAGES
        assert image.partition(":")[2] not in {"", "latest"}
    for image in catalogue:
        assert (REPOSITORY / image["context"] / image.get("dockerfile", "Dockerfile")).is_file()


def test_what_an_image_copies_is_in_its_build_context_and_not_left_out_of_it() -> None:
    for image in tomllib.loads((REPOSITORY / "manifests" / "images.toml").read_text())["image"]:
        context = REPOSITORY / image["context"]
        kept = (context / ".dockerignore").read_text().splitlines()
        copies = re.findall(
            r"^COPY (\S+) ", (context / image.get("dockerfile", "Dockerfile")).read_text(), re.MULTILINE
        )
        assert copies
        for source in copies:
            assert (context / source).exists()
            assert f"!{source}" in kept


def test_every_container_keeps_the_restricted_pod_security_standard(workloads: list[Manifest]) -> None:
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/
    for workload in workloads:
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in containers(workload):
            assert container["imagePullPolicy"] == "IfNotPresent"
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]) == {"requests", "limits"}


def test_pods_have_the_time_to_drain(workloads: list[Manifest]) -> None:
    drain_seconds = 10  # DRAIN_SECONDS of the api service, worker_shutdown_timeout of nginx
    for workload in (each for each in workloads if each["kind"] == "Deployment"):
        pod = workload["spec"]["template"]["spec"]
        for container in containers(workload):
            sleep_seconds = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert sleep_seconds + drain_seconds < pod["terminationGracePeriodSeconds"]
        assert workload["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_entry_is_at_node_port_30080(manifests: list[Manifest]) -> None:
    node_ports = {
        each["metadata"]["name"]: each["spec"]["ports"][0]["nodePort"]
        for each in manifests
        if each["kind"] == "Service" and each["spec"].get("type") == "NodePort"
    }
    assert node_ports == {"nginx": 30080}


def test_the_fault_switch_is_off_and_no_service_leads_to_it(
    manifests: list[Manifest], workloads: list[Manifest]
) -> None:
    (api,) = (each for each in workloads if each["metadata"]["name"] == "api")
    (container,) = containers(api)
    assert {"name": "FAULTS_ENABLED", "value": "false"} in container["env"]
    targets = {port["targetPort"] for each in manifests if each["kind"] == "Service" for port in each["spec"]["ports"]}
    assert "admin" not in targets


@pytest.mark.parametrize("service", ["api", "frontend", "logic"])
def test_the_image_of_the_service_runs_as_the_user_of_its_manifest(workloads: list[Manifest], service: str) -> None:
    dockerfile = (REPOSITORY / "services" / service / "Dockerfile").read_text()
    (workload,) = (each for each in workloads if each["metadata"]["name"] == service)
    context = workload["spec"]["template"]["spec"]["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}\n" in dockerfile
    assert f'CMD ["python", "-m", "{service}_service"]' in dockerfile
