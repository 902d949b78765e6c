"""A pod of Flametest's own that connects: what it says, what it brings, and what is told where there is none."""

import socket
import subprocess
import sys
from typing import Any

import pytest

from flametest.faults import vantage_pod
from flametest.faults.connection import Reach, Reached
from flametest.faults.errors import FaultError
from flametest.faults.network_partition import NetworkPartition
from flametest.faults.service_removal import ServiceRemoval
from flametest.faults.vantage_pod import VantagePod
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import NETWORK_POLICIES, PODS, SERVICES

NS = "flametest"
PLACE = ("10.0.0.9", 80)
BEHIND = {"matchLabels": {"app": "api"}}
VANTAGE = VantagePod(NS, "of-a-test")


@pytest.fixture
def log(client: Any) -> list[str]:
    """What the pod writes: its last line is the last one here; an empty list is a pod that has not begun."""
    lines: list[str] = []

    def text(path: str, query: Any = None) -> str:
        if not lines:
            raise ApiRejectedError(f"GET {path}: container is waiting to start", code=400)
        return f"{lines[-1]}\n"

    client.api.text = text
    return lines


def policy(client: Any, name: str, **spec: Any) -> None:
    client.api.put(NETWORK_POLICIES, {"metadata": {"name": name}, "spec": {"podSelector": BEHIND} | spec})


def names(client: Any) -> set[str]:
    policies = client.api.get(NETWORK_POLICIES.path(NS))["items"]
    pods = client.api.get(PODS.path(NS))["items"]
    return {one["metadata"]["name"] for one in [*policies, *pods] if one["metadata"]["name"].startswith("flametest-")}


def test_it_tells_what_became_of_its_last_connection_and_is_removed(client: Any, log: list[str]) -> None:
    log.append("connected")
    assert VANTAGE.start(client, PLACE, BEHIND) == Reached(Reach.CONNECTED)
    assert names(client) == {VANTAGE.name}
    log.append("failed [Errno 111] Connection refused")
    assert VANTAGE.seen(client) == Reached(Reach.FAILED, "[Errno 111] Connection refused")
    VANTAGE.remove(client)
    assert names(client) == set()
    VANTAGE.remove(client)


def test_where_policies_isolate_it_brings_those_that_admit_it_alone(client: Any, log: list[str]) -> None:
    log.append("connected")
    policy(client, "api", policyTypes=["Ingress"], ingress=[])
    policy(client, "out", policyTypes=["Egress"], egress=[])
    VANTAGE.start(client, PLACE, BEHIND)
    own = {"matchLabels": client.api.get(PODS.path(NS, VANTAGE.name))["metadata"]["labels"]}
    admitting = client.api.get(NETWORK_POLICIES.path(NS, VANTAGE.name))["spec"]
    (rule,) = admitting["ingress"]
    (peer,) = rule["from"]
    assert admitting["podSelector"] == BEHIND
    assert peer["podSelector"]["matchLabels"].items() <= own["matchLabels"].items()
    assert "app" not in own["matchLabels"]
    assert names(client) == {VANTAGE.name, f"{VANTAGE.name}-out"}
    VANTAGE.remove(client)
    assert names(client) == set()


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"phase": "Failed"}, "has ended"),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
            r"does not start \(ImagePullBackOff, image python",
        ),
    ],
)
def test_one_that_never_connects_is_removed_at_once_and_the_reason_is_kept(
    client: Any, log: list[str], monkeypatch: pytest.MonkeyPatch, state: Any, told: str
) -> None:
    send = client.api.send

    def sent(method: str, path: str, body: Any = None, **more: Any) -> Any:
        return send(method, path, body | {"status": state} if method == "POST" else body, **more)

    monkeypatch.setattr(client.api, "send", sent)
    reached = VANTAGE.start(client, PLACE, BEHIND)
    assert (reached.outcome, VANTAGE.seen(client)) == (Reach.UNKNOWN, reached)
    assert reached.reason.startswith(f"pod {VANTAGE.name} ")
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(reached.reason)
    assert names(client) == set()


def test_what_bears_its_name_already_is_refused(client: Any) -> None:
    client.api.put(PODS, {"metadata": {"name": VANTAGE.name}})
    with pytest.raises(FaultError, match=f"Pod {VANTAGE.name} is there already"):
        VANTAGE.check_free(client)


def test_a_removed_service_is_proved_by_its_pod_and_healing_removes_both(client: Any, log: list[str]) -> None:
    spec = {"clusterIP": "10.0.0.9", "ports": [{"port": 80}], "selector": {"app": "api"}}
    client.api.put(SERVICES, {"metadata": {"name": "api"}, "spec": spec})
    removal = ServiceRemoval(NS, "api")
    targets = removal.targets(client)
    state = removal.record(client, targets)
    log.append("connected")
    removal.prepare(client, targets)
    removal.inject(client, targets)
    log.append("failed timed out")
    proof = removal.prove(client, targets, state)
    assert proof.proved
    assert proof.evidence.endswith("which could before, cannot connect to 10.0.0.9:80")
    assert "was created again as it was" in removal.heal(client, state)
    assert names(client) == set()


def test_a_removal_is_proved_by_the_api_where_the_network_accepts_connections_that_nobody_serves(
    client: Any, log: list[str]
) -> None:
    spec = {"clusterIP": "10.0.0.9", "ports": [{"port": 80}], "selector": {"app": "api"}}
    client.api.put(SERVICES, {"metadata": {"name": "api"}, "spec": spec})
    removal = ServiceRemoval(NS, "api")
    targets = removal.targets(client)
    state = removal.record(client, targets)
    log.append("connected by-anybody")
    removal.prepare(client, targets)
    removal.inject(client, targets)
    proof = removal.prove(client, targets, state)
    assert proof.proved
    assert proof.evidence.startswith("the API answers 404 for Service api; a connection would prove nothing: ")


@pytest.mark.parametrize("by_anybody", [True, False])
def test_its_program_tells_a_network_that_accepts_connections_to_ports_that_nobody_serves(by_anybody: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as served, socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # held, so that nobody else gets it; refused unless it listens
        if by_anybody:
            other.listen()
        nobodys = f"({other.getsockname()[1]},)"
        program = vantage_pod._PROGRAM.replace(str(vantage_pod._NOBODYS_PORTS), nobodys)
        assert nobodys in program
        command = [sys.executable, "-I", "-S", "-c", program, *map(str, served.getsockname())]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            try:
                last = running.stdout.readline().strip()
                if by_anybody and last == "connected":  # the thread that tries the other port may be later
                    last = running.stdout.readline().strip()
                served.close()
                assert last == ("connected by-anybody" if by_anybody else "connected")
                assert running.stdout.readline().startswith("failed ")
            finally:
                running.kill()


def test_without_such_a_pod_a_removal_says_why_nobody_connected_and_a_partition_is_refused(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(method: str, path: str, body: Any = None, **more: Any) -> Any:
        if (method, path) == ("POST", PODS.path(NS)):
            raise ApiRejectedError("POST pods: exceeded quota", code=403)
        return send(method, path, body, **more)

    def execute(*_: Any, **__: Any) -> Any:
        raise ApiRejectedError("exec is forbidden", code=403)

    send = client.api.send
    monkeypatch.setattr(client.api, "send", refused)
    monkeypatch.setattr("flametest.faults.connection.execute", execute)
    spec = {"clusterIP": "10.0.0.9", "ports": [{"port": 80}], "selector": {"app": "api"}}
    client.api.put(SERVICES, {"metadata": {"name": "api"}, "spec": spec})
    removal = ServiceRemoval(NS, "api")
    targets = removal.targets(client)
    state = removal.record(client, targets)
    removal.prepare(client, targets)
    removal.inject(client, targets)
    proof = removal.prove(client, targets, state)
    assert proof.proved
    assert "no connection was tried" in proof.evidence
    assert "exceeded quota" in proof.evidence

    with pytest.raises(FaultError, match=r"exec is forbidden.*exceeded quota"):
        NetworkPartition(NS, "api", 8080).prepare(client, ())
