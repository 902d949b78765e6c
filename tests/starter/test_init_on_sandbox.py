"""What ``flametest init`` writes for three running systems runs as it is, and shows what was named."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from flametest.faults.waiting import wait_for
from flametest.kube import connect
from flametest.manifests import Manifest, parse_manifests, read_manifests
from flametest.sandbox.launch import Sandbox, SandboxOptions, start
from tests.addresses import own_address

pytestmark = [pytest.mark.sandbox, pytest.mark.exhaustive]

ROOT = Path(__file__).parents[2]
QUOTES = ROOT / "examples" / "quotes"
QUOTES_PORT, BARE_PORT = 30081, 30082
READY_SECONDS = 90.0
START_SECONDS = 6  # longer than the limit of an outage

# One pod that gets requests from its first moment on, and answers none of them for some seconds.
BARE = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: bare, labels: {{flametest.dev/faults: allowed}}}}
---
apiVersion: v1
kind: Namespace
metadata: {{name: vacant}}
---
apiVersion: v1
kind: Service
metadata: {{name: lone, namespace: bare}}
spec:
  type: NodePort
  selector: {{app: lone}}
  ports: [{{port: 80, targetPort: 8000, nodePort: {BARE_PORT}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: lone, namespace: bare}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: lone}}}}
  template:
    metadata: {{labels: {{app: lone}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: lone
          image: quotes:latest
          command: [sh, -c, "sleep {START_SECONDS}; exec python -m http.server 8000"]
"""


@dataclass(frozen=True)
class Cluster:
    """A sandbox with the ticket shop, the example, and a lone pod, each in a namespace of its own."""

    sandbox: Sandbox
    environment: dict[str, str]

    def url(self, port: int) -> str:
        """Return the address of a node port."""
        return f"http://{self.sandbox.node_port_address}:{port}"

    def run(self, module: str, *arguments: str, folder: Path, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of this environment to its end."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.environment | more,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def init(self, namespace: str, folder: Path) -> str:
        """Let init look at a namespace, and return what it told."""
        done = self.run("flametest.cli", "init", "--namespace", namespace, "--out", str(folder), folder=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        for file in (folder / "experiments").glob("*.json"):
            ensure_experiment_is_valid(json.loads(file.read_text()))
        return done.stdout

    def chaos(self, namespace: str, port: int, folder: Path, name: str) -> dict[str, Any]:
        """Validate and run an experiment by stock Chaos Toolkit, as the README tells, and return its journal."""
        file, journal = f"experiments/{name}.json", folder / "journal.json"
        more = {
            "KUBECONFIG": str(self.sandbox.kubeconfig),
            "KUBERNETES_CONTEXT": self.sandbox.context,
            "FLAMETEST_NAMESPACE": namespace,
            "FLAMETEST_URL": self.url(port),
        }
        for verb in (("validate",), ("run", "--journal-path", str(journal))):
            done = self.run("chaostoolkit", "--no-version-check", *verb, file, folder=folder, **more)
            assert done.returncode == 0 or verb[0] == "run", done.stdout + done.stderr
        written: dict[str, Any] = json.loads(journal.read_text())
        return written


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home, address = tmp_path_factory.mktemp("home"), own_address("starter")
    options = SandboxOptions(home=home, node_port_address=address, images_file=images(home / "images.toml"))
    sandbox = start(options)
    try:
        with connect(sandbox.kubeconfig, sandbox.context) as client:
            client.apply(
                [*read_manifests(ROOT / "manifests").manifests, *quotes(), *parse_manifests(BARE, "bare.yaml")]
            )
            for namespace in ("flametest", "quotes", "bare"):
                client.wait_ready(namespace, READY_SECONDS)
        # Without a readiness probe it counts as ready long before.
        assert wait_for(lambda: answers(f"http://{address}:{BARE_PORT}/") or None, READY_SECONDS)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "FLAMETEST"))}
        own = {
            "FLAMETEST_HOME": str(home),
            "FLAMETEST_NODE_PORT_ADDRESS": address,
            "NO_PROXY": address,
            "HOME": str(home),
        }
        yield Cluster(sandbox, inherited | own)
    finally:
        sandbox.stop()


def answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


def images(file: Path) -> Path:
    """Write the images of both systems into one file, with contexts that hold from anywhere."""
    texts = [
        re.sub(r'context = "(.*)"', rf'context = "{root}/\1"', (root / "manifests" / "images.toml").read_text())
        for root in (ROOT, QUOTES)
    ]
    file.write_text("\n".join(texts))
    return file


def quotes() -> list[Manifest]:
    """Return the example's manifests at a node port beside the shop's."""
    texts = [(file.name, file.read_text()) for file in sorted((QUOTES / "manifests").glob("*.yaml"))]
    return [
        one
        for name, text in texts
        for one in parse_manifests(text.replace("nodePort: 30080", f"nodePort: {QUOTES_PORT}"), name)
    ]


def test_a_lone_pod_without_probes_is_named_weak_and_its_deletion_misses_the_limit(
    cluster: Cluster, tmp_path: Path
) -> None:
    told = cluster.init("bare", tmp_path)
    for rule in ("single-pod", "no-readiness-probe", "no-liveness-probe", "no-resource-requests", "floating-image"):
        assert f" {rule}: " in told
    journal = cluster.chaos("bare", BARE_PORT, tmp_path, "pod-delete-lone")
    assert [one["status"] for one in journal["run"]] == ["succeeded"] * 3
    assert journal["deviated"], "users waited for the replacement, for longer than the limit"


def test_the_dependency_of_the_example_is_taken_away_and_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    told = cluster.init("quotes", tmp_path)
    assert f"entry: Service quotes (its type is NodePort), {cluster.url(QUOTES_PORT)} / /readyz" in told
    assert "StatefulSet redis single-pod: 1 replica, needed by quotes, tally" in told
    journal = cluster.chaos("quotes", QUOTES_PORT, tmp_path, "outage-redis")
    assert journal["status"] == "completed"
    assert [one["status"] for one in journal["run"]] == ["succeeded"] * 5
    assert "Service redis has no ready endpoint" in journal["run"][1]["output"]["evidence"]


def test_a_run_takes_what_was_written_for_the_ticket_shop_and_judges_it(cluster: Cluster, tmp_path: Path) -> None:
    cluster.init("flametest", tmp_path)
    where = ("--no-deploy", "--namespace", "flametest", "--url", cluster.url(30080))
    done = cluster.run(
        "flametest.cli", "run", *where, "--experiment", "experiments/pod-delete-nginx.json", folder=tmp_path
    )
    # How long it was felt is for a machine that does nothing else; that it was proved and measured is not.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    (scenario,) = json.loads((tmp_path / "reports" / "latest" / "result.json").read_text())["scenarios"]
    assert {one["name"]: one["verdict"] for one in scenario["checks"]}["fault_proven"] == "passed"
    assert (tmp_path / "reports" / "latest" / "report.html").is_file()


def test_a_namespace_with_nothing_to_test_is_refused_with_a_remedy(cluster: Cluster, tmp_path: Path) -> None:
    for namespace, complaint in (("vacant", "holds no Deployment"), ("absent", "no namespace 'absent'")):
        done = cluster.run("flametest.cli", "init", "--namespace", namespace, folder=tmp_path)
        assert done.returncode == 2
        assert complaint in done.stderr
        assert "remedy: " in done.stderr
    assert not list(tmp_path.iterdir())
