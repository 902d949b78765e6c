"""The whole sandbox answers as a real Kubernetes v1.36.2 with a kubelet did: all recordings, pods and controllers too.

The recordings hold 190 requests and 2,085 fields of answers. ``nox -s conformance`` runs this alone.
"""

import base64
import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from flametest.sandbox.launch import Sandbox, SandboxOptions, find, start
from tests.addresses import own_address
from tests.conformance.comparison import Comparison, compare, read_recording

pytestmark = pytest.mark.sandbox

NAMES = ("discovery", "crud", "patching", "validation", "workloads")
EQUAL_STEPS_MIN = 0.98
EQUAL_FIELDS_MIN = 0.995

KNOWN_DIFFERENCES = {
    # The recorded cluster adds a second certificate to every pod, which Kubernetes itself does not.
    "a pod's defaults": "spec.volumes.0.projected.sources.3.",
    "a pod's ports, probes and volumes get defaults": "spec.volumes.2.projected.sources.3.",
    # The step follows a creation at once. The recorded controllers had not counted the pods by then, ours may have.
    "status cannot change by the main resource": "status.replicas: 2 ",
}
"""Steps whose answers may differ, with the beginning of the fields that do."""

IMAGES = """\
[[image]]
name = "kubediff/echo:1"
context = "echo"

[[image]]
name = "kubediff/echo:2"
context = "echo"
"""

DOCKERFILE = """\
FROM python:3.11-slim
COPY echo.py /app/echo.py
CMD ["python", "/app/echo.py"]
"""

# As the recordings had it: port 8080, 200 for / and 404 for all else, and no ear for SIGTERM.
ECHO = """\
import signal
import socket

signal.signal(signal.SIGTERM, signal.SIG_IGN)
with socket.create_server(("", 8080), backlog=64) as server:
    while True:
        client, _ = server.accept()
        with client:
            words = client.recv(4096).split()
            status = b"200 OK" if words[1:2] == [b"/"] else b"404 Not Found"
            client.sendall(b"HTTP/1.1 " + status + b"\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nok\\n")
"""


class Client:
    """Asks the sandbox's API over one connection, with the kubeconfig's token."""

    def __init__(self, sandbox: Sandbox) -> None:
        config = json.loads(sandbox.kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        server = urlsplit(cluster["server"])
        context = ssl.create_default_context(cadata=authority)
        self.connection = http.client.HTTPSConnection(server.netloc, context=context, timeout=60)
        self._token = config["users"][0]["user"]["token"]

    def __call__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        usual = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        sent = {name: value for name, value in (usual | headers).items() if value}
        self.connection.request(method, path, body or None, sent)
        answer = self.connection.getresponse()
        content = answer.read()
        try:
            return answer.status, json.loads(content) if content else None
        except ValueError:
            return answer.status, {"text": content.decode(errors="replace")}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Comparison]]]:
    """Return how each step of each recording was answered."""
    folder = tmp_path_factory.mktemp("conformance")
    for name, text in (
        ("manifests/images.toml", IMAGES),
        ("echo/Dockerfile", DOCKERFILE),
        ("echo/echo.py", ECHO),
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    options = sandbox_options(folder)
    client = Client(start(options))
    try:
        yield {name: compare(client, read_recording(name)) for name in NAMES}
    finally:
        client.connection.close()
        if (sandbox := find(options)) is not None:
            sandbox.stop()


def sandbox_options(folder: Path) -> SandboxOptions:
    address = own_address(str(folder))
    images = folder / "manifests/images.toml"
    return SandboxOptions(name="conformance", home=folder / "home", node_port_address=address, images_file=images)


def test_every_step_has_the_status_and_the_reason_of_the_recording(results: dict[str, list[Comparison]]) -> None:
    differing = [step for steps in results.values() for step in steps if not step.same_outcome]
    assert differing == []


def test_what_differs_is_known_and_explained(results: dict[str, list[Comparison]]) -> None:
    unknown = {
        step.step: field
        for steps in results.values()
        for step in steps
        for field in step.differences
        if not field.startswith(KNOWN_DIFFERENCES.get(step.step, "no such field"))
    }
    assert unknown == {}


def test_the_level_that_was_reached_is_held(
    results: dict[str, list[Comparison]], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print("\nrecording   steps equal  fields equal")
        for name, steps in results.items():
            equal_steps, equal, fields = _count(steps)
            print(f"{name:<11} {equal_steps:>5}/{len(steps):<5} {equal:>6}/{fields}")
    everything = [step for steps in results.values() for step in steps]
    equal_steps, equal, fields = _count(everything)
    assert (len(everything), fields) == (190, 2085)
    assert equal_steps / len(everything) >= EQUAL_STEPS_MIN
    assert equal / fields >= EQUAL_FIELDS_MIN


def _count(steps: list[Comparison]) -> tuple[int, int, int]:
    return (
        sum(step.equal for step in steps),
        sum(step.equal_fields for step in steps),
        sum(step.fields for step in steps),
    )
