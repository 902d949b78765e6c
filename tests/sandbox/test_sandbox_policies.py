"""NetworkPolicies in a whole sandbox: who is kept out, and who never is."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from flametest.sandbox.launch import Sandbox
from tests.sandbox.cluster_access import KUBECTL, Access

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl on this machine"),
]

NODE_PORT = 30080
DNS = [{"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]}]


@pytest.fixture
def access(sandbox: Sandbox) -> Iterator[Access]:
    opened = Access(sandbox)
    yield opened
    opened.close()


def pod(name: str) -> dict[str, Any]:
    container = {
        "name": "hello",
        "image": "test/hello:1",
        "ports": [{"name": "hello", "containerPort": 8000}],
        "readinessProbe": {"tcpSocket": {"port": "hello"}, "periodSeconds": 1},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def policy(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


def ask(access: Access, source: str, target: str, port: int = 80) -> str:
    """Return what a pod is answered at a name and port, or the name of the error."""
    code = (
        "import socket\n"
        "try:\n"
        f"    with socket.create_connection(({target!r}, {port}), timeout=1) as link:\n"
        "        print(link.recv(100).decode(), end='')\n"
        "except OSError as error:\n"
        "    print(type(error).__name__, end='')\n"
    )
    return access.execute(source, "python", "-c", code)


def is_ready(access: Access, name: str) -> bool:
    conditions = access.core.read_namespaced_pod(name, "default").status.conditions or []
    return any(each.type == "Ready" and each.status == "True" for each in conditions)


def test_only_the_peers_reach_a_pod_while_probes_node_ports_and_names_go_on(access: Access, sandbox: Sandbox) -> None:
    ports = [{"port": 80, "targetPort": "hello", "nodePort": NODE_PORT}]
    entry = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}}
    access.apply(
        *(pod(name) for name in ("web", "stranger", "db")),
        {**entry, "spec": {"type": "NodePort", "selector": {"app": "db"}, "ports": ports}},
    )
    access.until(lambda: all(is_ready(access, name) for name in ("web", "stranger", "db")))
    access.until(lambda: ask(access, "stranger", "db") == "db")

    web_only = [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": [{"port": "hello"}]}]
    access.apply(policy("db", podSelector={"matchLabels": {"app": "db"}}, ingress=web_only))
    began = time.monotonic()
    access.until(lambda: ask(access, "stranger", "db") == "TimeoutError")
    assert time.monotonic() - began < 3
    assert ask(access, "web", "db") == "db"
    with socket.create_connection((sandbox.node_port_address, NODE_PORT), timeout=60) as link:
        assert link.recv(100) == b"db"
    assert is_ready(access, "db")

    # No egress rule for the stranger so far: names resolve. With one that admits nobody they do not; with one they do.
    access.apply(policy("stranger", podSelector={"matchLabels": {"app": "stranger"}}, policyTypes=["Egress"]))
    access.until(lambda: ask(access, "stranger", "kubernetes", 443) == "gaierror")
    access.apply(
        policy("stranger", podSelector={"matchLabels": {"app": "stranger"}}, policyTypes=["Egress"], egress=DNS)
    )
    access.until(lambda: ask(access, "stranger", "kubernetes", 443) == "TimeoutError")

    access.kubectl("delete", "networkpolicy", "db", "stranger")
    access.until(lambda: ask(access, "stranger", "db") == "db")


def test_a_pod_is_isolated_from_its_first_moment(access: Access) -> None:
    access.apply(policy("all", podSelector={}, policyTypes=["Egress"]), pod("target"))
    access.until(lambda: is_ready(access, "target"))
    address = access.core.read_namespaced_pod("target", "default").status.pod_ip
    early = pod("early")
    early["spec"]["restartPolicy"] = "Never"
    early["spec"]["containers"][0] |= {
        "command": ["python", "-c", f"import socket; socket.create_connection(({address!r}, 8000), timeout=1)"],
    }
    del early["spec"]["containers"][0]["readinessProbe"]
    access.apply(early)
    access.until(lambda: access.core.read_namespaced_pod("early", "default").status.phase in ("Failed", "Succeeded"))
    assert "TimeoutError" in access.kubectl("logs", "early")
