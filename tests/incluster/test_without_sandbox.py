"""Flametest where the extra `sandbox` is not installed, as in the image of the Job."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from flametest.cli.main import main
from flametest.clusters import ClusterError, ClusterOptions, provide


@pytest.fixture(autouse=True)
def _without_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "flametest.clusters.sandbox", None)
    monkeypatch.setenv("FLAMETEST_HOME", str(tmp_path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def test_the_sandbox_says_how_it_is_installed() -> None:
    with pytest.raises(ClusterError, match="the sandbox is not installed") as caught:
        provide("sandbox", ClusterOptions(images_file=Path("images.toml")))
    assert "pip install 'flametest[sandbox]'" in caught.value.remedy


def test_a_run_on_another_cluster_does_not_miss_it() -> None:
    done = CliRunner().invoke(main, ["run", "--cluster", "in-cluster", "--no-deploy"])
    assert done.exit_code == 2
    assert "this process is in no pod with a service account" in done.output
