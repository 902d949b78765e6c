"""Traffic through a whole sandbox: pods behind a Service, reached from the host's loopback, and refused when gone."""

import os
import select
import signal
import socket
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox.launch import Sandbox
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dhello"
EVENTS = "/api/v1/namespaces/default/events"
NODE_PORT = 30080


def deployment(replicas: int) -> dict[str, Any]:
    container = {
        "name": "hello",
        "image": "test/hello:1",
        "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "hello"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "hello"}},
            "template": {"metadata": {"labels": {"app": "hello"}}, "spec": spec},
        },
    }


def service(node_port: int = NODE_PORT) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": 8000, "nodePort": node_port}]
    spec = {"type": "NodePort", "selector": {"app": "hello"}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hello"}, "spec": spec}


def ready_endpoints(slices: dict[str, Any]) -> int:
    return sum(
        endpoint["conditions"].get("ready") is True
        for one in slices["items"]
        for endpoint in one.get("endpoints") or []
    )


def ask(sandbox: Sandbox, port: int = NODE_PORT) -> str:
    """Return what a connection to the NodePort is answered, or the name of the error."""
    try:
        with socket.create_connection((sandbox.node_port_address, port), timeout=5) as connection:
            return connection.recv(100).decode()
    except OSError as error:
        return type(error).__name__


def ask_until(sandbox: Sandbox, wanted: str) -> None:
    """Ask until the answer is the wanted one: the forwarder follows the API within milliseconds, but not at once."""
    answers: Counter[str] = Counter()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        answer = ask(sandbox)
        if answer == wanted or (wanted == "a pod" and answer.startswith("hello-")):
            return
        answers[answer] += 1
    pytest.fail(f"the node port never came to {wanted}: {answers}")


def test_a_node_port_spreads_over_the_pods_and_refuses_when_there_are_none(sandbox: Sandbox, api: Any) -> None:
    api(DEPLOYMENTS, deployment(3))
    api(SERVICES, service())
    api.watch_until(SLICES, lambda slices: ready_endpoints(slices) == 3)
    ask_until(sandbox, "a pod")
    answers = Counter(ask(sandbox) for _ in range(120))
    assert len(answers) == 3
    # By the binomial tail, one of three pods gets 70 of 120 or more with a probability under one in a million.
    assert max(answers.values()) < 70

    api(f"{DEPLOYMENTS}/hello", {**deployment(0)}, "PUT")
    api.watch_until(PODS, lambda pods: not pods["items"])
    ask_until(sandbox, "ConnectionRefusedError")
    assert {ask(sandbox) for _ in range(20)} == {"ConnectionRefusedError"}

    api(f"{DEPLOYMENTS}/hello", {**deployment(1)}, "PUT")
    api.watch_until(SLICES, lambda slices: ready_endpoints(slices) == 1)
    ask_until(sandbox, "a pod")

    api(f"{SERVICES}/hello", method="DELETE")
    ask_until(sandbox, "ConnectionRefusedError")


def test_a_port_that_another_program_has_becomes_an_event_and_is_taken_when_it_is_free(
    sandbox: Sandbox, api: Any
) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((sandbox.node_port_address, NODE_PORT))
        other.listen()
        api(DEPLOYMENTS, deployment(1))
        api(SERVICES, service())

        def told(events: dict[str, Any]) -> bool:
            return any(event["reason"] == "NodePortUnavailable" for event in events["items"])

        api.watch_until(EVENTS, told)
    (event,) = [event for event in api(EVENTS)["items"] if event["reason"] == "NodePortUnavailable"]
    assert event["type"] == "Warning"
    assert event["involvedObject"]["name"] == "hello"
    assert f"{sandbox.node_port_address}:{NODE_PORT} is taken" in event["message"]
    ask_until(sandbox, "a pod")


def test_the_processes_of_pods_end_with_a_supervisor_that_is_killed(sandbox: Sandbox, api: Any) -> None:
    api(DEPLOYMENTS, deployment(2))
    api.watch_until(DEPLOYMENTS, lambda found: found["items"][0]["status"].get("readyReplicas") == 2)
    namespace = os.readlink(f"/proc/{sandbox.init_pid}/ns/pid_for_children")
    pids = _processes_below(sandbox.pid)
    assert any("hello.py" in Path(f"/proc/{pid}/cmdline").read_text() for pid in pids), namespace
    descriptors = [os.pidfd_open(pid) for pid in pids]
    os.kill(sandbox.pid, signal.SIGKILL)
    for descriptor in descriptors:
        with closing(os.fdopen(descriptor)) as process:
            assert select.select([process], [], [], 15)[0]
    os.waitpid(sandbox.pid, 0)


def _processes_below(root_pid: int) -> list[int]:
    found, pending = [], [root_pid]
    while pending:
        pid = pending.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").iterdir():
            pending += [int(child) for child in task.joinpath("children").read_text().split()]
    return found
