"""Volumes of pods as folders."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox.agent.environment import PodContext
from flametest.sandbox.agent.volumes import VolumeError, Volumes
from flametest.sandbox.tokens import ServiceAccountTokens, TokenOwner

TOKENS = ServiceAccountTokens("secret", clock=lambda: 1_000_000.0)


def context_of(objects: Any, *volumes: dict[str, Any]) -> PodContext:
    pod = {
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "labels": {"app": "web"}},
        "spec": {"volumes": list(volumes), "containers": [{"name": "main"}]},
    }
    return PodContext(pod, objects, {"status.podIP": "10.244.1.9"}, {"cpu": "2"})


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return Volumes(
        str(tmp_path / "pod"), str(tmp_path / "claims"), str(tmp_path / "node"), tokens=TOKENS, certificate="PEM"
    )


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def test_a_config_map_is_a_folder_of_its_keys_and_follows_their_changes(
    stand_in_objects: Any, volumes: Volumes
) -> None:
    stand_in_objects.create("configmaps", config_map("settings", a="1", b="2"))
    context = context_of(stand_in_objects, {"name": "v", "configMap": {"name": "settings"}})
    volumes.make(context)
    folder = Path(volumes.made["v"].folder)
    held = (folder / "..data").resolve()
    assert (folder / "a").read_text() == "1"
    assert volumes.made["v"].read_only
    stand_in_objects.update("configmaps", config_map("settings", a="one", c="3"))
    volumes.make(context)
    assert {path.name: path.read_text() for path in folder.iterdir() if not path.name.startswith("..")} == {
        "a": "one",
        "c": "3",
    }
    assert not held.exists()


def test_items_choose_keys_paths_and_modes(stand_in_objects: Any, volumes: Volumes) -> None:
    data = {"key": base64.b64encode(b"\x00\x01").decode(), "other": ""}
    stand_in_objects.create("secrets", {"metadata": {"name": "keys", "namespace": "default"}, "data": data})
    source = {"secretName": "keys", "defaultMode": 0o400, "items": [{"key": "key", "path": "deep/down", "mode": 0o440}]}
    volumes.make(context_of(stand_in_objects, {"name": "v", "secret": source}))
    file = Path(volumes.made["v"].folder, "deep/down")
    assert file.read_bytes() == b"\x00\x01"
    assert file.stat().st_mode & 0o777 == 0o440
    assert not Path(volumes.made["v"].folder, "other").exists()


def test_a_projected_volume_joins_its_sources(stand_in_objects: Any, volumes: Volumes) -> None:
    stand_in_objects.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default", "uid": "s1"}})
    stand_in_objects.create("configmaps", config_map("kube-root-ca.crt", **{"ca.crt": "PEM"}))
    sources = [
        {"serviceAccountToken": {"path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    volumes.make(context_of(stand_in_objects, {"name": "v", "projected": {"sources": sources}}))
    folder = Path(volumes.made["v"].folder)
    assert [(folder / name).read_text() for name in ("token", "ca.crt", "namespace")] == [
        TOKENS.issue(TokenOwner("default", "default", "s1")),
        "PEM",
        "default",
    ]


def test_a_claim_has_a_folder_that_is_the_same_for_every_pod(
    stand_in_objects: Any, volumes: Volumes, tmp_path: Path
) -> None:
    claim = {"metadata": {"name": "data", "namespace": "default", "uid": "c1"}, "status": {"phase": "Pending"}}
    stand_in_objects.create("persistentvolumeclaims", claim)
    context = context_of(stand_in_objects, {"name": "v", "persistentVolumeClaim": {"claimName": "data"}})
    with pytest.raises(VolumeError, match="not bound"):
        volumes.make(context)
    stand_in_objects.update_status("persistentvolumeclaims", {**claim, "status": {"phase": "Bound"}})
    volumes.make(context)
    other = Volumes(str(tmp_path / "other"), str(tmp_path / "claims"), str(tmp_path / "node"))
    other.make(context)
    assert volumes.made["v"] == other.made["v"]
    assert os.path.basename(volumes.made["v"].folder) == "c1"


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "gone"}}, 'configmap "gone" not found'),
        ({"secret": {"secretName": "gone"}}, 'secret "gone" not found'),
        ({"persistentVolumeClaim": {"claimName": "gone"}}, 'persistentvolumeclaim "gone" not found'),
        ({"hostPath": {"path": "/var/run/docker.sock", "type": "Socket"}}, "hostPath type Socket is not offered"),
        ({"nfs": {"server": "x"}}, "no volumes of kind nfs"),
        ({"configMap": {"name": "settings", "items": [{"key": "a", "path": "../a"}]}}, "leads out"),
        ({"configMap": {"name": "settings", "items": [{"key": "z", "path": "z"}]}}, "non-existent config key: z"),
    ],
)
def test_what_cannot_be_mounted_is_named(
    stand_in_objects: Any, volumes: Volumes, volume: dict[str, Any], message: str
) -> None:
    stand_in_objects.create("configmaps", config_map("settings", a="1"))
    with pytest.raises(VolumeError, match=message) as caught:
        volumes.make(context_of(stand_in_objects, {"name": "v", **volume}))
    assert str(caught.value).startswith('"v" : ')


def test_a_source_that_is_optional_may_be_missing(stand_in_objects: Any, volumes: Volumes) -> None:
    volumes.make(context_of(stand_in_objects, {"name": "v", "configMap": {"name": "gone", "optional": True}}))
    assert [name for name in os.listdir(volumes.made["v"].folder) if not name.startswith("..")] == []


@pytest.mark.parametrize("kind", [None, "", "Directory", "DirectoryOrCreate"])
@pytest.mark.parametrize("path", ["/var/data", "/../../etc", "//x/./y/.."])
def test_a_path_of_the_host_is_a_folder_of_the_node(
    stand_in_objects: Any, volumes: Volumes, tmp_path: Path, path: str, kind: str | None
) -> None:
    source = {"path": path} if kind is None else {"path": path, "type": kind}
    context = context_of(stand_in_objects, {"name": "v", "hostPath": source})
    volumes.make(context)
    folder = Path(volumes.made["v"].folder)
    assert folder.is_relative_to(tmp_path / "node")
    (folder / "kept").write_text("kept")
    other = Volumes(str(tmp_path / "other"), str(tmp_path / "claims"), str(tmp_path / "node"))
    other.make(context)
    assert (Path(other.made["v"].folder) / "kept").read_text() == "kept"
