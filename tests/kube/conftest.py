"""Two API servers: the sandbox's own with its controllers but without pods, and one whose answers a test writes.

The second is for broken connections and refusals that a whole one never gives.
"""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from flametest.kube import KubeClient, connect
from flametest.sandbox.apiserver import ApiServer, Registry, bootstrap
from flametest.sandbox.controllers import ControllerManager
from flametest.sandbox.credentials import CONTEXT_NAME, kubeconfig, make_credentials
from flametest.sandbox.store import Store

Handler = Callable[["Exchange"], None]


class Exchange(BaseHTTPRequestHandler):
    """One request, with helpers to answer it."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        self.server.api.handle(self)

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 (the base class names them)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""

    def answer(self, body: object, status: int = 200) -> None:
        """Answer with JSON."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin_stream(self) -> None:
        """Begin a chunked answer."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_chunk(self, data: bytes) -> None:
        """Send one chunk; an empty one ends the answer."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def send_event(self, kind: str, obj: object) -> None:
        """Send one event of a watch."""
        self.send_chunk(json.dumps({"type": kind, "object": obj}).encode() + b"\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: "ScriptedApi") -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.api = api

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of these tests."""


@dataclass
class ScriptedApi:
    """Answers each request by the first handler that is left; keeps what was asked."""

    handlers: list[Handler] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    ended: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def handle(self, exchange: Exchange) -> None:
        """Serve one request."""
        handler = self.handlers.pop(0) if self.handlers else None
        with self.changed:
            self.asked.append(f"{exchange.command} {exchange.path}")
            self.changed.notify_all()
        if handler is not None:
            handler(exchange)
        else:
            self.hold(exchange)

    def wait_asked(self, number: int, timeout_seconds: float) -> bool:
        """Wait until so many requests have come; return whether they have."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.asked) >= number, timeout_seconds)

    def hold(self, exchange: Exchange) -> None:
        """Begin a stream that says nothing until the test ends."""
        exchange.begin_stream()
        self.ended.wait(30)

    def path(self, number: int) -> str:
        """Return the path of a request, without its query."""
        return urlsplit(self.asked[number].split()[1]).path


@pytest.fixture
def scripted_api() -> Iterator[ScriptedApi]:
    api = ScriptedApi()
    server = _Server(api)
    api.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="scripted-api")
    thread.start()
    yield api
    api.ended.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def scripted_client(scripted_api: ScriptedApi, tmp_path: Path) -> Iterator[KubeClient]:
    with connect(write_kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{scripted_api.port}"), "scripted") as it:
        yield it


def write_kubeconfig(path: Path, server: str) -> Path:
    """Write a kubeconfig with the context ``scripted``, and another that is the current one."""
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "another",
                "clusters": [
                    {"name": "scripted", "cluster": {"server": server}},
                    {"name": "another", "cluster": {"server": "http://127.0.0.1:1"}},
                ],
                "users": [{"name": "tester", "user": {"token": "a-token"}}],
                "contexts": [
                    {"name": "scripted", "context": {"cluster": "scripted", "user": "tester"}},
                    {"name": "another", "context": {"cluster": "another", "user": "tester"}},
                ],
            }
        )
    )
    return path


class LiveApi:
    """The sandbox's API server, with TLS, and its controllers, on a loop in a thread of their own."""

    def __init__(self, folder: Path) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        url = "https://{}:{}".format(*self._listener.getsockname())
        credentials = make_credentials(["127.0.0.1"], datetime.now(UTC))
        self._token = credentials.token
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(kubeconfig(credentials, url, "default"))
        (folder / "crt").write_text(credentials.server_certificate)
        (folder / "key").write_text(credentials.server_key)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(folder / "crt", folder / "key")
        self._ready = threading.Event()
        self._stop: Callable[[], object] = print
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="live-api")
        self._thread.start()
        assert self._ready.wait(20)

    def close(self) -> None:
        """End it."""
        self._stop()
        self._thread.join()

    async def _run(self) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        registry = Registry(Store())
        bootstrap(registry)
        server = ApiServer(registry, self._token, ssl_context=self._context)
        self._listener.setblocking(False)
        await server.serve(self._listener)
        controllers = asyncio.create_task(ControllerManager(registry).run(), name="controllers")
        self._ready.set()
        await stop.wait()
        controllers.cancel()
        await asyncio.gather(controllers, return_exceptions=True)
        await server.close()


@pytest.fixture(scope="session")
def live_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    api = LiveApi(tmp_path_factory.mktemp("live-api"))
    yield api
    api.close()


@pytest.fixture
def live_client(live_api: LiveApi) -> Iterator[KubeClient]:
    with connect(live_api.kubeconfig, CONTEXT_NAME) as client:
        yield client
