"""chaostoolkit-kubernetes acts on the recorder's connection: as its user, through its proxy, in no other cluster."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import chaosk8s
import pytest
from chaosk8s.deployment import probes
from chaosk8s.node import actions as node_actions
from chaosk8s.pod import actions as pod_actions
from chaoslib.exceptions import ActivityFailed
from kubernetes import client, stream

from flametest.chaos import session
from flametest.chaos.errors import NoRecorderError
from flametest.chaos.extension import pin_extension
from flametest.kube import connect
from tests.kube.serving import TlsApi, context_file, serving

ACTING = {"token": "own", "as": "system:serviceaccount:default:viewer", "as-groups": ["one", "two"]}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsApi]:
    """An API that the recorder of this process is connected to as somebody else."""
    for module in [one for name, one in sys.modules.items() if name.partition(".")[0] == "chaosk8s"]:
        if hasattr(module, "create_k8s_api_client"):  # put back afterwards
            monkeypatch.setattr(module, "create_k8s_api_client", module.create_k8s_api_client)
    with (
        serving() as api,
        connect(context_file(tmp_path / "k", f"http://127.0.0.1:{api.port}", ACTING), "tested") as connected,
    ):
        session.begin(SimpleNamespace(client=connected, stop=lambda *_: None))  # type: ignore[arg-type]
        pin_extension()
        yield api
        session.end("completed", False)


def acting(api: TlsApi) -> list[str]:
    return [f"{name}: {value}" for name, value in api.heard[-1] if name.lower().startswith("impersonate-")]


def test_its_actions_act_as_the_user_of_the_context(api: TlsApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # which its own client would send everything to
    api.body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []}
    pod_actions.delete_pods("api-1", ns="shop")
    assert api.paths[-1].startswith("/api/v1/namespaces/shop/pods")
    assert acting(api) == [
        "Impersonate-User: system:serviceaccount:default:viewer",
        "Impersonate-Group: one",
        "Impersonate-Group: two",
    ]


def test_its_commands_in_pods_act_so_too(api: TlsApi) -> None:
    v1 = client.CoreV1Api(chaosk8s.create_k8s_api_client())
    with pytest.raises(client.ApiException, match="Handshake status 200"):  # this server opens no WebSocket
        stream.stream(v1.connect_get_namespaced_pod_exec, "api-1", "shop", command=["true"], stdout=True)
    assert "/pods/api-1/exec" in api.paths[-1]
    assert len(acting(api)) == 3


@pytest.mark.parametrize(
    "secrets",
    [{"KUBERNETES_CONTEXT": "elsewhere"}, {"KUBERNETES_HOST": "https://elsewhere"}, {"KUBERNETES_API_KEY": "x"}],
)
def test_its_secrets_lead_to_no_other_cluster(api: TlsApi, secrets: dict[str, str]) -> None:
    with pytest.raises(ActivityFailed, match="neither gated nor healed"):
        chaosk8s.create_k8s_api_client(secrets)
    assert chaosk8s.create_k8s_api_client({"KUBERNETES_CONTEXT": "tested"})
    assert not api.heard


def test_without_a_recorder_it_reaches_nothing(api: TlsApi) -> None:
    session.end("completed", False)
    with pytest.raises(NoRecorderError):
        chaosk8s.create_k8s_api_client()


def test_every_module_of_it_takes_the_pinned_client(api: TlsApi) -> None:
    for module in (probes, node_actions, pod_actions):
        assert inspect.getmodule(module.create_k8s_api_client).__name__ == "flametest.chaos.extension"  # type: ignore[union-attr]
