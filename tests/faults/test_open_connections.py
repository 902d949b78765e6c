"""Ending of open connections by the server's own means, run here with programs that stand for those of an image."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flametest.faults import open_connections
from flametest.kube import KubeClient
from flametest.kube.execute import Executed
from tests.patience import PATIENCE_SECONDS

POD = {
    "metadata": {"namespace": "shop", "name": "store-0"},
    "status": {"phase": "Running", "podIP": "10.0.0.3"},
}
LIST = "id=3 addr=10.0.0.7:5000 name=\nid=4 addr=10.0.0.9:5001 name=\n"


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the programs that the pod's image has besides a shell's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "tr").symlink_to("/usr/bin/tr")

    def run(_: Any, __: tuple[str, str], command: Sequence[str]) -> Executed:
        done = subprocess.run(
            ["/bin/sh", *command[1:]],
            env={"PATH": str(folder)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Executed(done.returncode, done.stdout + done.stderr, "")

    monkeypatch.setattr(open_connections, "execute", run)
    return folder


def ended(callers: Sequence[str] = ()) -> str:
    client = cast("KubeClient", SimpleNamespace(api=None))
    return open_connections.end_open_connections(client, [POD], 5432, callers, ["10.0.0.9"])


def test_redis_ends_the_connections_of_others_than_the_proxy(image: Path) -> None:
    program(image, "redis-cli", f'case "$*" in *LIST*) printf "{LIST}";; *"KILL ID 3") echo 1;; *) echo 0;; esac')
    assert ended() == "1 open connections of redis ended"


@pytest.mark.parametrize(
    "answer",
    ["echo 'Error: Server closed the connection' >&2; exit 1", "echo 'NOAUTH Authentication required.'"],
    ids=["no Redis", "a Redis with a password"],
)
def test_a_client_of_redis_in_the_image_of_another_store_decides_nothing(image: Path, answer: str) -> None:
    program(image, "redis-cli", answer)
    assert ended() == ""
    program(image, "pg_isready", "exit 0")
    # No process of this machine is a PostgreSQL's connection from this address.
    assert ended(callers=["192.0.2.1"]) == "0 open connections of postgres ended"
