"""Measure the API of a sandbox with a client that is not itself the limit, in a process of its own.

    python -m scripts.bench_api KUBECONFIG

Prints a JSON object: requests per second over 8 connections for a single get and for a list of 100 objects of 1.4 kB,
and the milliseconds from a write until each of 100 watchers has read it. Everything goes over TLS with the token, as
kubectl does it; the client knows just enough HTTP to find the end of an answer.
"""

import base64
import contextlib
import json
import selectors
import socket
import ssl
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["Rates", "main"]

CONNECTIONS = 8
OBJECTS = 100
OBJECT_BYTES = 1400
PERIODS = 6
SECONDS = 1.0
WATCHERS = 100
WRITES = 41
NAMESPACE = "bench"
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
RECEIVE_BYTES = 1 << 18


class Target:
    """Where the API is, and how to get in: what a kubeconfig says."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        self._address = urlsplit(cluster["server"])
        self._token = config["users"][0]["user"]["token"]

    def connect(self) -> ssl.SSLSocket:
        """Return a connection, ready for requests."""
        host, port = str(self._address.hostname), int(self._address.port or 443)
        plain = socket.create_connection((host, port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._context.wrap_socket(plain, server_hostname=host)

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """Return the bytes of a request."""
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._address.netloc}\r\nAuthorization: Bearer {self._token}\r\n"
        if data:
            head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        return head.encode() + b"\r\n" + data


class Connection:
    """A connection that repeats one request and counts the answers."""

    def __init__(self, target: Target, request: bytes) -> None:
        self.socket = target.connect()
        self.answers = 0
        self._request = request
        self._missing = 0
        self._head = b""
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))

    def ask(self) -> None:
        """Send the request."""
        self.socket.sendall(self._request)

    def read(self) -> bool:
        """Read what is there; return whether the answer is complete."""
        count = self.socket.recv_into(self._buffer)
        if not count:
            raise ConnectionError("the API server closed a connection")
        if self._missing:
            self._missing -= count
        else:
            self._head += self._buffer[:count]
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return False
            if not self._head.startswith(b"HTTP/1.1 20"):
                raise ConnectionError(self._head.decode(errors="replace"))
            field = self._head.find(b"Content-Length: ", 0, end) + 16
            length = int(self._head[field : self._head.find(b"\r", field)])
            self._missing = length - (len(self._head) - end - 4)
            self._head = b""
        if self._missing == 0:
            self.answers += 1
            return True
        return False


def rate(target: Target, path: str, seconds: float = SECONDS) -> float:
    """Return how many requests a second are answered over all connections, in the best of some periods.

    What the machine does beside it can only lower a rate, so the best tells most of the server.
    """
    connections = [Connection(target, target.request("GET", path)) for _ in range(CONNECTIONS)]
    with selectors.DefaultSelector() as selector:
        for one in connections:
            selector.register(one.socket, selectors.EVENT_READ, one)
            one.ask()
        rates = []
        for _ in range(PERIODS):
            before, begun = sum(one.answers for one in connections), time.monotonic()
            _serve(selector, seconds)
            counted = sum(one.answers for one in connections) - before
            rates.append(counted / (time.monotonic() - begun))
    for one in connections:
        one.socket.close()
    return max(rates)


def _serve(selector: selectors.BaseSelector, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in selector.select(1):
            connection: Connection = key.data
            # The rest of an answer that has begun is on its way.
            while not connection.read():
                pass
            connection.ask()


def watch_milliseconds(target: Target) -> list[float]:
    """Return how long each write took until the last of the watchers had read it."""
    writer = target.connect()
    watch = target.request("GET", f"{MAPS}?watch=1&resourceVersion={_version(target)}")
    watchers = [target.connect() for _ in range(WATCHERS)]
    taken = []
    with selectors.DefaultSelector() as selector:
        for one in watchers:
            one.sendall(watch)
            selector.register(one, selectors.EVENT_READ)
        # The heads of the answers: from then on they watch.
        _until_heard(selector, b"\r\n\r\n")
        for number in range(WRITES):
            mark = f"mark-{number:04d}-"
            body = {"metadata": {"name": "told"}, "data": {"mark": mark, "fill": "x" * OBJECT_BYTES}}
            method, path = ("PUT", f"{MAPS}/told") if number else ("POST", MAPS)
            request = target.request(method, path, body)
            begun = time.perf_counter()
            writer.sendall(request)
            _until_heard(selector, mark.encode())
            taken.append((time.perf_counter() - begun) * 1000)
            writer.recv(RECEIVE_BYTES)
    for one in (writer, *watchers):
        one.close()
    return taken


def _until_heard(selector: selectors.BaseSelector, mark: bytes) -> None:
    """Return when each connection has brought a mark; what comes after it in the same piece is dropped."""
    missing = {key.fileobj: b"" for key in selector.get_map().values()}
    while missing:
        for key, _ in selector.select(10):
            connection = key.fileobj
            assert isinstance(connection, ssl.SSLSocket)
            piece = connection.recv(RECEIVE_BYTES)
            if connection in missing:
                missing[connection] += piece
                if mark in missing[connection]:
                    del missing[connection]


def _call(target: Target, method: str, path: str, body: object = None) -> dict[str, object]:
    """Return the object that answers one request on a connection of its own."""
    with contextlib.closing(target.connect()) as connection:
        connection.sendall(target.request(method, path, body).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        answer = b"".join(iter(lambda: connection.recv(RECEIVE_BYTES), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 2"):
        raise ConnectionError(answer.decode(errors="replace"))
    answered: dict[str, object] = json.loads(content)
    return answered


def _version(target: Target) -> str:
    metadata = _call(target, "GET", f"{MAPS}?limit=1")["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["resourceVersion"])


@contextlib.contextmanager
def _objects(target: Target) -> Iterator[None]:
    """Have the objects that are read, in a namespace of their own."""
    _call(target, "POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    for number in range(OBJECTS - 1):  # the namespace brings one of its own
        body = {"metadata": {"name": f"map-{number:03d}"}, "data": {"fill": "x" * OBJECT_BYTES}}
        _call(target, "POST", MAPS, body)
    yield
    _call(target, "DELETE", f"/api/v1/namespaces/{NAMESPACE}")


Rates = dict[str, float]


def main() -> int:
    """Measure and print."""
    target = Target(Path(sys.argv[1]))
    measures: dict[str, Callable[[], float]] = {
        "gets_per_second": lambda: rate(target, f"{MAPS}/map-000"),
        "lists_per_second": lambda: rate(target, MAPS),
        "watch_ms": lambda: statistics.median(watch_milliseconds(target)),
    }
    with _objects(target):
        rates: Rates = {name: measure() for name, measure in measures.items()}
    print(json.dumps(rates))
    return 0


if __name__ == "__main__":
    sys.exit(main())
