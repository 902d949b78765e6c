"""kubectl works on the bare API server: applying, reading, scaling, explaining. Skipped where there is no kubectl."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.apiserver.objects import config_map, deployment, pod, service
from tests.apiserver.serving import TOKEN, ServerThread
from tests.patience import PATIENCE_SECONDS

KUBECTL = shutil.which("kubectl")
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl on this machine")

Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerThread]:
    with ServerThread(tls=True) as running:
        yield running


@pytest.fixture(scope="module")
def kubectl(server: ServerThread, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    folder = tmp_path_factory.mktemp("kubectl")
    cluster = {"server": server.url, "insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": TOKEN}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "current-context": "tests",
    }
    (folder / "config").write_text(json.dumps(config))
    environment = {"HOME": str(folder), "KUBECONFIG": str(folder / "config"), "PATH": "/usr/bin:/bin"}

    def run(*arguments: str) -> str:
        command = [str(KUBECTL), *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    budget: dict[str, Any] = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
    objects = [
        {"apiVersion": "v1", "kind": "ConfigMap", **config_map()},
        {"apiVersion": "apps/v1", "kind": "Deployment", **deployment()},
        {"apiVersion": "v1", "kind": "Service", **service(type="NodePort")},
        budget,
    ]
    path = tmp_path_factory.mktemp("manifest") / "all.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    return path


def test_applying_creates_and_then_changes_nothing(kubectl: Kubectl, manifest: Path) -> None:
    created = kubectl("apply", "-f", str(manifest))
    assert created.count(" created") == 4, created
    unchanged = kubectl("apply", "-f", str(manifest))
    assert unchanged.count(" unchanged") == 4, unchanged


def test_get_reads_as_on_any_cluster(kubectl: Kubectl, manifest: Path) -> None:
    kubectl("apply", "-f", str(manifest))
    lines = kubectl("get", "deployments,svc", "-o", "wide").splitlines()
    assert lines[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    assert lines[1].split()[:4] == ["deployment.apps/web", "0/2", "0", "0"]
    assert "EXTERNAL-IP" in lines[3]


def test_scale_restart_describe_and_delete(kubectl: Kubectl, manifest: Path) -> None:
    kubectl("apply", "-f", str(manifest))
    assert kubectl("scale", "deployment/web", "--replicas=5") == "deployment.apps/web scaled\n"
    assert kubectl("rollout", "restart", "deployment/web") == "deployment.apps/web restarted\n"
    assert "5 desired" in kubectl("describe", "deployment", "web")
    assert kubectl("delete", "-f", str(manifest)).count(" deleted") == 4


def test_an_unknown_field_stops_an_apply(kubectl: Kubectl, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "bogus": 1, **config_map("odd")}))
    assert 'unknown field "bogus"' in kubectl("apply", "-f", str(path))


def test_create_and_drain_work_with_typed_clients(kubectl: Kubectl, server: ServerThread) -> None:
    server.call(lambda registry: registry.create("nodes", {"metadata": {"name": "sandbox-1"}}))
    assert kubectl("create", "namespace", "typed") == "namespace/typed created\n"
    assert kubectl("create", "secret", "generic", "s", "--from-literal=a=b") == "secret/s created\n"
    assert kubectl("create", "deployment", "typed", "--image=example/web:1") == "deployment.apps/typed created\n"
    server.call(lambda registry: registry.create("pods", pod("drained")))
    server.call(lambda registry: registry.bind("default", "drained", "sandbox-1"))
    drained = kubectl("drain", "sandbox-1", "--force", "--grace-period=0", "--timeout=60s")
    assert "node/sandbox-1 drained" in drained, drained
    assert kubectl("auth", "can-i", "delete", "pods") == "yes\n"


def test_an_ingress_is_created_by_a_command(kubectl: Kubectl) -> None:
    rules = ("--rule=shop.example/*=web:80,tls=certificate", "--rule=/api=api:http")
    made = kubectl("create", "ingress", "entry", "--class=nginx", "--default-backend=web:80", *rules)
    assert "ingress.networking.k8s.io/entry created" in made, made
    web = {"service": {"name": "web", "port": {"number": 80}}}
    api = {"service": {"name": "api", "port": {"name": "http"}}}
    assert json.loads(kubectl("get", "ingress", "entry", "-o", "json"))["spec"] == {
        "ingressClassName": "nginx",
        "defaultBackend": web,
        "tls": [{"hosts": ["shop.example"], "secretName": "certificate"}],
        "rules": [
            {"host": "shop.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": web}]}},
            {"http": {"paths": [{"path": "/api", "pathType": "Exact", "backend": api}]}},
        ],
    }


def test_quotas_priority_classes_and_autoscalers_are_created_by_commands(kubectl: Kubectl) -> None:
    assert kubectl("create", "quota", "typed", "--hard=pods=3,requests.cpu=500m") == "resourcequota/typed created\n"
    assert json.loads(kubectl("get", "quota", "typed", "-o", "json"))["spec"]["hard"] == {
        "pods": "3",
        "requests.cpu": "500m",
    }
    # kubectl 1.34 and newer name the namespace behind it.
    assert kubectl("delete", "quota", "typed").startswith('resourcequota "typed" deleted')
    created = kubectl("create", "priorityclass", "typed", "--value=7", "--description=seven")
    assert "priorityclass.scheduling.k8s.io/typed created" in created, created
    assert json.loads(kubectl("get", "pc", "typed", "-o", "json"))["value"] == 7
    kubectl("create", "deployment", "scaled", "--image=example/web:1")
    scaled = kubectl("autoscale", "deployment", "scaled", "--max=3", "--cpu-percent=40")
    assert "horizontalpodautoscaler.autoscaling/scaled autoscaled" in scaled, scaled
    spec = json.loads(kubectl("get", "horizontalpodautoscalers.v1.autoscaling", "scaled", "-o", "json"))["spec"]
    assert (spec["maxReplicas"], spec["targetCPUUtilizationPercentage"]) == (3, 40)


def test_server_side_apply_and_explain(kubectl: Kubectl, manifest: Path) -> None:
    applied = kubectl("apply", "--server-side", "--force-conflicts", "-f", str(manifest))
    assert applied.count("serverside-applied") == 4, applied
    assert "image" in kubectl("explain", "pod.spec.containers")


MONITORS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.example.com}
spec:
  group: monitoring.example.com
  scope: Namespaced
  names: {plural: servicemonitors, kind: ServiceMonitor, shortNames: [smon]}
  versions:
    - name: v1
      served: true
      storage: true
      additionalPrinterColumns: [{name: Port, type: string, jsonPath: ".spec.endpoints[*].port"}]
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                endpoints:
                  description: where to scrape
                  type: array
                  items: {type: object, properties: {port: {type: string}}}
"""
MONITOR = """
apiVersion: monitoring.example.com/v1
kind: ServiceMonitor
metadata: {name: web}
spec: {endpoints: [{port: http}, {port: metrics}]}
"""


def test_custom_resources_are_applied_shown_explained_and_deleted(kubectl: Kubectl, tmp_path: Path) -> None:
    definition, monitor = tmp_path / "definition.yaml", tmp_path / "monitor.yaml"
    definition.write_text(MONITORS)
    monitor.write_text(MONITOR)
    assert "no matches for kind" in kubectl("apply", "-f", str(monitor))
    assert "servicemonitors.monitoring.example.com created" in kubectl("apply", "-f", str(definition))
    waited = kubectl("wait", "--for=condition=Established", "-f", str(definition), "--timeout=60s")
    assert "condition met" in waited, waited
    assert "servicemonitor.monitoring.example.com/web created" in kubectl("apply", "-f", str(monitor))
    assert "unchanged" in kubectl("apply", "-f", str(monitor))
    monitor.write_text(MONITOR.replace("metrics", "other"))
    assert "configured" in kubectl("apply", "-f", str(monitor))
    assert [line.split() for line in kubectl("get", "smon").splitlines()] == [
        ["NAME", "PORT"],
        ["web", "http", "other"],
    ]
    assert "http" in kubectl("describe", "servicemonitor", "web")
    assert "where to scrape" in kubectl("explain", "servicemonitor.spec")
    applied = kubectl("apply", "--server-side", "--force-conflicts", "-f", str(monitor))
    assert "serverside-applied" in applied, applied
    assert "crd/servicemonitors" not in kubectl("get", "crd")
    assert "deleted" in kubectl("delete", "-f", str(monitor))
    assert "deleted" in kubectl("delete", "-f", str(definition), "--timeout=60s")
    assert kubectl("get", "servicemonitors").lower().startswith("error")
    assert "monitoring.example.com" not in kubectl("api-versions")


FURTHER = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 1000
---
apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec: {limits: [{type: Container, default: {memory: 64Mi}}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota}
spec: {hard: {pods: "10"}}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec:
  replicas: 2
  selector: {app: old}
  template:
    metadata: {labels: {app: old}}
    spec: {containers: [{name: main, image: "example/web:1"}]}
---
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: old}
spec:
  scaleTargetRef: {apiVersion: v1, kind: ReplicationController, name: old}
  maxReplicas: 3
  targetCPUUtilizationPercentage: 50
"""


def test_the_further_kinds_of_tutorials_are_applied_shown_explained_and_deleted(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    path = tmp_path / "further.yaml"
    path.write_text(FURTHER)
    created = kubectl("apply", "-f", str(path))
    assert created.count(" created") == 6, created
    unchanged = kubectl("apply", "-f", str(path))
    # kubectl replaces the list of limits as a whole, and sees another one: with the defaults that were filled in.
    assert unchanged.count(" unchanged") == 5, unchanged
    for kind, shown in (
        ("ingressclass", "ingress-nginx"),
        ("pc", "1000"),
        ("limits", "Memory|memory"),
        ("quota", "Hard"),
        ("rc", "2 desired"),
        ("hpa", "50%"),
    ):
        described = kubectl("describe", kind)
        assert any(one in described for one in shown.split("|")), described
        assert "VERSION" in kubectl("explain", kind)
    assert kubectl("scale", "rc/old", "--replicas=4") == "replicationcontroller/old scaled\n"
    assert kubectl("get", "rc", "old", "--no-headers").split()[:2] == ["old", "4"]
    assert kubectl("delete", "-f", str(path), "--cascade=background").count(" deleted") == 6
