"""Sandboxes for tests, each with a state folder and a loopback address of its own."""

import base64
import contextlib
import http.client
import json
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from flametest.sandbox.launch import Sandbox, SandboxOptions, find, start
from tests.addresses import own_address

DOCKERFILE = """\
FROM python:3.11-slim
COPY hello.py /app/hello.py
CMD ["python", "/app/hello.py"]
"""

# Answers every connection with the name of its pod.
HELLO = """\
import socket
with socket.create_server(("", 8000), backlog=64) as server:
    while True:
        client, _ = server.accept()
        with client:
            client.sendall(socket.gethostname().encode())
"""


@pytest.fixture
def options(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SandboxOptions]:
    """Return options for a sandbox of this test's own, with one image; it is stopped afterwards if it lives."""
    images = tmp_path / "manifests" / "images.toml"
    images.parent.mkdir()
    images.write_text('[[image]]\nname = "test/hello:1"\ncontext = "hello"\n')
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello" / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "hello" / "hello.py").write_text(HELLO)
    address = own_address(request.node.nodeid)
    made = SandboxOptions(name="test", home=tmp_path / "home", node_port_address=address, images_file=images)
    yield made
    if (sandbox := find(made)) is not None:
        sandbox.stop()


@pytest.fixture
def sandbox(options: SandboxOptions) -> Sandbox:
    """Return a sandbox that runs."""
    return start(options)


class Api:
    """Asks the API as a client does that has nothing but the kubeconfig."""

    def __init__(self, sandbox: Sandbox) -> None:
        config = json.loads(sandbox.kubeconfig.read_text())
        assert config["current-context"] == sandbox.context
        cluster = config["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        self._context.verify_flags |= ssl.VERIFY_X509_STRICT
        self._server = cluster["server"]
        self._headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}

    def __call__(self, path: str, body: Any = None, method: str = "", content_type: str = "application/json") -> Any:
        """Return the answer's object; a body is posted unless another method is named."""
        headers = self._headers | {"Content-Type": content_type}
        data = None if body is None else json.dumps(body).encode()
        method = method or ("GET" if body is None else "POST")
        request = urllib.request.Request(self._server + path, data, headers, method=method)
        with self._opener().open(request, timeout=60) as answer:
            return json.load(answer)

    def warnings(self, path: str, body: Any) -> list[str]:
        """Post a body and return what the server warns of."""
        headers = self._headers | {"Content-Type": "application/json"}
        request = urllib.request.Request(self._server + path, json.dumps(body).encode(), headers, method="POST")
        with self._opener().open(request, timeout=60) as answer:
            return list(answer.headers.get_all("Warning") or ())

    def _opener(self) -> urllib.request.OpenerDirector:
        # The environment may name a proxy, which is not for loopback.
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._context)
        )

    def post_all(self, path: str, bodies: Iterable[Any]) -> None:
        """Create many objects over one connection."""
        server = urlsplit(self._server)
        connection = http.client.HTTPSConnection(server.hostname or "", server.port, context=self._context, timeout=60)
        with contextlib.closing(connection):
            for body in bodies:
                connection.request("POST", path, json.dumps(body), self._headers | {"Content-Type": "application/json"})
                with connection.getresponse() as answer:
                    assert answer.status == 201, answer.read()
                    answer.read()

    def open(self, path: str) -> Any:
        """Return the answer to a GET, to be read and closed by the caller."""
        return self._opener().open(urllib.request.Request(self._server + path, headers=self._headers), timeout=60)

    def watch_until(self, path: str, met: Callable[[dict[str, Any]], bool], seconds: float = 20) -> None:
        """Read a list again after each change of it until its items are as wanted."""
        deadline = time.monotonic() + seconds
        while True:
            found = self(path)
            if met(found):
                return
            left = int(deadline - time.monotonic())
            assert left > 0, f"{path} did not come to what was wanted: {json.dumps(found)[:2000]}"
            version = found["metadata"]["resourceVersion"]
            mark = "&" if "?" in path else "?"
            request = f"{path}{mark}watch=1&resourceVersion={version}&timeoutSeconds={min(left, 5)}"
            self._await_change(request)

    def _await_change(self, path: str) -> None:
        request = urllib.request.Request(self._server + path, headers=self._headers)
        with self._opener().open(request, timeout=30) as answer:
            answer.readline()


@pytest.fixture
def api(sandbox: Sandbox) -> Api:
    """Return the API of the sandbox."""
    return Api(sandbox)
