"""What a report states about the sandbox is what that sandbox found, and not a fixed sentence."""

import json
from pathlib import Path

import pytest

from flametest.clusters import ClusterOptions, provide
from flametest.clusters.sandbox import SandboxCluster
from flametest.sandbox import launch


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SandboxCluster:
    """Return the provider of a sandbox that runs in ``tmp_path``."""
    monkeypatch.setattr(launch, "find", lambda _: launch.Sandbox(tmp_path, "", "127.0.0.1", 1, 1, 2, 1))
    made = provide("sandbox", ClusterOptions(tmp_path / "images.toml"))
    assert isinstance(made, SandboxCluster)
    return made


def test_limits_that_are_enforced_are_said_to_be(cluster: SandboxCluster, tmp_path: Path) -> None:
    groups = {"version": 2, "folders": [str(tmp_path), str(tmp_path)]}
    (tmp_path / "control-groups.json").write_text(json.dumps(groups))
    assert "limits of memory and CPU are enforced" in cluster.note


def test_limits_that_are_not_enforced_are_said_not_to_be(cluster: SandboxCluster) -> None:
    assert "limits of memory and CPU are not enforced" in cluster.note


def test_nothing_is_said_of_the_limits_of_a_sandbox_that_does_not_run(
    cluster: SandboxCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "find", lambda _: None)
    assert "limits" not in cluster.note
    assert "nodes are simulated" in cluster.note
