"""On a real API server: experiments by stock ``chaos run`` that would delete a pod of a namespace without consent."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from flametest.kube import KubeClient, connect
from flametest.kube.errors import NotFoundError
from flametest.kube.resources import NAMESPACES, PODS
from flametest.sandbox.launch import Sandbox, SandboxOptions, start
from tests.addresses import own_address
from tests.chaos.cells import ACTIVITY_PLACES, base, recorder
from tests.chaos.conftest import ChaosRun

pytestmark = pytest.mark.sandbox

ENTRY = "http://127.0.0.1:1"
VICTIM = PODS.path("prod", "victim")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    options = SandboxOptions(
        name="gate-tests", home=tmp_path_factory.mktemp("home"), node_port_address=own_address("gate")
    )
    running = start(options)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> Iterator[KubeClient]:
    with connect(sandbox.kubeconfig, sandbox.context) as client:
        for name, labels in (("flametest", {"flametest.dev/faults": "allowed"}), ("prod", {})):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            client.api.send("POST", NAMESPACES.path(""), body)
        yield client


@pytest.fixture
def victim(client: KubeClient) -> str:
    """Return the uid of a pod of a namespace that consents to nothing; it never starts, and need not."""
    try:
        found = client.api.get(VICTIM)
    except NotFoundError:
        spec = {"containers": [{"name": "main", "image": "none.invalid/none"}]}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "victim"}, "spec": spec}
        found = client.api.send("POST", PODS.path("prod"), body)
    return str(found["metadata"]["uid"])


def request(sandbox: Sandbox) -> dict[str, Any]:
    """Return a provider that deletes the victim by HTTP."""
    content = json.loads(sandbox.kubeconfig.read_text())
    return {
        "type": "http",
        "url": content["clusters"][0]["cluster"]["server"] + VICTIM,
        "method": "DELETE",
        "headers": {"Authorization": f"Bearer {content['users'][0]['user']['token']}"},
        "verify_tls": False,
        "arguments": {},
    }


DELETION: dict[str, Any] = {
    "type": "python",
    "module": "chaosk8s.pod.actions",
    "func": "terminate_pods",
    "arguments": {"ns": "prod", "name_pattern": "victim", "grace_period": 0},
}


def ran(folder: Path, sandbox: Sandbox, place: str, provider: dict[str, Any], *, measured: bool) -> ChaosRun:
    run = ChaosRun(folder, ENTRY)
    run.environment |= {"KUBECONFIG": str(sandbox.kubeconfig), "KUBERNETES_CONTEXT": sandbox.context}
    run.document = base(ENTRY) | {"controls": [recorder()] if measured else []}
    # Nothing answers at the entry, so that nothing but the gate is in the way of what is to be refused.
    run.document |= {"method": [], "steady-state-hypothesis": {"title": "None", "probes": []}}
    if place in ("hypothesis", "tolerance", "tolerance-filled"):
        run.document = base(content_url(sandbox)) | {"controls": run.document["controls"], "method": []}
        run.document["steady-state-hypothesis"]["probes"][0]["provider"] |= {"verify_tls": False}
    ACTIVITY_PLACES[place](run.document, deepcopy(provider))
    run.output = run.finish()
    run.end()
    return run


def content_url(sandbox: Sandbox) -> str:
    return str(json.loads(sandbox.kubeconfig.read_text())["clusters"][0]["cluster"]["server"])


@pytest.mark.parametrize("by", ["extension", "request"])
@pytest.mark.parametrize("place", ["method-action", "method-probe", "rollbacks-action", "tolerance", "configuration"])
def test_the_pod_of_a_namespace_without_consent_is_still_the_same(
    tmp_path: Path, sandbox: Sandbox, *, client: KubeClient, victim: str, place: str, by: str
) -> None:
    provider = DELETION if by == "extension" else request(sandbox)
    run = ran(tmp_path, sandbox, place, provider, measured=True)
    assert client.api.get(VICTIM)["metadata"]["uid"] == victim, run.output
    assert not client.api.get(VICTIM)["metadata"].get("deletionTimestamp")
    assert run.exit_code == 1
    assert "Traceback" not in run.output


def test_without_the_recorder_it_is_gone(tmp_path: Path, sandbox: Sandbox, client: KubeClient, victim: str) -> None:
    """What the test above shows is the gate's doing."""
    run = ran(tmp_path, sandbox, "configuration", request(sandbox), measured=False)
    with pytest.raises(NotFoundError):
        client.api.get(VICTIM)
    assert run.exit_code == 0, run.output
