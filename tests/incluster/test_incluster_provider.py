"""The provider for the cluster that a process runs in: by what the kubelet mounts, and by nothing else."""

import json
from pathlib import Path

import pytest

from flametest.clusters import ClusterError, ClusterOptions, provide
from flametest.clusters.incluster import InClusterCluster, kubeconfig_document
from flametest.kube.api import open_api
from flametest.kube.errors import ApiUnreachableError
from tests.certificates import Authority


def options(state: Path) -> ClusterOptions:
    """Return options with a folder for state."""
    return ClusterOptions(images_file=Path("images.toml"), namespace="shop", url="http://entry.shop.svc", state=state)


def test_outside_of_a_pod_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    cluster = provide("in-cluster", options(tmp_path))
    assert cluster.name == "in-cluster"
    assert not cluster.is_own
    with pytest.raises(ClusterError, match="in no pod with a service account"):
        cluster.find()


def test_a_pod_without_a_token_is_told_like_no_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    with pytest.raises(ClusterError, match="token is missing"):
        InClusterCluster(options(tmp_path), account=tmp_path / "none").find()


def test_the_kubeconfig_names_the_token_by_its_file_and_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("a secret")
    Authority(account, "ca").file.rename(account / "ca.crt")
    with pytest.raises(ApiUnreachableError):  # nothing listens there
        InClusterCluster(options(tmp_path), account=account).find()
    written = (tmp_path / "contexts" / "in-cluster" / "kubeconfig").read_text()
    assert "a secret" not in written
    assert json.loads(written)["users"][0]["user"] == {"tokenFile": str(account / "token")}


def test_the_official_client_reads_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a secret")
    document = kubeconfig_document("10.96.0.1", "443", tmp_path, "shop")
    del document["clusters"][0]["cluster"]["certificate-authority"]  # type: ignore[index]
    (tmp_path / "kubeconfig").write_text(json.dumps(document))
    with open_api(tmp_path / "kubeconfig", "in-cluster") as api:
        assert api.server == "https://10.96.0.1:443"


def test_an_address_of_version_six_stands_in_brackets(tmp_path: Path) -> None:
    document = kubeconfig_document("fd00::1", "443", tmp_path, "shop")
    assert document["clusters"][0]["cluster"]["server"] == "https://[fd00::1]:443"  # type: ignore[index]
