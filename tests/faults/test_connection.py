"""Whether a pod can connect: what was tried is one thing, what could not be tried another, and it is told why."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flametest.faults.admission import likely_callers
from flametest.faults.connection import Reach, is_probed, try_to_reach, vantage
from flametest.kube.errors import ApiRejectedError
from flametest.kube.execute import Executed
from flametest.kube.pods import default_container
from flametest.kube.resources import NETWORK_POLICIES, PODS
from tests.addresses import own_address
from tests.faults.conftest import pod

NS = "flametest"
REFUSAL = "exec in pod api-0: a container name must be specified for pod api-0"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let commands in pods end as this says, by the pod's name."""
    found: dict[str, Any] = {}

    def execute(_: Any, pod: tuple[str, str], *__: Any, **___: Any) -> Executed:
        answer = found.get(pod[1], ApiRejectedError(REFUSAL, code=400))
        if isinstance(answer, Exception):
            raise answer
        return Executed(answer, "")

    monkeypatch.setattr("flametest.faults.connection.execute", execute)
    return found


@pytest.mark.parametrize(
    ("code", "outcome", "reason"),
    [
        (0, Reach.CONNECTED, ""),
        (1, Reach.FAILED, ""),
        (127, Reach.UNKNOWN, "its image has neither python3 nor nc nor bash"),
        (2, Reach.UNKNOWN, "the command ended with 2: it said nothing"),
        (None, Reach.UNKNOWN, "the command was cut off: it said nothing"),
        (ApiRejectedError(REFUSAL, code=400), Reach.UNKNOWN, REFUSAL),
    ],
)
def test_only_a_connection_that_was_tried_can_fail(
    client: Any, answers: dict[str, Any], code: Any, outcome: Reach, reason: str
) -> None:
    answers["api-0"] = code
    found = try_to_reach(client, (NS, "api-0"), "10.0.0.9", 80)
    assert (found.outcome, found.reason) == (outcome, reason)


def test_a_pod_that_cannot_be_asked_is_no_evidence_that_nobody_could_connect(
    client: Any, answers: dict[str, Any]
) -> None:
    assert vantage(client, NS, "10.0.0.9", 80).evidence == f"api-0 could not be asked: {REFUSAL}"


def test_who_is_likely_to_be_admitted_is_asked_first_and_nobody_else_then(client: Any, answers: dict[str, Any]) -> None:
    client.api.put(PODS, pod("worker-0", "worker", "rs-worker"))
    client.api.put(PODS, pod("store-0", "store", "rs-store"))
    store = str(client.api.get(PODS.path(NS, "store-0"))["metadata"]["uid"])
    answers |= {"api-0": AssertionError("api is not admitted"), "worker-0": 0}
    rule = {"from": [{"podSelector": {"matchLabels": {"app": "worker"}}}]}
    spec = {"podSelector": {"matchLabels": {"app": "store"}}, "policyTypes": ["Ingress"], "ingress": [rule]}
    client.api.put(NETWORK_POLICIES, {"metadata": {"name": "store"}, "spec": spec})
    assert vantage(client, NS, "10.0.0.9", 80, likely=likely_callers(client, NS, {store})).pod == "worker-0"


@pytest.mark.parametrize("policies", [[], [{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}]])
def test_where_no_policy_names_anybody_everybody_is_likely(client: Any, policies: list[Any]) -> None:
    for number, spec in enumerate(policies):
        client.api.put(NETWORK_POLICIES, {"metadata": {"name": f"policy-{number}"}, "spec": spec})
    one = client.api.get(PODS.path(NS, "api-0"))
    assert likely_callers(client, NS, {str(one["metadata"]["uid"])})(one)


@pytest.mark.parametrize(
    ("probe", "probed"),
    [
        ({"httpGet": {"port": 8080}}, True),
        ({"tcpSocket": {"port": "web"}}, True),
        ({"httpGet": {"port": "admin"}}, False),
        ({"exec": {"command": ["true"]}}, False),
        (None, False),
    ],
)
def test_a_ready_pod_listens_where_its_node_connects(probe: Any, probed: bool) -> None:
    one = pod("api-0", "api")
    ports = [{"name": "web", "containerPort": 8080}, {"name": "admin", "containerPort": 9090}]
    one["spec"]["containers"] = [{"name": "main", "ports": ports, "readinessProbe": probe}]
    assert is_probed(one, 8080) is probed
    one["status"]["conditions"] = []
    assert not is_probed(one, 8080)


def test_one_pod_of_each_workload_is_asked_whatever_their_labels(client: Any, answers: dict[str, Any]) -> None:
    client.api.put(PODS, pod("worker-0", "api", "rs-worker"))
    client.api.put(PODS, pod("cache-0", "", "rs-cache"))
    answers |= {"api-0": 1, "cache-0": 127, "worker-0": 0}
    assert vantage(client, NS, "10.0.0.9", 80).pod == "worker-0"
    answers["worker-0"] = 1
    assert vantage(client, NS, "10.0.0.9", 80).evidence == (
        "api-0, worker-0 could not connect; cache-0 could not be asked: its image has neither python3 nor nc nor bash"
    )


@pytest.mark.parametrize(
    ("annotation", "expected"), [(None, "proxy"), ("web", "web"), ("gone", "proxy"), ("setup", "proxy")]
)
def test_the_main_container_is_the_annotated_one_if_it_is_there_else_the_first(
    annotation: str | None, expected: str
) -> None:
    spec = {"containers": [{"name": "proxy"}, {"name": "web"}], "initContainers": [{"name": "setup"}]}
    annotations = {"kubectl.kubernetes.io/default-container": annotation} if annotation else None
    assert default_container({"metadata": {"annotations": annotations}, "spec": spec}) == expected


BASH_WITHOUT_CONNECTIONS = """#!/bin/sh
echo "bash: line 1: /dev/tcp/$1: No such file or directory" >&2; exit 1
"""


@pytest.mark.parametrize(
    "tools", [["bash", "timeout"], ["python3"], ["bash without connections", "timeout", "python3"]]
)
def test_what_an_image_has_tells_a_connection_that_is_accepted_from_one_that_is_refused(
    client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tools: list[str]
) -> None:
    _run_commands_here(monkeypatch, _folder_of_tools(tmp_path, tools))
    with socket.create_server((own_address("connection"), 0)) as listening:
        address, port = listening.getsockname()
        assert try_to_reach(client, (NS, "api-0"), address, port).outcome is Reach.CONNECTED
    assert try_to_reach(client, (NS, "api-0"), address, port).outcome is Reach.FAILED


@pytest.mark.parametrize("tools", [[], ["bash"], ["bash without connections", "timeout"]])
def test_an_image_without_a_tool_that_connects_is_told_as_such(
    client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tools: list[str]
) -> None:
    _run_commands_here(monkeypatch, _folder_of_tools(tmp_path, tools))
    found = try_to_reach(client, (NS, "api-0"), own_address("connection"), 9)
    assert (found.outcome, found.reason) == (Reach.UNKNOWN, "its image has neither python3 nor nc nor bash")


def _folder_of_tools(folder: Path, tools: list[str]) -> Path:
    for tool in tools:
        name, _, lacking = tool.partition(" ")
        if lacking:
            (folder / name).write_text(BASH_WITHOUT_CONNECTIONS)
            (folder / name).chmod(0o755)
        else:
            found = sys.executable if name == "python3" else shutil.which(name)
            assert found is not None
            (folder / name).symlink_to(found)
    return folder


def _run_commands_here(monkeypatch: pytest.MonkeyPatch, tools: Path) -> None:
    """Run what is meant for a pod on this machine, with no other tools than these on its PATH."""

    def execute(_client: Any, _pod: tuple[str, str], command: list[str], **_: Any) -> Executed:
        shell = shutil.which(command[0])
        assert shell is not None
        environment = {**os.environ, "PATH": str(tools)}
        done = subprocess.run([shell, *command[1:]], env=environment, capture_output=True, text=True, check=False)
        return Executed(done.returncode, done.stdout + done.stderr)

    monkeypatch.setattr("flametest.faults.connection.execute", execute)
