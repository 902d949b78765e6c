"""A dry run of what ``flametest init`` writes for systems drawn at random finds the target of every fault."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flametest.kube import connect
from flametest.manifests import Manifest, parse_manifests
from flametest.sandbox.launch import Sandbox, SandboxOptions, start
from tests.addresses import own_address
from tests.environment import neutral_environment
from tests.patience import PATIENCE_SECONDS
from tests.starter.random_systems import draw_system
from tests.starter.systems import Object, container, service, workload

pytestmark = [pytest.mark.sandbox, pytest.mark.exhaustive]

SEEDS = range(8)
PORT = 30090


def namespace_of(seed: int) -> str:
    return f"drawn-{seed}"


def manifests(seed: int) -> list[Manifest]:
    """Return a drawn system in a namespace of its own, whose containers only sleep: none is asked anything."""
    namespace = namespace_of(seed)
    labels = {"flametest.dev/faults": "allowed"}
    objects: list[Object] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
    ]
    for one in draw_system(seed, replicas_max=3).objects:
        one["metadata"]["namespace"] = namespace
        pod = one.get("spec", {}).get("template", {}).get("spec", {})
        pod.pop("initContainers", None)  # which wait for what never answers
        for each in pod.get("containers", ()):
            each |= {"image": "python:3.13-slim", "command": ["sleep", "3600"], "args": []}
        if one["kind"] != "HTTPRoute":  # which the sandbox does not serve
            objects.append(one)
    return parse_manifests("\n".join(map(json.dumps, objects)), f"{namespace}.json")


def answering() -> list[Manifest]:
    """Return what answers in the place of all entries, since a run looks whether its entry does."""
    server = container("web", image="python:3.13-slim", command=["python", "-m", "http.server", "8080"])
    for field in ("readinessProbe", "livenessProbe", "lifecycle"):
        del server[field]
    ports = [{"port": 80, "targetPort": 8080, "nodePort": PORT}]
    objects = [workload("web", "Deployment", server, replicas=1), service("web", type="NodePort", ports=ports)]
    for one in objects:
        one["metadata"]["namespace"] = "default"
    return parse_manifests("\n".join(map(json.dumps, objects)), "web.json")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    home = tmp_path_factory.mktemp("home")
    running = start(SandboxOptions(home=home, node_port_address=own_address("drawn systems")))
    try:
        with connect(running.kubeconfig, running.context) as client:
            client.apply(answering())
            for seed in SEEDS:
                client.apply(manifests(seed))
            for seed in SEEDS:
                client.wait_ready(namespace_of(seed), PATIENCE_SECONDS)
        yield running
    finally:
        running.stop()


def flametest(sandbox: Sandbox, folder: Path, *arguments: str) -> str:
    inherited = neutral_environment()
    own = {
        "FLAMETEST_HOME": str(sandbox.state_folder.parents[1]),
        "FLAMETEST_NODE_PORT_ADDRESS": sandbox.node_port_address,
    }
    done = subprocess.run(
        [sys.executable, "-m", "flametest.cli", *arguments],
        env=inherited | own,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dry_run_finds_the_target_of_every_fault(sandbox: Sandbox, tmp_path: Path, seed: int) -> None:
    url = f"http://{sandbox.node_port_address}:{PORT}"
    where = ("--namespace", namespace_of(seed), "--url", url)
    flametest(sandbox, tmp_path, "init", *where, "--out", str(tmp_path))
    dry = flametest(sandbox, tmp_path, "run", "--no-deploy", *where, "--suite", "full", "--dry-run")
    names = {file.stem for file in (tmp_path / "experiments").glob("*.json")}
    shown = [line for line in dry.splitlines() if line.startswith("  ")]
    assert names <= set(dry.splitlines())
    assert len(shown) == len(names) - 1, "each but the control has one fault"
    assert all(f"{namespace_of(seed)}/" in line for line in shown), dry
