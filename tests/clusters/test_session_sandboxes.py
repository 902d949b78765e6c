"""Sandboxes of test sessions beside the user's own: what has ended is known of each, by whoever asks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flametest.clusters import ClusterOptions, provide
from flametest.run.project import Project
from flametest.run.session import SessionOptions, end_sandbox
from flametest.sandbox.processes import process_start_ticks
from flametest.sandbox.supervisor import STATE_FILE_NAME


@pytest.fixture
def sandboxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of this user's sandboxes."""
    monkeypatch.setenv("FLAMETEST_HOME", str(tmp_path))
    return tmp_path / "sandboxes"


def alive(folder: Path, pid: int) -> None:
    """Write the state of a sandbox whose process is another one."""
    folder.mkdir(parents=True)
    ticks = process_start_ticks(pid)
    state = {"server_url": "", "node_port_address": "", "pid": pid, "start_ticks": ticks}
    (folder / STATE_FILE_NAME).write_text(json.dumps(state | {"init_pid": pid, "init_start_ticks": ticks}))


def test_a_sandbox_of_another_name_has_ended_when_its_own_process_has(sandboxes: Path) -> None:
    default = provide("sandbox", ClusterOptions())
    alive(sandboxes / "session-lives", os.getpid())
    assert default.has_ended(str(sandboxes / "session-gone" / "kubeconfig"))
    assert not default.has_ended(str(sandboxes / "session-lives" / "kubeconfig"))
    assert default.find() is None


@pytest.mark.parametrize("deploying", [False, True])
def test_a_session_ends_its_own_sandbox_and_no_other(sandboxes: Path, deploying: bool) -> None:
    options = SessionOptions("abc", "sandbox", Project(sandboxes), deploying, namespace="shop")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]) as other:
        alive(sandboxes / ("default" if deploying else "session-abc"), other.pid)
        end_sandbox(options)
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("place", ["kubeconfig", "sandboxes/kubeconfig", "sandboxes/a/b/kubeconfig"])
def test_what_is_no_kubeconfig_of_a_sandbox_has_not_ended(sandboxes: Path, place: str) -> None:
    assert not provide("sandbox", ClusterOptions()).has_ended(str(sandboxes.parent / place))
