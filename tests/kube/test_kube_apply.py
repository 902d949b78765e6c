"""Applying manifests to the sandbox's own API server."""

import json
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from flametest.kube import KubeClient
from flametest.kube.apply import Applied, Change
from flametest.kube.errors import NotFoundError
from flametest.kube.namespaces import namespace_phase
from flametest.kube.resources import DEPLOYMENTS, NAMESPACES, PODS, Resource
from flametest.manifests import ManifestError
from flametest.model.events import ChangeKind
from tests.patience import PATIENCE_SECONDS

CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")


def namespace(name: str) -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"


def config_map(where: str, **data: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: {where}}}\ndata: {json.dumps(data)}\n"


def deployment(where: str, image: str = "one", replicas: int = 2) -> str:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "main", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "a"}}, "template": template}
    return json.dumps(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": where}, "spec": spec}
    )


def service(where: str) -> str:
    spec = {"selector": {"app": "a"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    metadata = {"name": "a", "namespace": where}
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "manifests"
    made.mkdir()
    return made


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_what_is_missing_is_created_and_the_second_time_nothing_changes(live_client: KubeClient, folder: Path) -> None:
    write(folder, a=namespace("first"), b=config_map("first"), c=deployment("first"), d=service("first"))
    seen: list[Applied] = []
    changes = live_client.apply(folder, seen.append)
    assert changes.summary() == "4 created"
    assert [(one.kind, one.namespace, one.name) for one in seen] == [
        ("Namespace", "", "first"),
        ("ConfigMap", "first", "c"),
        ("Deployment", "first", "a"),
        ("Service", "first", "a"),
    ]
    assert live_client.apply(folder).summary() == "4 unchanged"


def test_what_differs_is_configured_and_what_is_gone_from_the_manifest_goes(
    live_client: KubeClient, folder: Path
) -> None:
    live_client.apply(write(folder, a=namespace("second"), b=config_map("second", kept="1", dropped="1")))
    changes = live_client.apply(write(folder, b=config_map("second", kept="2")))
    assert [one.change for one in changes.objects] == [Change.UNCHANGED, Change.CONFIGURED]
    assert live_client.api.get(CONFIG_MAPS.path("second", "c"))["data"] == {"kept": "2"}


def test_what_somebody_changed_by_hand_is_brought_back(live_client: KubeClient, folder: Path) -> None:
    live_client.apply(write(folder, a=namespace("third"), b=deployment("third", replicas=2)))
    path = DEPLOYMENTS.path("third", "a")
    live_client.api.send("PATCH", path, {"spec": {"replicas": 5}}, content_type="application/merge-patch+json")
    assert live_client.apply(folder).summary() == "1 configured, 1 unchanged"
    assert live_client.api.get(path)["spec"]["replicas"] == 2


def test_what_others_added_stays(live_client: KubeClient, folder: Path) -> None:
    live_client.apply(write(folder, a=namespace("fourth"), b=config_map("fourth", ours="1")))
    path = CONFIG_MAPS.path("fourth", "c")
    live_client.api.send("PATCH", path, {"data": {"theirs": "2"}}, content_type="application/merge-patch+json")
    live_client.apply(folder)
    assert live_client.api.get(path)["data"] == {"ours": "1", "theirs": "2"}


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (deployment("default").replace('"replicas": 2', '"replicas": "two"'), "Deployment 'a' was refused"),
        (deployment("default").replace("replicas", "replicaz"), "replicaz"),
        (config_map("nowhere"), "nowhere"),
        ("apiVersion: v1\nkind: Servize\nmetadata: {name: a}", "the cluster knows no Servize in v1"),
        ("apiVersion: none.example/v1\nkind: Thing\nmetadata: {name: a}", "knows no Thing in none.example/v1"),
    ],
)
def test_what_the_api_refuses_is_told_with_file_and_document(
    live_client: KubeClient, folder: Path, broken: str, says: str
) -> None:
    write(folder, a=namespace("fifth"), b=f"---\n{broken}\n")
    with pytest.raises(ManifestError, match=r"^b\.yaml, document 1: ") as raised:
        live_client.apply(folder)
    assert says in raised.value.message
    assert raised.value.remedy


def test_a_file_that_cannot_be_read_keeps_all_others_from_being_applied(live_client: KubeClient, folder: Path) -> None:
    write(folder, a=namespace("sixth"), b="broken: [")
    with pytest.raises(ManifestError):
        live_client.apply(folder)
    assert namespace_phase(live_client.api, "sixth") == ""


def test_kubectl_finds_unchanged_what_was_applied(live_client: KubeClient, live_api: Any, folder: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    write(folder, a=namespace("seventh"), b=config_map("seventh", key='< & > "ü" \u2028'), c=deployment("seventh"))
    live_client.apply(folder)
    command = [kubectl, "--kubeconfig", str(live_api.kubeconfig), "apply", "-f", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert done.stderr == ""
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["unchanged"] * 3


def test_a_deleted_namespace_is_gone_with_everything_in_it(live_client: KubeClient, folder: Path) -> None:
    live_client.apply(write(folder, a=namespace("eighth"), b=config_map("eighth"), c=deployment("eighth")))
    assert live_client.delete_namespace("eighth", 20)
    assert namespace_phase(live_client.api, "eighth") == ""
    with pytest.raises(NotFoundError):
        live_client.api.get(CONFIG_MAPS.path("eighth", "c"))
    assert not live_client.delete_namespace("eighth")


def test_a_namespace_can_be_applied_again_right_after_its_deletion(live_client: KubeClient, folder: Path) -> None:
    write(folder, a=namespace("ninth"), b=deployment("ninth"))
    live_client.apply(folder)
    live_client.api.send("DELETE", NAMESPACES.path(name="ninth"))
    assert live_client.apply(folder).summary() == "2 created"


def test_a_watch_shows_the_pods_that_controllers_make_and_delete(live_client: KubeClient, folder: Path) -> None:
    live_client.apply(write(folder, a=namespace("tenth")))
    changes: list[tuple[ChangeKind, str]] = []
    told = threading.Condition()

    def take(change: object) -> None:
        with told:
            changes.append((change.kind, change.object["metadata"]["name"]))  # type: ignore[attr-defined]
            told.notify_all()

    watch = live_client.watch(PODS, "tenth", take, print)
    watch.start()
    live_client.apply(write(folder, b=deployment("tenth", replicas=2)))
    with told:
        assert told.wait_for(lambda: sum(kind is ChangeKind.ADDED for kind, _ in changes) == 2, PATIENCE_SECONDS)
        victim = changes[0][1]
    live_client.api.send("DELETE", PODS.path("tenth", victim))
    with told:
        assert told.wait_for(lambda: (ChangeKind.DELETED, victim) in changes, PATIENCE_SECONDS)
        assert told.wait_for(lambda: len({name for _, name in changes}) == 3, PATIENCE_SECONDS)
    watch.stop()


def test_a_silent_watch_over_tls_stops_at_once(live_client: KubeClient) -> None:
    watch = live_client.watch(PODS, "kube-public", print, print)
    watch.start()
    begin = time.monotonic()
    watch.stop()
    assert time.monotonic() - begin < 1
    assert not [thread for thread in threading.enumerate() if thread.name == "watch-pods"]


def test_the_server_tells_its_version_and_how_far_workloads_are(live_client: KubeClient, folder: Path) -> None:
    live_client.apply(write(folder, a=namespace("eleventh"), b=deployment("eleventh", replicas=0)))
    assert live_client.version().startswith("v1.")
    assert live_client.wait_ready("eleventh", 20)[0].complete
