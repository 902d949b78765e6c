"""Kubeconfigs and API servers with TLS, written by the tests of how a cluster is reached."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["TlsApi", "context_file", "encoded", "serving"]


def context_file(path: Path, server: str, user: Any = None, cluster: Any = None, name: str = "tested") -> Path:
    """Write a kubeconfig with one context, and return it."""
    document = {
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server} | (cluster or {})}],
        "users": [{"name": "u", "user": {} if user is None else user}],
    }
    path.write_text(json.dumps(document))
    return path


def encoded(path: Path) -> str:
    """Return a file as a kubeconfig holds it."""
    return base64.b64encode(path.read_bytes()).decode()


VERSION = {"gitVersion": "v1.36.2", "major": "1", "minor": "36", "platform": "linux/amd64"} | dict.fromkeys(
    ("buildDate", "compiler", "gitCommit", "gitTreeState", "goVersion"), ""
)


class TlsApi:
    """An API server that knows its version, and the tokens that it accepts; None for anybody."""

    def __init__(self) -> None:
        self.heard: list[list[tuple[str, str]]] = []
        self.paths: list[str] = []
        self.accepted: set[str] | None = None
        self.body: Any = VERSION
        self.port = 0

    def headers(self, name: str) -> list[str]:
        """Return what the last request had under a header's name."""
        return [value for key, value in self.heard[-1] if key.lower() == name.lower()]

    def answer(self, exchange: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        exchange.rfile.read(int(exchange.headers["Content-Length"] or 0))
        self.heard.append(list(exchange.headers.items()))
        self.paths.append(exchange.path)
        token = (exchange.headers["Authorization"] or "").removeprefix("Bearer ")
        good = self.accepted is None or token in self.accepted
        body = self.body if good else {"kind": "Status", "code": 401, "message": "Unauthorized"}
        data = json.dumps(body).encode()
        exchange.send_response(200 if good else 401)
        exchange.send_header("Content-Length", str(len(data)))
        exchange.end_headers()
        exchange.wfile.write(data)


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[TlsApi]:
    """Serve on loopback, with TLS where a context is given."""
    api = TlsApi()

    class Exchange(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            api.answer(self)

        do_POST = do_GET  # noqa: N815 (the base class names them)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            wrapped = context.wrap_socket(request, server_side=True) if context else request
            try:
                super().finish_request(wrapped, client_address)
            finally:
                wrapped.close()

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is part of these tests."""

    server = Server(("127.0.0.1", 0), Exchange)
    api.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="tls-api")
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
