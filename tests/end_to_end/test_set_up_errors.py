"""What a user does wrong is told in one clear line with its remedy, exit code 2, and leaves nothing running."""

import shutil
import socket
import subprocess
from functools import partial
from pathlib import Path

import pytest

from flametest.model.consent import CONSENT_LABEL, CONSENT_VALUE
from tests.addresses import own_address
from tests.end_to_end.conftest import FLAMETEST, ROOT, environment_of
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

ADDRESS = own_address("set-up errors")


def flametest(home: Path, *arguments: str, cwd: Path = ROOT, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command with a state folder of its own and make sure that no sandbox is left running."""
    call = partial(
        subprocess.run,
        env=environment_of(home, ADDRESS) | environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    done = call([*FLAMETEST, *arguments])
    try:
        assert "no sandbox is running" in call([*FLAMETEST, "status"]).stderr
    finally:
        call([*FLAMETEST, "down"])
    return done


def assert_one_clear_line(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    error, remedy = done.stderr.strip().splitlines()[-2:]
    assert error.startswith("error: ")
    assert remedy.startswith("remedy: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_an_experiment_that_does_not_parse(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")

    done = flametest(tmp_path / "home", "run", "--experiment", str(broken))

    assert_one_clear_line(done, "broken.json", "line 1")


def test_a_limit_that_is_not_understood(tmp_path: Path) -> None:
    assert_one_clear_line(flametest(tmp_path / "home", "run", "--limit", "outage"), "'outage'")


def test_a_suite_that_does_not_exist(tmp_path: Path) -> None:
    assert_one_clear_line(flametest(tmp_path / "home", "run", "--suite", "none"), "'none'", "core")


def test_a_manifest_that_is_broken(tmp_path: Path) -> None:
    project = project_copy(tmp_path)
    (project / "manifests" / "30-api.yaml").write_text("kind: [unclosed\n")

    assert_one_clear_line(flametest(tmp_path / "home", "up", cwd=project), "30-api.yaml")


def test_a_manifest_that_the_api_refuses(tmp_path: Path) -> None:
    project = project_copy(tmp_path)
    path = project / "manifests" / "30-api.yaml"
    path.write_text(path.read_text().replace("replicas: 3", "replicas: many"))

    assert_one_clear_line(flametest(tmp_path / "home", "up", cwd=project), "30-api.yaml", "replicas")


def test_a_node_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server((ADDRESS, 30080)):
        assert_one_clear_line(flametest(tmp_path / "home", "up"), ADDRESS, "30080")


def test_a_namespace_that_does_not_consent_to_faults(tmp_path: Path) -> None:
    project = project_copy(tmp_path)
    file = project / "manifests" / "00-namespace.yaml"
    file.write_text(file.read_text().replace(f"{CONSENT_LABEL}: {CONSENT_VALUE}", "theirs: entirely"))
    done = flametest(tmp_path / "home", "run", "--experiment", "experiments/pod-delete-api.json", cwd=project)
    assert_one_clear_line(done, "nothing was deployed and nothing was injected", "add the label in 00-namespace.yaml")
    assert "created" not in done.stdout


def test_a_tool_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "bin"
    path.mkdir()
    for tool in ("nsenter", "unshare"):
        (path / tool).symlink_to(str(shutil.which(tool)))

    done = flametest(tmp_path / "home", "up", PATH=str(path))

    assert_one_clear_line(done, "bwrap", "bubblewrap")


def test_nothing_runs(tmp_path: Path) -> None:
    assert_one_clear_line(flametest(tmp_path / "home", "env"), "no sandbox is running", "flametest up")


def project_copy(folder: Path) -> Path:
    """Return a copy of the project's files that a deployment needs."""
    project = folder / "project"
    for name in ("manifests", "experiments", "services", "loadtests"):
        shutil.copytree(ROOT / name, project / name)
    return project
