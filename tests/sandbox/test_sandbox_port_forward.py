"""kubectl port-forward, cp and proxied requests against a whole sandbox."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from flametest.sandbox.launch import Sandbox
from tests.sandbox.cluster_access import KUBECTL, Access

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl on this machine"),
]


@pytest.fixture
def access(sandbox: Sandbox) -> Iterator[Access]:
    opened = Access(sandbox)
    yield opened
    opened.close()


def test_a_pod_is_reached_by_a_forwarded_port_by_cp_and_through_the_proxy(access: Access, tmp_path: Path) -> None:
    serve = ["python", "-m", "http.server", "8000", "--directory", "/tmp"]
    probe = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
    container = {"name": "main", "image": "test/hello:1", "command": serve, "readinessProbe": probe}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    access.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec})
    access.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout", "20s")
    (tmp_path / "page.txt").write_text("hello")
    access.kubectl("cp", str(tmp_path / "page.txt"), "web:/tmp/page.txt")

    proxied = "/api/v1/namespaces/default/pods/web:8000/proxy/page.txt"
    assert access.kubectl("get", "--raw", proxied) == "hello"

    with access.forwarded("pod/web", 8000) as port:
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/page.txt")
            assert connection.getresponse().read() == b"hello"
            connection.close()
