"""An installation of the wheel, without any checkout: the commands work from any folder, and `new` writes a project."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.addresses import own_address
from tests.end_to_end.conftest import ROOT, environment_of
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

ADDRESS = own_address("wheel")
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: nginx}]}
"""


@dataclass(frozen=True)
class Installation:
    """A virtual environment with the wheel in it, and a folder to work in."""

    python: Path
    folder: Path
    environment: dict[str, str]

    def flametest(self, *arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.python), "-m", "flametest.cli", *arguments],
            env=self.environment,
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, timeout=PATIENCE_SECONDS)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """What the wheel needs is taken from this environment, whose own Flametest comes behind the wheel's."""
    made, folder = tmp_path_factory.mktemp("venv"), tmp_path_factory.mktemp("folder")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made)], check=True, timeout=PATIENCE_SECONDS)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(made), "platbase": str(made)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "environment.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment = environment_of(tmp_path_factory.mktemp("home"), ADDRESS)
    environment = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    found = Installation(made / "bin" / "python", folder, environment)
    yield found
    found.flametest("down")


def test_the_wheel_s_own_package_is_tested(installation: Installation) -> None:
    command = [str(installation.python), "-c", "import flametest; print(flametest.__file__)"]
    told = subprocess.run(
        command, env=installation.environment, cwd=installation.folder, capture_output=True, text=True, check=True
    )
    assert Path(told.stdout.strip()).is_relative_to(installation.python.parents[1])


def test_commands_that_need_no_project_work_in_an_empty_folder(installation: Installation) -> None:
    assert installation.flametest("down").stdout == "no sandbox is running\n"
    assert installation.flametest("undo").stdout == "nothing was left to heal\n"
    for command in ("status", "env"):
        done = installation.flametest(command)
        assert done.returncode == 2
        assert "no sandbox is running" in done.stderr


def test_what_needs_a_project_says_how_to_get_one(installation: Installation) -> None:
    for command in ("up", "run"):
        done = installation.flametest(command)
        assert done.returncode == 2
        assert "flametest new DIR" in done.stderr
    assert os.listdir(installation.folder) == []


def test_a_folder_of_manifests_is_brought_up_and_down(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "k8s").mkdir()
    (tmp_path / "k8s" / "web.yaml").write_text(WEB)
    up = installation.flametest("up", "k8s", cwd=tmp_path)
    assert up.returncode == 0, up.stdout + up.stderr
    assert "ready      web 1/1" in installation.flametest("status").stdout
    assert installation.flametest("down").stdout == "the sandbox has been ended\n"


def test_the_shipped_system_is_written_as_a_project_and_runs(installation: Installation, tmp_path: Path) -> None:
    new = installation.flametest("new", "shop", cwd=tmp_path)
    assert new.returncode == 0, new.stdout + new.stderr
    shop = tmp_path / "shop"
    for name in ("manifests/images.toml", "experiments/limits.toml", "loadtests/locustfile.py", "README.md"):
        assert (shop / name).is_file()
    assert not list(shop.rglob("*.pyc"))
    run = installation.flametest("run", "--dry-run", cwd=shop)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "pod-delete-api" in run.stdout
    assert "flametest/api" not in run.stderr
    again = installation.flametest("new", ".", cwd=shop)
    assert again.stdout.startswith(". is up to date")
    (shop / "README.md").write_text("mine")
    refused = installation.flametest("new", ".", cwd=shop)
    assert refused.returncode == 2
    assert (shop / "README.md").read_text() == "mine"
