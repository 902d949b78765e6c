"""The commands with ``--cluster minikube``, with all but Minikube itself real: its double leads to a sandbox."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from flametest.sandbox.launch import SandboxOptions, start
from tests.addresses import own_address
from tests.environment import neutral_environment

ROOT = Path(__file__).parents[2]
DOUBLE = Path(__file__).with_name("minikube_double.py")

pytestmark = [pytest.mark.sandbox, pytest.mark.exhaustive]


class Commands:
    """Runs ``flametest`` on a machine whose Minikube is the double, which leads to a sandbox that runs already."""

    def __init__(self, folder: Path, kubeconfig: Path, address: str) -> None:
        self.double = folder / "double"
        self.address = address
        programs = folder / "programs"
        for path in (self.double, programs):
            path.mkdir()
        (programs / "minikube").write_text(
            f'#!/bin/sh\nexec {shlex.join([sys.executable, "-I", "-S", str(DOUBLE)])} "$@"\n'
        )
        (programs / "minikube").chmod(0o755)
        content = yaml.safe_load(kubeconfig.read_text())
        leads = {"cluster": content["clusters"][0]["cluster"], "user": content["users"][0]["user"]}
        (folder / "leads.json").write_text(json.dumps(leads))
        settings = {"address": address, "cluster": str(folder / "leads.json")}
        (self.double / "settings.json").write_text(json.dumps(settings))
        self._environment = {
            **neutral_environment(),
            "FLAMETEST_HOME": str(folder / "state"),
            "MINIKUBE_DOUBLE": str(self.double),
            "PATH": f"{programs}:{os.environ['PATH']}",
        }

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run one command to its end."""
        command = [sys.executable, "-m", "flametest.cli", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=180, check=False
        )

    def profiles(self) -> dict[str, Any]:
        """Return the double's profiles."""
        content: dict[str, Any] = json.loads((self.double / "profiles.json").read_text())
        return content


@pytest.fixture(scope="module")
def flametest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("minikube")
    address = own_address("minikube")
    options = SandboxOptions(
        home=folder / "sandbox",
        api_address=address,
        node_port_address=address,
        images_file=ROOT / "manifests" / "images.toml",
    )
    sandbox = start(options)
    try:
        yield Commands(folder, sandbox.kubeconfig, address)
    finally:
        sandbox.stop()


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is missing")
def test_the_same_files_are_deployed_measured_and_reported_through_minikube(
    flametest: Commands, tmp_path: Path
) -> None:
    up = flametest("up", "--cluster", "minikube", "--driver", "docker")
    assert up.returncode == 0, up.stdout + up.stderr
    assert f"entry: http://{flametest.address}:30080" in up.stdout
    status = flametest("status", "--cluster", "minikube")
    assert status.returncode == 0, status.stdout + status.stderr
    assert "cluster    minikube, context flametest" in status.stdout
    experiment = "experiments/pod-delete-api.json"
    run = flametest("run", "--cluster", "minikube", "--experiment", experiment, "--out", str(tmp_path / "run"))
    # On a busy machine the measurement may say that nothing counts; that it came to a verdict is what is asked here.
    assert run.returncode in {0, 1, 3}, run.stdout + run.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert [one["name"] for one in result["scenarios"]] == ["pod-delete-api"]
    assert "on minikube" in (tmp_path / "run" / "summary.md").read_text()
    assert (tmp_path / "run" / "junit.xml").exists()
    assert flametest.profiles()["flametest"]["host"] == "Running", "a run leaves what ran before"
    down = flametest("down", "--cluster", "minikube")
    assert down.returncode == 0, down.stdout + down.stderr
    assert "the minikube has been ended" in down.stdout
    assert flametest.profiles()["flametest"]["host"] == "Stopped"
    gone = flametest("status", "--cluster", "minikube")
    assert gone.returncode == 2
    assert "no minikube is running" in gone.stderr
    assert "flametest up --cluster minikube" in gone.stderr
    assert flametest("down", "--cluster", "minikube", "--delete").returncode == 0
    assert flametest.profiles() == {}
