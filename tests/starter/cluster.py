"""A sandbox with every system that the project ships, each in its namespace, and how tests run programs on it."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaoslib.experiment import ensure_experiment_is_valid

from flametest.faults.waiting import wait_for
from flametest.kube import connect
from flametest.kube.api import MERGE
from flametest.kube.resources import Resource
from flametest.manifests import Manifest, parse_manifests, read_manifests
from flametest.sandbox.launch import Sandbox, SandboxOptions, start
from tests.addresses import own_address
from tests.environment import neutral_environment
from tests.patience import PATIENCE_SECONDS

__all__ = ["BARE_PORT", "PARCELS_PORT", "QUOTES_PORT", "SHOP_PORT", "START_SECONDS", "Cluster", "running_cluster"]

ROOT = Path(__file__).parents[2]
EXAMPLES = {"quotes": 30081, "parcels": 30083}
SHOP_PORT, QUOTES_PORT, BARE_PORT, PARCELS_PORT = 30080, 30081, 30082, 30083
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
    """A sandbox with the ticket shop, the examples, and a lone pod, each in a namespace of its own."""

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
            timeout=PATIENCE_SECONDS,
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

    def measured(self, namespace: str, port: int, folder: Path, *names: str) -> dict[str, dict[str, Any]]:
        """Run experiments by ``flametest run``, and return their scenarios by name."""
        where = ("--no-deploy", "--namespace", namespace, "--url", self.url(port))
        files = [argument for name in names for argument in ("--experiment", f"experiments/{name}.json")]
        done = self.run("flametest.cli", "run", *where, *files, folder=folder)
        assert done.returncode in (0, 1, 3), done.stdout + done.stderr
        result = json.loads((folder / "reports" / "latest" / "result.json").read_text())
        return {one["name"]: one for one in result["scenarios"]}

    def plant(self, namespace: str, kind: Resource, name: str, command: list[str], **spec: Any) -> None:
        """Change a workload so that its container starts by ``command``, without a liveness probe, and wait for it."""
        with connect(self.sandbox.kubeconfig, self.sandbox.context) as client:
            path = kind.path(namespace, name)
            (container,) = client.api.get(path)["spec"]["template"]["spec"]["containers"]
            changed = {key: value for key, value in container.items() if key != "livenessProbe"} | {"command": command}
            template = {"spec": {"containers": [changed]}}
            client.api.send("PATCH", path, {"spec": spec | {"template": template}}, content_type=MERGE)
            client.wait_ready(namespace, PATIENCE_SECONDS)


@contextmanager
def running_cluster(home: Path, title: str) -> Iterator[Cluster]:
    """Start a sandbox, deploy all systems to it, and end it; ``title`` tells its address from that of others."""
    address = own_address(title)
    options = SandboxOptions(home=home, node_port_address=address, images_file=images(home / "images.toml"))
    sandbox = start(options)
    try:
        with connect(sandbox.kubeconfig, sandbox.context) as client:
            client.apply(
                [*read_manifests(ROOT / "manifests").manifests, *examples(), *parse_manifests(BARE, "bare.yaml")]
            )
            for namespace in ("flametest", "quotes", "parcels", "bare"):
                client.wait_ready(namespace, PATIENCE_SECONDS)
        # Without a readiness probe it counts as ready long before.
        assert wait_for(lambda: answers(f"http://{address}:{BARE_PORT}/") or None, PATIENCE_SECONDS)
        inherited = neutral_environment()
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
    """Write the images of all systems into one file, with contexts that hold from anywhere."""
    texts = [
        re.sub(r'context = "(.*)"', rf'context = "{root}/\1"', (root / "manifests" / "images.toml").read_text())
        for root in (ROOT, *(ROOT / "examples" / name for name in EXAMPLES))
    ]
    file.write_text("\n".join(texts))
    return file


def examples() -> list[Manifest]:
    """Return the manifests of the examples, at node ports beside the shop's."""
    texts = [
        (file.name, file.read_text().replace("nodePort: 30080", f"nodePort: {port}"))
        for name, port in EXAMPLES.items()
        for file in sorted((ROOT / "examples" / name / "manifests").glob("*.yaml"))
    ]
    return [one for name, text in texts for one in parse_manifests(text, name)]
