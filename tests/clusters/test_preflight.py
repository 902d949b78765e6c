"""What is asked of a cluster that others use as well, before anything is deployed to it; against a real API server."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flametest.clusters import ClusterOptions, provide
from flametest.clusters.ownership import claim, is_ours
from flametest.incluster.rules import rules_of
from flametest.kube import KubeClient, connect
from flametest.kube.errors import ContextError, NotFoundError
from flametest.kube.resources import NAMESPACES, NODES
from flametest.kube.rights import Right
from flametest.kube.snapshots import find
from flametest.model.consent import CONSENT_LABEL, CONSENT_VALUE
from flametest.sandbox.credentials import CONTEXT_NAME
from tests.kube.conftest import LiveApi
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
RBAC = "/apis/rbac.authorization.k8s.io/v1"
NODE = {"cpu": "8", "memory": "16Gi", "pods": "110"}
CLUSTER = ["--cluster", f"context:{CONTEXT_NAME}", "--i-know-this-cluster", CONTEXT_NAME]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    """An API server with controllers and one large node, and nobody who runs pods."""
    api = LiveApi(tmp_path_factory.mktemp("live-api"))
    with connect(api.kubeconfig, CONTEXT_NAME) as client:
        client.api.send("POST", NODES.path(), {"metadata": {"name": "one"}, "status": {"allocatable": NODE}})
    yield api
    api.close()


@pytest.fixture
def client(live: LiveApi) -> Iterator[KubeClient]:
    with connect(live.kubeconfig, CONTEXT_NAME) as connected:
        yield connected
        for name in ("flametest", "theirs"):
            with suppress(NotFoundError):
                connected.delete_namespace(name)


@pytest.fixture
def granted(client: KubeClient, live: LiveApi, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a user with everything but some rights, and returns a kubeconfig of that user."""

    def make(*lacking: Right) -> Path:
        everything = [
            {"apiGroups": [group["name"] for group in client.api.get("/apis")["groups"]] + [""]}
            | {"resources": ["*"], "verbs": ["*"]}
        ]
        allowed = _without(client, lacking) if lacking else everything
        account = client.api.send(
            "POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"generateName": "u-"}}
        )
        name = str(account["metadata"]["name"])
        client.api.send("POST", f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": allowed})
        subject = {"kind": "ServiceAccount", "namespace": "default", "name": name}
        binding = {"metadata": {"name": name}, "subjects": [subject], "roleRef": {"kind": "ClusterRole", "name": name}}
        client.api.send("POST", f"{RBAC}/clusterrolebindings", binding)
        path = f"/api/v1/namespaces/default/serviceaccounts/{name}/token"
        token = client.api.send("POST", path, {"spec": {}})["status"]["token"]
        document = json.loads(live.kubeconfig.read_text())
        document["users"][0]["user"] = {"token": token}
        kubeconfig = tmp_path / name
        kubeconfig.write_text(json.dumps(document))
        return kubeconfig

    return make


def _without(client: KubeClient, lacking: tuple[Right, ...]) -> list[Any]:
    """Return rules for every verb on every resource that the API serves, but these."""
    lists = [("", client.api.get("/api/v1"))]
    for group in client.api.get("/apis")["groups"]:
        lists += [(group["name"], client.api.get(f"/apis/{one['groupVersion']}")) for one in group["versions"]]
    missing = {(right.group, right.resource, right.verb) for right in lacking}
    every = (
        Right(entry["name"].partition("/")[0], entry["name"].partition("/")[2], verb, group)
        for group, served in lists
        for entry in served["resources"]
        for verb in entry["verbs"]
    )
    granted = (right for right in every if (right.group, right.resource, right.verb) not in missing)
    return rules_of(granted, everywhere=False)


def flametest(
    kubeconfig: Path, home: Path, *arguments: str, project: Path = ROOT
) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "FLAMETEST_HOME": str(home), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "flametest.cli", *arguments, *CLUSTER],
        env=environment,
        cwd=project,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("lacking", "words"),
    [
        ((Right("pods", "", "delete"),), ("lacks a right", "delete pods (pod-delete-api")),
        ((Right("statefulsets", "", "patch", "apps"),), ("lacks a right", "patch statefulsets.apps")),
        (
            (
                Right("services", "", "delete"),
                Right("networkpolicies", "", "create", "networking.k8s.io"),
                Right("endpointslices", "", "watch", "discovery.k8s.io"),
            ),
            (
                "lacks 3 rights",
                "delete services (remove-service-logic)",
                "create networkpolicies.networking.k8s.io (to deploy, remove-service-logic)",
                "watch endpointslices",
            ),
        ),
    ],
)
def test_rights_that_are_missing_are_all_named_and_nothing_is_deployed(
    granted: Callable[..., Path],
    client: KubeClient,
    tmp_path: Path,
    lacking: tuple[Right, ...],
    words: tuple[str, ...],
) -> None:
    done = flametest(granted(*lacking), tmp_path / "home", "run", "--suite", "core", "--out", str(tmp_path / "run"))

    assert done.returncode == 2, done.stdout + done.stderr
    error, remedy = done.stderr.strip().splitlines()[-2:]
    assert all(word in error for word in words), error
    assert error.endswith("nothing was deployed and nothing was injected")
    assert remedy.startswith("remedy: ")
    assert find(client.api, NAMESPACES, "", "flametest") is None
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("kind", "class_name"), [("PersistentVolumeClaim", "gp2"), ("PersistentVolumeClaim", ""), ("StatefulSet", "gp2")]
)
def test_a_claim_that_nothing_serves_is_told_before_anything_is_deployed(
    live: LiveApi, client: KubeClient, tmp_path: Path, kind: str, class_name: str
) -> None:
    claimed = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": class_name,
        "resources": {"requests": {"storage": "1Gi"}},
    }
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": "redis"}]}}
    stateful = {
        "serviceName": "db",
        "selector": {"matchLabels": {"app": "db"}},
        "template": template,
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claimed}],
    }
    version, spec = ("v1", claimed) if kind == "PersistentVolumeClaim" else ("apps/v1", stateful)
    (tmp_path / "k8s").mkdir()
    manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": "db"}, "spec": spec}
    (tmp_path / "k8s" / "db.json").write_text(json.dumps(manifest))
    done = flametest(live.kubeconfig, tmp_path / "home", "up", str(tmp_path / "k8s"))

    assert done.returncode == 2, done.stdout + done.stderr
    error, remedy = done.stderr.strip().splitlines()[-2:]
    assert "1 of 1 claims would never be bound" in error
    assert ("there is no StorageClass 'gp2'" if class_name else "it asks for no StorageClass") in error
    assert error.endswith("nothing was deployed")
    assert remedy.startswith("remedy: ")
    assert find(client.api, NAMESPACES, "", "flametest") is None


def test_whoever_has_every_right_is_told_so_and_doctor_changes_nothing(
    granted: Callable[..., Path], client: KubeClient, tmp_path: Path
) -> None:
    done = flametest(granted(), tmp_path / "home", "doctor", "--suite", "full")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none is missing" in done.stdout
    assert "cores and" in done.stdout
    assert find(client.api, NAMESPACES, "", "flametest") is None


def test_a_system_that_cannot_fit_is_not_deployed(client: KubeClient, live: LiveApi, tmp_path: Path) -> None:
    small = {"status": {"allocatable": NODE | {"cpu": "100m"}}}
    client.api.send("PATCH", f"{NODES.path(name='one')}/status", small, content_type="application/merge-patch+json")
    try:
        done = flametest(live.kubeconfig, tmp_path / "home", "up")
    finally:
        whole = {"status": {"allocatable": NODE}}
        client.api.send("PATCH", f"{NODES.path(name='one')}/status", whole, content_type="application/merge-patch+json")
    assert done.returncode == 2
    assert "all nodes together have 0.1 cores" in done.stderr
    assert find(client.api, NAMESPACES, "", "flametest") is None


def test_a_namespace_that_somebody_else_made_is_neither_deployed_to_nor_ended(
    client: KubeClient, live: LiveApi, tmp_path: Path
) -> None:
    client.api.send("POST", NAMESPACES.path(), {"metadata": {"name": "flametest"}})
    for command, words in (("up", "is there already"), ("down", "is left alone")):
        done = flametest(live.kubeconfig, tmp_path / "home", command, "--url", "http://127.0.0.1:1")
        assert done.returncode == 2, done.stdout + done.stderr
        assert "was not made by Flametest" in done.stderr
        assert words in done.stderr
    assert client.api.get("/apis/apps/v1/namespaces/flametest/deployments")["items"] == []
    assert find(client.api, NAMESPACES, "", "flametest") is not None


def test_a_system_without_the_consent_of_its_namespace_is_not_tested(
    client: KubeClient, live: LiveApi, tmp_path: Path
) -> None:
    client.api.send("POST", NAMESPACES.path(), {"metadata": {"name": "theirs"}})
    arguments = ["run", "--no-deploy", "--namespace", "theirs", "--url", "http://127.0.0.1:1"]
    done = flametest(live.kubeconfig, tmp_path / "home", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "does not carry the label flametest.dev/faults=allowed" in done.stderr
    assert f"kubectl --context {CONTEXT_NAME} label namespace theirs flametest.dev/faults=allowed" in done.stderr


def test_manifests_whose_namespace_does_not_consent_are_not_deployed(
    client: KubeClient, live: LiveApi, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    for name in ("manifests", "experiments"):
        shutil.copytree(ROOT / name, project / name)
    file = project / "manifests" / "00-namespace.yaml"
    file.write_text(file.read_text().replace(f"{CONSENT_LABEL}: {CONSENT_VALUE}", "theirs: entirely"))
    arguments = ["run", "--experiment", "experiments/pod-delete-api.json", "--url", "http://127.0.0.1:1"]
    done = flametest(live.kubeconfig, tmp_path / "home", *arguments, project=project)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"namespace 'flametest' does not carry the label {CONSENT_LABEL}={CONSENT_VALUE}" in done.stderr
    assert "nothing was deployed and nothing was injected" in done.stderr
    assert "add the label in 00-namespace.yaml" in done.stderr
    assert find(client.api, NAMESPACES, "", "flametest") is None


def test_a_namespace_that_is_not_there_is_told(live: LiveApi, tmp_path: Path) -> None:
    for command in (["status"], ["env"], ["run", "--no-deploy", "--experiment", "experiments/control.json"]):
        done = flametest(live.kubeconfig, tmp_path / "home", *command, "--namespace", "nowhere")
        assert done.returncode == 2, done.stdout + done.stderr
        assert "the namespace is not there" in done.stderr


def test_a_manifest_for_another_namespace_is_refused_where_others_work(live: LiveApi, tmp_path: Path) -> None:
    done = flametest(live.kubeconfig, tmp_path / "home", "up", "--namespace", "theirs")
    assert done.returncode == 2
    assert "only 'theirs' may be changed" in done.stderr
    assert "--no-deploy" in done.stderr


def test_a_namespace_bears_its_mark_from_its_first_moment_and_goes_with_everything_in_it(
    client: KubeClient, live: LiveApi, tmp_path: Path
) -> None:
    claim(client, "flametest")
    assert is_ours(client, "flametest")
    claim(client, "flametest")
    cluster = provide(
        f"context:{CONTEXT_NAME}",
        ClusterOptions(
            Path("x"), kubeconfig=str(live.kubeconfig), known_context=CONTEXT_NAME, state=tmp_path / "state"
        ),
    )
    assert cluster.find() is not None
    assert cluster.down() is True
    assert (cluster.find(), cluster.down()) == (None, False)


def test_a_terminated_user_is_told_in_one_line(
    granted: Callable[..., Path], client: KubeClient, tmp_path: Path
) -> None:
    kubeconfig = granted()
    client.api.send("DELETE", f"/api/v1/namespaces/default/serviceaccounts/{kubeconfig.name}")
    done = flametest(kubeconfig, tmp_path / "home", "status")
    assert done.returncode == 2
    assert "credentials of the context are not accepted" in done.stderr


def test_the_cluster_of_others_is_never_taken_for_ended(live: LiveApi) -> None:
    cluster = provide("context:gone", ClusterOptions(Path("x"), kubeconfig="nowhere"))
    assert cluster.has_ended("nowhere") is False
    with pytest.raises(ContextError, match="does not exist"):
        cluster.find()
