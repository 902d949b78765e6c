"""A proxy in front of an API server that disturbs one request in a chosen way, and a kubeconfig that leads to it."""

import base64
import http.client
import json
import os
import signal
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import yaml

__all__ = ["ALL_WAYS", "CONTEXT", "KILLING", "Disturbing", "Request", "Way", "disturbing"]

CONTEXT = "disturbed"
FOR_EVER_SECONDS = 60.0  # longer than any limit of the client's
STREAM_SECONDS = 20.0  # no command that healing executes takes so long


@dataclass(frozen=True, slots=True)
class Request:
    """A request by what it asks for, and the how manieth of its kind it is."""

    method: str
    path: str
    occurrence: int


@dataclass(frozen=True, slots=True)
class Way:
    """How a request is disturbed.

    Attributes:
        name: for people.
        status: what is answered in the API's place; 0 for nothing.
        forwarded: whether the API gets the request all the same, so that only its answer is lost.
        lasting: whether all that follows is disturbed as well.
        plain: whether the answer is that of a proxy, no Status of the API.
        silent: whether the connection stays open without an answer; else it is reset, if there is no status.
        kills: whether the process that asks is killed.
        token: whether the request is forwarded with a token that is not valid.
    """

    name: str
    status: int = 0
    forwarded: bool = False
    lasting: bool = False
    plain: bool = False
    silent: bool = False
    kills: bool = False
    token: bool = False

    def __str__(self) -> str:
        return self.name


_STATUSES = (401, 403, 404, 429, 500, 503)
ALL_WAYS = (
    Way("wrong token", token=True, lasting=True),
    *(Way(f"{status}", status) for status in _STATUSES if status != 404),
    *(Way(f"{status} from then on", status, lasting=True) for status in _STATUSES if status != 404),
    *(Way(f"{status} of a proxy", status, plain=True) for status in _STATUSES),
    Way("503 instead of the answer", 503, forwarded=True),
    Way("reset"),
    Way("reset from then on", lasting=True),
    Way("reset instead of the answer", forwarded=True),
    Way("time-out", silent=True),
    Way("time-out instead of the answer", silent=True, forwarded=True),
)
KILLING = (Way("SIGKILL", kills=True), Way("SIGKILL before the answer", kills=True, forwarded=True))

_REASONS = {401: "Unauthorized", 403: "Forbidden", 429: "TooManyRequests", 500: "InternalError"}


@dataclass
class Disturbing:
    """What the proxy has seen and is to do; `calm` before each use."""

    kubeconfig: Path
    asked: list[Request] = field(default_factory=list)
    struck: bool = False
    victim: Callable[[], int] = lambda: 0
    _wanted: Callable[[Request], bool] = lambda _: False
    _way: Way = Way("none")
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _released: threading.Event = field(default_factory=threading.Event)

    def calm(self) -> None:
        """Pass everything on, and count again."""
        with self._lock:
            self.asked, self.struck, self._counts = [], False, Counter()
            self._wanted = lambda _: False
            self._released.set()

    def disturb(self, wanted: Request, way: Way) -> None:
        """Disturb one request from now on."""
        self.calm()
        with self._lock:
            self._released = threading.Event()
            self._wanted, self._way = lambda request: request == wanted, way

    def way_of(self, method: str, path: str) -> Way | None:
        """Take note of a request, and return how it is to be disturbed."""
        with self._lock:
            self._counts[method, path] += 1
            request = Request(method, path, self._counts[method, path])
            self.asked.append(request)
            if self._wanted(request) or (self.struck and self._way.lasting):
                self.struck = True
                return self._way
            return None

    def hold(self) -> None:
        """Wait as an API does that never answers, until the next `calm`."""
        self._released.wait(FOR_EVER_SECONDS)


@contextmanager
def disturbing(kubeconfig: Path, folder: Path) -> Iterator[Disturbing]:
    """Put the proxy in front of the API of a sandbox's kubeconfig; it listens on loopback while the block runs."""
    document = yaml.safe_load(kubeconfig.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    state = Disturbing(folder / "disturbed.kubeconfig")
    with _Server(state, urlsplit(cluster["server"]), trust, user["token"]) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="disturbing")
        thread.start()
        state.kubeconfig.write_text(_leading_to(server.server_address[1]))
        try:
            yield state
        finally:
            state.calm()
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    """The proxy: its state, and how the API behind it is reached."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, state: Disturbing, address: SplitResult, trust: ssl.SSLContext, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self.address = address
        self.trust = trust
        self.token = token

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that are gone."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    server: "_Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do(self) -> None:
        """Pass a request on, or disturb it."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        way = self.server.state.way_of(self.command, urlsplit(self.path).path)
        streams = self.headers.get("Upgrade", "").lower() == "websocket"
        token = "not-valid" if way is not None and way.token else self.server.token
        if way is None or way.token:
            if streams:
                self._tunnel(token)
            else:
                self._answer(*self._forward(body, token))
            return
        if way.forwarded and streams:
            self._tunnel(token, answered=False)
        elif way.forwarded:
            self._forward(body, token)
        self._disturb(way)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do  # noqa: N815 (names of the base class)

    def _forward(self, body: bytes, token: str) -> tuple[int, str, bytes]:
        connection = http.client.HTTPSConnection(
            self.server.address.hostname or "", self.server.address.port, context=self.server.trust, timeout=60
        )
        kept = {name: self.headers[name] for name in ("Accept", "Content-Type") if self.headers.get(name)}
        try:
            connection.request(self.command, self.path, body or None, kept | {"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()
        finally:
            connection.close()

    def _tunnel(self, token: str, *, answered: bool = True) -> None:
        """Pass a WebSocket on, until either side ends it; its answers only if so asked."""
        self.close_connection = True
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("authorization", "host")}
        kept |= {"Host": self.server.address.netloc, "Authorization": f"Bearer {token}"}
        head = f"{self.command} {self.path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in kept.items())
        plain = socket.create_connection(
            (self.server.address.hostname or "", self.server.address.port or 443), timeout=STREAM_SECONDS
        )
        with self.server.trust.wrap_socket(plain, server_hostname=self.server.address.hostname) as api:
            api.sendall(f"{head}\r\n".encode())
            answering = threading.Thread(
                target=_pass_on, args=(api, self.connection if answered else None), name="answers of a stream"
            )
            answering.start()
            if answered:
                _pass_on(self.connection, api)
            answering.join()

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _disturb(self, way: Way) -> None:
        self.close_connection = True
        if way.kills:
            os.kill(self.server.state.victim(), signal.SIGKILL)
        elif way.plain:
            self._answer(way.status, "text/html", b"<html>no upstream</html>")
        elif way.status:
            reason = _REASONS.get(way.status, "ServiceUnavailable")
            told = {"kind": "Status", "status": "Failure", "reason": reason, "code": way.status, "message": reason}
            self._answer(way.status, "application/json", json.dumps(told).encode())
        elif way.silent:
            self.server.state.hold()
        else:
            # Closed with nothing to linger for, a connection is reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


def _pass_on(source: socket.socket, target: socket.socket | None) -> None:
    """Pass on what comes, to nobody if so asked, until it ends; then end what goes the other way, too."""
    with suppress(OSError):
        while data := source.recv(65536):
            if target is not None:
                target.sendall(data)
    for one in (source, target):
        if one is not None:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _leading_to(port: int) -> str:
    cluster = {"server": f"http://127.0.0.1:{port}"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CONTEXT, "cluster": cluster}],
            "users": [{"name": CONTEXT, "user": {"token": "of-the-proxy"}}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
        }
    )
