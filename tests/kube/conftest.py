"""An API server whose answers a test writes, for broken connections and refusals that a whole one never gives."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from flametest.kube import KubeClient, connect

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
    ended: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def handle(self, exchange: Exchange) -> None:
        """Serve one request."""
        self.asked.append(f"{exchange.command} {exchange.path}")
        if self.handlers:
            self.handlers.pop(0)(exchange)
        else:
            self.hold(exchange)

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
