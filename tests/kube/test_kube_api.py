"""Connecting to a named context, and how failures read."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flametest.kube import KubeClient, connect
from flametest.kube.errors import ApiUnreachableError, ContextError, NotFoundError


def test_importing_the_room_does_not_load_the_official_package() -> None:
    code = "import flametest.kube, sys; sys.exit('kubernetes' in sys.modules or 'yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_context_is_an_error_also_where_a_current_one_is_set(scripted_client: KubeClient, tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="no context is named"):
        connect(tmp_path / "kubeconfig", "")


def test_an_unknown_context_is_named_with_its_file(scripted_client: KubeClient, tmp_path: Path) -> None:
    with pytest.raises(ContextError, match=r"kubeconfig has no context 'elsewhere'"):
        connect(tmp_path / "kubeconfig", "elsewhere")


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="nowhere does not exist"):
        connect(tmp_path / "nowhere", "scripted")


def test_a_broken_kubeconfig_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("clusters: [")
    with pytest.raises(ContextError, match="broken cannot be read"):
        connect(tmp_path / "broken", "scripted")


def test_the_named_context_is_used_with_its_credentials(scripted_api: Any, scripted_client: KubeClient) -> None:
    tokens = []

    def answer(exchange: Any) -> None:
        tokens.append(exchange.headers["Authorization"])
        exchange.answer({"major": "1"})

    scripted_api.handlers = [answer]
    assert scripted_client.api.get("/version") == {"major": "1"}
    assert tokens == ["Bearer a-token"]


def test_an_api_that_does_not_answer_is_named_with_the_context(scripted_client: KubeClient, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with connect(tmp_path / "kubeconfig", "another") as client, pytest.raises(ApiUnreachableError) as raised:
            client.api.get("/version")
    assert "context 'another' at http://127.0.0.1:1 does not answer" in raised.value.message
    assert raised.value.remedy


def test_a_refusal_tells_the_apis_own_message_and_class(scripted_api: Any, scripted_client: KubeClient) -> None:
    status = {"kind": "Status", "code": 404, "reason": "NotFound", "message": 'pods "api-1" not found'}
    scripted_api.handlers = [lambda exchange: exchange.answer(status, status=404)]
    with pytest.raises(NotFoundError, match='was answered with 404: pods "api-1" not found') as raised:
        scripted_client.api.get("/api/v1/namespaces/flametest/pods/api-1")
    assert (raised.value.code, raised.value.reason) == (404, "NotFound")


def test_an_answer_that_is_no_json_object_is_no_kubernetes_api(scripted_api: Any, scripted_client: KubeClient) -> None:
    scripted_api.handlers = [lambda exchange: exchange.answer("hello")]
    with pytest.raises(ApiUnreachableError, match="no JSON object"):
        scripted_client.api.get("/version")


def test_a_proxy_of_the_environment_is_not_asked_for_a_cluster_on_loopback(
    scripted_api: Any, scripted_client: KubeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    scripted_api.handlers = [lambda exchange: exchange.answer({"major": "1"})]
    with connect(tmp_path / "kubeconfig", "scripted") as client:
        assert client.api.get("/version") == {"major": "1"}
