"""One deployed system for all end-to-end tests, on a sandbox of its own, reached as a user reaches it."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.addresses import own_address
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
FLAMETEST = [sys.executable, "-m", "flametest.cli"]
NODE_PORT_ADDRESS = own_address("end to end")


@dataclass(frozen=True)
class System:
    """The deployed system, and the environment that points tools at it."""

    environment: dict[str, str]
    url: str

    def flametest(self, *arguments: str, timeout: float = 240.0) -> "subprocess.CompletedProcess[str]":
        """Run a flametest command to its end."""
        return subprocess.run(
            [*FLAMETEST, *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl, if there is one, and return what it printed."""
        kubectl = shutil.which("kubectl")
        if kubectl is None:
            pytest.skip("kubectl is not installed")
        done = subprocess.run(
            [kubectl, *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, path: str) -> dict[str, Any]:
        """Request a path of the entry over a fresh connection and return its JSON."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as answer:
            content = json.loads(answer.read())
        assert isinstance(content, dict)
        return content

    def post(self, path: str) -> dict[str, Any]:
        """Post to a path of the entry and return the answer's JSON."""
        request = urllib.request.Request(f"{self.url}{path}", method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = json.loads(answer.read())
        assert isinstance(content, dict)
        return content


def environment_of(home: Path, address: str) -> dict[str, str]:
    """Return this process' environment with a state folder and a loopback address of its own."""
    return {**os.environ, "FLAMETEST_HOME": str(home), "FLAMETEST_NODE_PORT_ADDRESS": address, "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Deploy by ``flametest up``; ``flametest down`` ends it."""
    environment = environment_of(tmp_path_factory.mktemp("home"), NODE_PORT_ADDRESS)
    url = f"http://{NODE_PORT_ADDRESS}:30080"
    bare = System(environment, url)
    up = bare.flametest("up")
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        printed = bare.flametest("env").stdout
        exported = dict(line.removeprefix("export ").split("=", 1) for line in printed.splitlines())
        yield System(environment | exported, url)
    finally:
        down = bare.flametest("down")
        assert down.returncode == 0, down.stdout + down.stderr


@pytest.fixture(scope="session")
def api(system: System) -> Callable[[str], Any]:
    """Return a function that reads a path of the Kubernetes API by the standard library alone."""
    import ssl  # noqa: PLC0415

    import yaml  # noqa: PLC0415

    config = yaml.safe_load(Path(system.environment["KUBECONFIG"]).read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    import base64  # noqa: PLC0415

    trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())

    def opened(path: str, method: str = "GET", body: Any = None, content_type: str = "application/json") -> Any:
        request = urllib.request.Request(
            cluster["server"] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {user['token']}", "Content-Type": content_type},
        )
        return urllib.request.urlopen(request, context=trust, timeout=60)

    return opened
