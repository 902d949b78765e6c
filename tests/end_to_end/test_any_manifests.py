"""Other people's manifests, as they are, on the sandbox: by `flametest up`, from any folder."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flametest.model.consent import has_consent
from tests.addresses import own_address
from tests.end_to_end.conftest import FLAMETEST, environment_of
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

ADDRESS = own_address("any manifests")


def workload(name: str, image: str = "nginx", command: str = "", memory: str = "64Mi", kind: str = "Deployment") -> str:
    started = f", command: [python3, -c, {json.dumps(command)}]" if command else ""
    return f"""\
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}, labels: {{release: 2024-01-31}}}}
spec:
  replicas: 2
  serviceName: {name}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
      - {{name: main, image: "{image}", resources: {{limits: {{memory: {memory}}}}}{started}}}
""".replace("" if kind == "StatefulSet" else f"  serviceName: {name}\n", "")


SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 31234}]}
"""
DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {plural: servicemonitors, kind: ServiceMonitor}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""
FURTHER = """\
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 1000
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
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
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {scaleTargetRef: {apiVersion: v1, kind: ReplicationController, name: web}, maxReplicas: 3}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: web}}
    spec: {priorityClassName: high, containers: [{name: main, image: nginx}]}
"""
THEIR_DEFAULT = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n"
MONITOR = "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: web}\n"
JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {generateName: seed-}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: busybox, command: ["true"]}]}}}
"""


@dataclass(frozen=True)
class Machine:
    """A folder to work in, and commands with a state folder of their own."""

    folder: Path
    environment: dict[str, str]

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.folder / name.replace("__", "/").replace("_yaml", ".yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def flametest(self, *arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        command = [*FLAMETEST, *arguments]
        where = cwd or self.folder
        return subprocess.run(
            command,
            env=self.environment,
            cwd=where,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def found(self, kind: str, namespace: str = "flametest") -> list[dict[str, Any]]:
        """Return all objects of a kind, by the API itself."""
        from flametest.kube import connect  # noqa: PLC0415
        from flametest.kube.resources import Discovery  # noqa: PLC0415

        home = Path(self.environment["FLAMETEST_HOME"])
        with connect(home / "sandboxes" / "default" / "kubeconfig", "flametest-sandbox") as client:
            versions = ("v1", "apps/v1", "batch/v1", "monitoring.coreos.com/v1", "scheduling.k8s.io/v1")
            resource = next(one for version in versions if (one := Discovery(client.api).resource(version, kind)))
            return list(client.api.get(resource.path(namespace))["items"])

    def objects(self, kind: str, namespace: str = "flametest") -> list[str]:
        """Return the names of all objects of a kind."""
        return sorted(str(one["metadata"]["name"]) for one in self.found(kind, namespace))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    folder = tmp_path / "work"
    folder.mkdir()
    made = Machine(folder, environment_of(tmp_path / "home", ADDRESS))
    yield made
    made.flametest("down", cwd=Path("/"))


def test_a_folder_is_deployed_as_kubectl_would_and_looked_after_from_anywhere(machine: Machine) -> None:
    machine.write(
        k8s__web_yaml=workload("web") + "---\n" + SERVICE + "---\n" + MONITOR,
        k8s__db__db_yaml=workload("db", "redis:7", memory="128m", kind="StatefulSet"),
        k8s__values_yaml="replicaCount: 2\n",
        k8s__kustomization_yaml="resources: [web.yaml]\n",
        k8s__job_yaml=JOB,
    )

    up = machine.flametest("up", "k8s")

    assert up.returncode == 0, up.stdout + up.stderr
    lines = up.stdout.splitlines()
    assert lines[0] == "takes 5 objects of folder k8s: db/db.yaml, job.yaml, web.yaml"
    assert any(line.startswith("leaves out kustomization.yaml: a kustomization") for line in lines)
    assert any(line.startswith("leaves out values.yaml: no object") for line in lines)
    assert sum("left out: ServiceMonitor web of web.yaml" in line for line in lines) == 1
    assert sum("fractional byte" in line for line in lines) == 1  # the API's own warning of memory: 128m
    assert f"entry: http://{ADDRESS}:31234" in lines
    assert (machine.objects("Deployment"), machine.objects("StatefulSet")) == (["web"], ["db"])
    assert len(machine.objects("Job")) == 1

    assert "ready      web 2/2" in machine.flametest("status", cwd=Path("/")).stdout
    assert f"FLAMETEST_URL=http://{ADDRESS}:31234" in machine.flametest("env", cwd=Path("/")).stdout
    assert machine.flametest("undo", cwd=Path("/")).returncode == 0

    again = machine.flametest("up", "k8s/job.yaml", "k8s/web.yaml")
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(machine.objects("Job")) == 2  # a generated name is created each time

    assert machine.flametest("down", cwd=Path("/")).stdout == "the sandbox has been ended\n"


def test_a_folder_called_manifests_is_deployed_and_never_the_shipped_system(machine: Machine) -> None:
    machine.write(manifests__deep__web_yaml=workload("mine"))
    up = machine.flametest("up")
    assert up.returncode == 0, up.stdout + up.stderr
    assert "of folder manifests: deep/web.yaml" in up.stdout.splitlines()[0]
    assert machine.objects("Deployment") == ["mine"]


def test_a_system_keeps_the_namespace_that_its_manifests_name(machine: Machine) -> None:
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: loose}\n"
    machine.write(web_yaml=workload("web").replace("{name: web,", "{name: web, namespace: shop,", 1), map_yaml=config)
    up = machine.flametest("up", ".")
    assert up.returncode == 0, up.stdout + up.stderr
    assert (machine.objects("Deployment", "shop"), "loose" in machine.objects("ConfigMap", "shop")) == (["web"], True)
    assert "namespace shop" in machine.flametest("status", cwd=Path("/")).stdout
    assert "FLAMETEST_NAMESPACE=shop" in machine.flametest("env", cwd=Path("/")).stdout


@pytest.mark.parametrize(("described", "consents"), [("", True), (THEIR_DEFAULT, False)])
def test_a_namespace_that_was_there_consents_to_faults_unless_a_manifest_describes_it(
    machine: Machine, described: str, consents: bool
) -> None:
    machine.write(k8s__web_yaml=workload("web") + described)
    up = machine.flametest("up", "k8s", "--namespace", "default")
    assert up.returncode == 0, up.stdout + up.stderr
    (default,) = (one for one in machine.found("Namespace", "") if one["metadata"]["name"] == "default")
    assert has_consent(default) == consents


def test_what_cannot_get_ready_is_told_early_with_all_parts_and_stays_to_be_looked_into(machine: Machine) -> None:
    broken = workload("web", "python:3.13-slim", "import sys; print('my last words'); sys.exit(7)")
    absent = workload("absent", "nowhere.example/absent:1")
    machine.write(web_yaml=broken, absent_yaml=absent, db_yaml=workload("db", "redis:7"))

    up = machine.flametest("up", ".")

    assert up.returncode == 2, up.stdout + up.stderr
    told = up.stderr.splitlines()
    assert "web 0/2" in told[-2]
    assert "absent 0/2" in told[-2]
    assert "flametest down" in told[-1]
    assert sum("my last words" in line for line in told) == 1
    assert any(
        "Deployment web (2 pods): container main ends again and again, with exit code 7" in line for line in told
    )
    assert any("Deployment absent (2 pods)" in line and "nowhere.example/absent:1" in line for line in told)
    assert any("Failed to pull image" in line for line in told)
    assert not any(line.startswith("Deployment db") for line in told)
    status = machine.flametest("status", cwd=Path("/"))
    assert status.returncode == 3, status.stdout + status.stderr
    assert "ready      db 2/2" in status.stdout


def test_a_kind_that_is_not_served_is_refused_when_asked_to_be_strict(machine: Machine) -> None:
    machine.write(web_yaml=workload("web") + "---\n" + MONITOR)
    up = machine.flametest("up", "--strict", "web.yaml")
    assert up.returncode == 2
    assert "web.yaml, document 2: the cluster knows no ServiceMonitor" in up.stderr


def test_kinds_of_tutorials_and_those_that_the_set_defines_itself_are_deployed(machine: Machine) -> None:
    machine.write(k8s__a_yaml=MONITOR, k8s__b_yaml=DEFINITION, k8s__c_yaml=SERVICE + "---\n" + FURTHER)
    up = machine.flametest("up", "k8s")
    assert up.returncode == 0, up.stdout + up.stderr
    assert "left out" not in up.stdout + up.stderr
    assert machine.objects("ServiceMonitor") == machine.objects("ReplicationController") == ["web"]
    assert machine.objects("PriorityClass", "") == ["high"]
    assert len(machine.objects("Pod")) == 2


def test_a_version_that_kubernetes_no_longer_serves_is_refused(machine: Machine) -> None:
    machine.write(web_yaml=workload("web").replace("apps/v1", "extensions/v1beta1"))
    up = machine.flametest("up", "web.yaml")
    assert up.returncode == 2
    assert "knows no Deployment in extensions/v1beta1" in up.stderr


def test_a_bare_sandbox_is_there_for_kubectl(machine: Machine) -> None:
    assert machine.flametest("up", "--bare").returncode == 0
    assert machine.objects("Pod") == []
    if kubectl := shutil.which("kubectl"):
        environment = machine.environment | {
            "KUBECONFIG": str(Path(machine.environment["FLAMETEST_HOME"], "sandboxes", "default", "kubeconfig"))
        }
        machine.write(web_yaml=workload("web"))
        command = [kubectl, "apply", "-f", str(machine.folder / "web.yaml")]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
        assert machine.objects("Deployment") == ["web"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_a_kustomization_is_built_and_deployed(machine: Machine) -> None:
    machine.write(
        # kustomize itself makes a time of day of a date without quotes.
        base__web_yaml=workload("web").replace("2024-01-31", "stable"),
        base__kustomization_yaml="resources: [web.yaml]\n",
        over__kustomization_yaml="resources: [../base]\nnamePrefix: test-\nreplicas: [{name: web, count: 1}]\n",
    )
    up = machine.flametest("up", "-k", "over")
    assert up.returncode == 0, up.stdout + up.stderr
    assert machine.objects("Deployment") == ["test-web"]


@pytest.mark.parametrize("arguments", [["a", "--bare"], ["a", "-k", "b"], ["--bare", "-k", "b"]])
def test_what_to_deploy_is_named_in_one_way(machine: Machine, arguments: list[str]) -> None:
    done = machine.flametest("up", *arguments)
    assert done.returncode == 2
    assert "exclude one another" in done.stderr
