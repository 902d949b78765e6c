"""The fault proxy as a process of its own, between a client and a service that both speak over real sockets."""

import contextlib
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fault_proxy.faults import Fate, Faults, FaultSwitch
from fault_proxy.settings import Route, Settings, SettingsError

FOLDER = Path(__file__).parents[2] / "services" / "fault-proxy"
PIECES = 40
PIECE = b"x" * 50_000


class Behind(BaseHTTPRequestHandler):
    """The service behind the proxy: tells what it was asked; some paths behave in odd ways."""

    protocol_version = "HTTP/1.1"
    released = threading.Event()
    hung_up = 0

    def do_GET(self) -> None:
        if self.path == "/stream":
            self._stream()
        elif self.path == "/hang-up":
            Behind.hung_up += 1
            self.close_connection = True
        elif self.path == "/broken":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
        else:
            self._tell(self._body())

    do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _tell(self, body: bytes) -> None:
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        told = {"method": self.command, "path": self.path, "headers": headers, "bytes": len(body)}
        content = json.dumps(told).encode()
        self.send_response(404 if self.path == "/none" else 200, "As it is")
        for cookie in ("a=1", "b=2"):
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Encoding", "identity")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _stream(self) -> None:
        """Send a piece, and the others once the client has that one."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(PIECES):
            self.wfile.write(f"{len(PIECE):x}\r\n".encode() + PIECE + b"\r\n")
            if number == 0:
                self.released.wait(10)
        self.wfile.write(b"0\r\n\r\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the server."""


class Proxied:
    """A running proxy: its port, and its switch."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, admin_port: int) -> None:
        self.process = process
        self.port = port
        self.admin_port = admin_port

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection to the service by way of the proxy."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def status(self, path: str = "/") -> int:
        """Request a path over a fresh connection; return the status, or 0 when the connection was reset."""
        with contextlib.closing(self.connect()) as connection:
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
            except ConnectionResetError:
                return 0
            return answer.status

    def switch(self, method: str, **faults: Any) -> Any:
        """Use the switch, and return its answer."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)) as connection:
            connection.request(method, "/faults", json.dumps(faults) if method == "POST" else None)
            answer = connection.getresponse()
            return {"status": answer.status} | json.loads(answer.read())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture(scope="module")
def running() -> Iterator[Proxied]:
    with _Server(("127.0.0.1", 0), Behind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="behind")
        thread.start()
        try:
            yield from _proxy(f"127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def _proxy(upstream: str) -> Iterator[Proxied]:
    port, admin_port = free_port(), free_port()
    own = {"HOST": "127.0.0.1", "ROUTES": f"{port}={upstream}", "ADMIN_PORT": str(admin_port)}
    process = subprocess.Popen([sys.executable, "-m", "fault_proxy"], cwd=FOLDER, env=os.environ | own)
    try:
        deadline = time.monotonic() + 20
        while not (accepts(port) and accepts(admin_port)):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield Proxied(process, port, admin_port)
    finally:
        process.terminate()
        assert process.wait(timeout=15) == 0


@pytest.fixture
def proxied(running: Proxied) -> Iterator[Proxied]:
    yield running
    running.switch("DELETE")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_method_target_headers_and_body_reach_the_service_as_they_are(proxied: Proxied, method: str) -> None:
    sent = {"Host": "shop.example", "X-Request-ID": "7", "Idempotency-Key": "k", "Connection": "keep-alive, X-Hop"}
    with contextlib.closing(proxied.connect()) as connection:
        connection.request(method, "/a%2Fb//c?x=%20&y=1", b"12345", sent | {"X-Hop": "mine"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
    assert (told["method"], told["path"], told["bytes"]) == (method, "/a%2Fb//c?x=%20&y=1", 5)
    headers = dict(told["headers"])
    assert headers["host"] == "shop.example"
    assert (headers["x-request-id"], headers["idempotency-key"], headers["content-length"]) == ("7", "k", "5")
    assert not {"x-hop", "x-forwarded-for", "user-agent", "content-type"} & set(headers)
    assert (answer.status, answer.reason) == (200, "As it is")
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_a_body_without_a_length_is_passed_on_in_pieces(proxied: Proxied) -> None:
    with contextlib.closing(proxied.connect()) as connection:
        connection.request("POST", "/", iter([b"abc", b"defg"]), encode_chunked=True)
        told = json.loads(connection.getresponse().read())
    assert told["bytes"] == 7


def test_the_services_own_errors_and_heads_are_passed_on(proxied: Proxied) -> None:
    assert proxied.status("/none") == 404
    with contextlib.closing(proxied.connect()) as connection:
        connection.request("HEAD", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 0


def test_one_connection_serves_many_requests(proxied: Proxied) -> None:
    with contextlib.closing(proxied.connect()) as connection:
        connection.request("GET", "/first")
        connection.getresponse().read()
        sock = connection.sock
        connection.request("GET", "/second")
        assert json.loads(connection.getresponse().read())["path"] == "/second"
        assert connection.sock is sock


def test_a_long_answer_arrives_while_it_is_still_being_sent(proxied: Proxied) -> None:
    Behind.released.clear()
    with contextlib.closing(proxied.connect()) as connection:
        connection.request("GET", "/stream")
        answer = connection.getresponse()
        first = answer.read(len(PIECE))
        Behind.released.set()
        assert first + answer.read() == PIECE * PIECES


def test_an_answer_that_breaks_off_breaks_off_here_too(proxied: Proxied) -> None:
    with contextlib.closing(proxied.connect()) as connection:
        connection.request("GET", "/broken")
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            connection.getresponse().read()


def test_a_request_that_the_service_hangs_up_on_is_not_sent_again(proxied: Proxied) -> None:
    assert proxied.status("/hang-up") == 502
    assert Behind.hung_up == 1


def test_a_client_that_asks_first_is_told_to_go_on(proxied: Proxied) -> None:
    with socket.create_connection(("127.0.0.1", proxied.port), timeout=10) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        sock.sendall(b"abc")
        assert b"200 As it is" in sock.recv(10_000)


def test_a_service_that_is_away_is_a_502_and_counted() -> None:
    for proxied in _proxy(f"127.0.0.1:{free_port()}"):
        with contextlib.closing(proxied.connect()) as connection:
            connection.request("GET", "/")
            answer = connection.getresponse()
            assert (answer.status, answer.headers["X-Flametest-Fault"]) == (502, "unreachable")
        assert proxied.switch("GET")["counts"]["unreachable"] == 1


def test_what_is_injected_is_seen_and_counted(proxied: Proxied) -> None:
    faults = {"error_rate": 0.3, "error_statuses": [500, 503], "abort_rate": 0.2, "seed": 1}
    assert proxied.switch("POST", **faults)["active"]
    seen = Counter(proxied.status() for _ in range(200))
    counts = proxied.switch("GET")["counts"]
    assert counts["requests"] == 200
    assert (seen[0], seen[500] + seen[503]) == (counts["aborted"], counts["failed"])
    assert 22 <= seen[0] <= 60
    assert 40 <= counts["failed"] <= 81
    assert min(seen[500], seen[503]) > 0
    assert set(seen) == {0, 200, 500, 503}


def test_added_latency_is_felt_and_goes_when_the_switch_is_off(proxied: Proxied) -> None:
    def median_seconds() -> float:
        taken = []
        for _ in range(9):
            begin = time.monotonic()
            assert proxied.status() == 200
            taken.append(time.monotonic() - begin)
        return statistics.median(taken)

    proxied.switch("POST", latency_ms=80, latency_jitter_ms=20)
    slow = median_seconds()
    proxied.switch("DELETE")
    assert slow >= 0.08
    assert median_seconds() < 0.08


def test_a_switch_that_makes_no_sense_is_refused_by_name(proxied: Proxied) -> None:
    for faults in ({"error_rate": 2}, {"error_rate": 0.6, "abort_rate": 0.6}, {"error_statuses": [200]}, {"other": 1}):
        refused = proxied.switch("POST", **faults)
        assert refused["status"] == 422
        assert refused["message"]
    assert not proxied.switch("GET")["active"]


def test_a_request_under_way_is_finished_before_the_end() -> None:
    for proxied in _proxy("127.0.0.1:9"):
        proxied.switch("POST", latency_ms=300, error_rate=1)
        with contextlib.closing(proxied.connect()) as connection:
            connection.request("GET", "/")
            deadline = time.monotonic() + 5
            while proxied.switch("GET")["counts"]["requests"] == 0:
                assert time.monotonic() < deadline
            proxied.process.send_signal(signal.SIGTERM)
            assert connection.getresponse().status == 500
        assert proxied.process.wait(timeout=15) == 0


@given(
    abort=st.floats(0, 1),
    share=st.floats(0, 1),
    latency_ms=st.floats(0, 30_000),
    jitter_ms=st.floats(0, 30_000),
    seed=st.integers(0, 2**32),
)
def test_decisions_keep_their_rates_and_delays(
    abort: float, share: float, latency_ms: float, jitter_ms: float, seed: int
) -> None:
    error = min(share, 1 - abort)
    faults = Faults(abort_rate=abort, error_rate=error, latency_ms=latency_ms, latency_jitter_ms=jitter_ms, seed=seed)
    switch = FaultSwitch()
    switch.turn_on(faults)
    decisions = [switch.decide() for _ in range(20)]
    fates = Counter(decision.fate for decision in decisions)
    assert (fates[Fate.FAILED], fates[Fate.ABORTED]) == (switch.counts.failed, switch.counts.aborted)
    assert abort > 0 or not fates[Fate.ABORTED]
    assert error > 0 or not fates[Fate.FAILED]
    assert abort < 1 or fates[Fate.ABORTED] == 20
    for decision in decisions:
        assert latency_ms / 1000 <= decision.delay_seconds <= (latency_ms + jitter_ms) / 1000 + 1e-9


def test_the_same_seed_draws_the_same_decisions_and_time_ends_them() -> None:
    now = [100.0]
    faults = Faults(error_rate=0.5, error_statuses=(500, 503), latency_jitter_ms=10, expires_seconds=5, seed=7)
    draws = []
    for _ in range(2):
        switch = FaultSwitch(lambda: now[0])
        switch.turn_on(faults)
        draws.append([switch.decide() for _ in range(50)])
    assert draws[0] == draws[1]
    now[0] += 5
    assert switch.decide().fate is Fate.PASSED
    assert not switch.state().active


def test_routes_are_read_and_broken_ones_named() -> None:
    found = Settings.from_environment({"ROUTES": "10080=10.96.0.7:80, 10081=shop:8080"})
    assert found.routes == (Route(10080, "10.96.0.7", 80), Route(10081, "shop", 8080))
    for routes in ("", "80", "80=x", "0=x:1", "80=x:70000", "80=:1"):
        with pytest.raises(SettingsError, match="ROUTES"):
            Settings.from_environment({"ROUTES": routes})
    with pytest.raises(SettingsError, match="DRAIN_SECONDS"):
        Settings.from_environment({"ROUTES": "80=x:1", "DRAIN_SECONDS": "nan"})
