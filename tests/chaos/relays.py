"""What stands between Flametest and a sandbox and disturbs what Flametest sees, without an error.

`FreezingApi` passes requests on to an API server, and can let watches that are established deliver nothing more, as a
proxy does that has lost its other side: their connections stay open. New requests and new watches are passed on.
`TakenEntry` passes requests on to an entry, and can answer in its place, as another system at the same address does, or
fail some of its clients only.
"""

import base64
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import urllib3
import yaml

__all__ = ["FreezingApi", "TakenEntry", "relaying"]

# What a request or an answer says of its own connection and is not passed on.
_HOP = frozenset({"connection", "host", "transfer-encoding", "content-length", "keep-alive"})


class Relay(ThreadingHTTPServer):
    """A server on loopback that passes requests on."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, origin: str, pool: urllib3.PoolManager) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.origin = origin
        self.pool = pool
        self.ending = threading.Event()

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the server."""

    def serve(self, handler: "_Handler") -> None:
        """Answer one request."""
        handler.pass_on(self.origin)


class FreezingApi(Relay):
    """Relays an API server; see the module's head."""

    def __init__(self, kubeconfig: Path) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        self._document = document
        cluster = document["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        super().__init__(cluster["server"], urllib3.PoolManager(ssl_context=context, maxsize=16))
        self._frozen = threading.Event()

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig that leads here, and return its path."""
        cluster = {"name": self._document["clusters"][0]["name"], "cluster": {"server": self.url}}
        path.write_text(yaml.safe_dump(self._document | {"clusters": [cluster]}))
        path.chmod(0o600)
        return path

    def freeze(self) -> None:
        """Let watches that are established now deliver nothing more."""
        frozen, self._frozen = self._frozen, threading.Event()
        frozen.set()

    def serve(self, handler: "_Handler") -> None:
        """Pass a request on; what a watch delivers only until it is frozen."""
        is_watch = "watch" in parse_qs(urlsplit(handler.path).query)
        handler.pass_on(self.origin, self._frozen if is_watch else None)


class TakenEntry(Relay):
    """Relays an entry; see the module's head."""

    def __init__(self, origin: str) -> None:
        super().__init__(origin, urllib3.PoolManager(maxsize=64, block=False))
        self.taken_by = ""
        self.fails: Callable[[str], bool] = lambda user_agent: False

    def serve(self, handler: "_Handler") -> None:
        """Pass a request on, or answer it in the name of another system's pod."""
        fails = self.fails(handler.headers.get("User-Agent", ""))
        if not self.taken_by and not fails:
            handler.pass_on(self.origin)
            return
        handler.send_response(503 if fails else 200)
        if self.taken_by:
            handler.send_header("X-Served-By", self.taken_by)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Relay

    def do_GET(self) -> None:
        with suppress(OSError, urllib3.exceptions.HTTPError):
            self.server.serve(self)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 (the base class names them)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""

    def pass_on(self, origin: str, frozen: threading.Event | None = None) -> None:
        """Send the request to ``origin`` and what it answers back, chunk by chunk; nothing more once ``frozen``."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        options: dict[str, Any] = {"preload_content": False, "retries": False, "redirect": False, "timeout": 60.0}
        with self.server.pool.request(
            self.command, origin + self.path, body=body, headers=headers, **options
        ) as answer:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            if frozen is None:
                data = answer.read(decode_content=False)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                return
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in answer.stream(amt=None, decode_content=False):
                self._wait_if(frozen)
                self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                self.wfile.flush()
            self._wait_if(frozen)
            self.wfile.write(b"0\r\n\r\n")

    def _wait_if(self, frozen: threading.Event) -> None:
        if frozen.is_set():
            self.server.ending.wait()
            raise ConnectionError("the relay ends")


@contextmanager
def relaying(relay: Relay) -> Iterator[None]:
    """Serve in a thread while the block runs."""
    thread = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.02}, name="relay")
    thread.start()
    try:
        yield
    finally:
        relay.ending.set()
        relay.shutdown()
        thread.join()
        relay.server_close()
        relay.pool.clear()
