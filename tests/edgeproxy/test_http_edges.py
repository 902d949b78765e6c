"""HTTP edges: a client and a service speak over real sockets, with the proxy between them, and rules by content."""

import contextlib
import http.client
import json
import math
import random
import signal
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.addresses import free_port
from tests.chance import binomial_range
from tests.edgeproxy.running import Proxied, program, proxy
from tests.patience import PATIENCE_SECONDS

PIECES = 40
PIECE = b"x" * 50_000


class Behind(BaseHTTPRequestHandler):
    """The service behind the proxy: tells what it was asked; some paths behave in odd ways."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a head and its body are written one after the other
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
                self.released.wait(60)
        self.wfile.write(b"0\r\n\r\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the server."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return program(tmp_path_factory.mktemp("program of the proxy, ä"))


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Proxied]:
    with _Server(("127.0.0.1", 0), Behind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="behind")
        thread.start()
        try:
            with proxy(folder, f"127.0.0.1:{server.server_port}", "http") as found:
                yield found
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def proxied(running: Proxied) -> Iterator[Proxied]:
    yield running
    running.admin("DELETE", "/faults")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_method_target_headers_and_body_reach_the_service_as_they_are(proxied: Proxied, method: str) -> None:
    sent = {"Host": "shop.example", "X-Request-ID": "7", "Idempotency-Key": "k"}
    with contextlib.closing(proxied.connect("127.0.0.9")) as connection:
        connection.request(method, "/a%2Fb//c?x=%20&y=1", b"12345", sent)
        answer = connection.getresponse()
        told = json.loads(answer.read())
    assert (told["method"], told["path"], told["bytes"]) == (method, "/a%2Fb//c?x=%20&y=1", 5)
    headers = dict(told["headers"])
    assert headers == {"accept-encoding": "identity", "content-length": "5"} | {k.lower(): v for k, v in sent.items()}
    assert (answer.status, answer.reason) == (200, "As it is")
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_a_body_without_a_length_is_passed_on_in_pieces(proxied: Proxied) -> None:
    with contextlib.closing(proxied.connect("127.0.0.9")) as connection:
        connection.request("POST", "/", iter([b"abc", b"defg"]), encode_chunked=True)
        assert json.loads(connection.getresponse().read())["bytes"] == 7
        connection.request("GET", "/after")
        assert json.loads(connection.getresponse().read())["path"] == "/after"


def test_the_services_own_errors_and_heads_are_passed_on(proxied: Proxied) -> None:
    assert proxied.status("/none") == 404
    with contextlib.closing(proxied.connect("127.0.0.9")) as connection:
        connection.request("HEAD", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 0


def test_one_connection_serves_many_requests(proxied: Proxied) -> None:
    with contextlib.closing(proxied.connect("127.0.0.9")) as connection:
        connection.request("GET", "/first")
        connection.getresponse().read()
        sock = connection.sock
        connection.request("GET", "/second")
        assert json.loads(connection.getresponse().read())["path"] == "/second"
        assert connection.sock is sock


def test_a_long_answer_arrives_while_it_is_still_being_sent(proxied: Proxied) -> None:
    Behind.released.clear()
    with contextlib.closing(proxied.connect("127.0.0.9")) as connection:
        connection.request("GET", "/stream")
        answer = connection.getresponse()
        first = answer.read(len(PIECE))
        Behind.released.set()
        assert first + answer.read() == PIECE * PIECES


def test_an_answer_that_breaks_off_breaks_off_here_too(proxied: Proxied) -> None:
    with contextlib.closing(proxied.connect("127.0.0.9")) as connection:
        connection.request("GET", "/broken")
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            connection.getresponse().read()


def test_a_request_that_the_service_hangs_up_on_is_not_sent_again(proxied: Proxied) -> None:
    before = Behind.hung_up
    with contextlib.closing(proxied.connect("127.0.0.9")) as connection:
        connection.request("GET", "/hang-up")
        with pytest.raises(http.client.RemoteDisconnected):
            connection.getresponse()
    assert Behind.hung_up == before + 1


def test_a_request_that_breaks_off_breaks_off_at_the_service_too(proxied: Proxied) -> None:
    with proxied.socket() as sock:
        sock.sendall(b"POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
        sock.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_what_is_no_http_is_passed_on_and_counted(proxied: Proxied) -> None:
    before = proxied.admin("GET", "/faults")["counts"].get("not_http", 0)
    with proxied.socket() as sock:
        sock.sendall(b"\x16\x03\x01 hello, this is no HTTP\r\n\r\n")
        assert b"400" in sock.recv(1000)
    assert proxied.admin("GET", "/faults")["counts"]["not_http"] == before + 1


def test_a_service_that_is_away_is_a_reset_and_counted(folder: Path) -> None:
    with proxy(folder, f"127.0.0.1:{free_port()}", "http") as proxied:
        assert proxied.status() == 0
        assert proxied.admin("GET", "/faults")["counts"]["unreachable"] == 1


def test_shares_lie_within_their_range_and_are_counted(proxied: Proxied) -> None:
    requests, shares = 600, {"reset": 0.2, "status": 0.24}
    proxied.on(
        {"effect": {"reset": True}, "match": {"share": 0.2}},
        {"effect": {"status": [500, 503]}, "match": {"share": 0.3}},
    )
    seen = Counter(proxied.status() for _ in range(requests))
    low, high = binomial_range(requests, shares["reset"])
    assert low <= seen[0] <= high
    low, high = binomial_range(requests, shares["status"])
    assert low <= seen[500] + seen[503] <= high
    assert min(seen[500], seen[503]) > 0  # of 80 or more, all alike: 2 in 2^80
    assert set(seen) == {0, 200, 500, 503}
    counts = proxied.counts()
    assert (counts["units"], counts["reset"], counts["answered"]) == (requests, seen[0], seen[500] + seen[503])


def test_the_first_are_exactly_the_first_and_every_nth_exactly_those(proxied: Proxied) -> None:
    proxied.on({"effect": {"status": 503}, "match": {"first": 7}})
    assert [proxied.status() for _ in range(12)] == [503] * 7 + [200] * 5
    proxied.on({"effect": {"status": [429]}, "match": {"every": 3}})
    assert [proxied.status() for _ in range(9)] == [200, 200, 429] * 3


def test_a_rule_for_one_route_touches_no_other_request(proxied: Proxied) -> None:
    match = {"method": "POST", "path": "/orders/*", "header": {"X-User": "7"}}
    proxied.on({"effect": {"status": 503}, "match": match})
    meant = [proxied.status("/orders/1?a=b", method="POST", **{"X-User": "7"}) for _ in range(20)]
    assert meant == [503] * 20
    others = [
        [proxied.status("/orders/1", method="GET", **{"X-User": "7"}) for _ in range(100)],
        [proxied.status("/events/1", method="POST", **{"X-User": "7"}) for _ in range(100)],
        [proxied.status("/orders/1", method="POST", **{"X-User": "8"}) for _ in range(100)],
        [proxied.status("/orders/1", method="POST") for _ in range(100)],
    ]
    assert others == [[200] * 100] * 4
    assert proxied.counts()["affected"] == 20


def test_a_rule_for_one_caller_touches_no_other_one(proxied: Proxied) -> None:
    assert proxied.admin("POST", "/callers", {"addresses": ["127.0.0.21"]})["status"] == 200
    proxied.on({"effect": {"reset": True}, "of_caller": True})
    assert [proxied.status(source="127.0.0.21") for _ in range(50)] == [0] * 50
    assert [proxied.status(source="127.0.0.22") for _ in range(200)] == [200] * 200
    assert proxied.admin("GET", "/faults")["connections"]["127.0.0.22"] >= 200


def test_two_edges_of_one_port_are_told_apart_by_callers_counts_and_soundings_and_end_one_by_one(
    proxied: Proxied,
) -> None:
    for edge, address, status in (("first", "127.0.0.21", 503), ("second", "127.0.0.22", 429)):
        proxied.admin("POST", "/callers", {"edge": edge, "addresses": [address]})
        proxied.on({"effect": {"status": status}, "of_caller": True}, edge=edge)

    def fates() -> list[int]:
        return [proxied.status(source=f"127.0.0.{number}") for number in (21, 22, 23)]

    assert fates() == [503, 429, 200]
    assert proxied.sound(edge="first", requests=3)["ends"] == ["503"] * 3
    assert proxied.sound(edge="second", requests=3)["ends"] == ["429"] * 3
    assert proxied.sound(edge="second", requests=3, caller=False)["ends"] == ["200"] * 3
    assert [proxied.counts(edge)["affected"] for edge in ("first", "second")] == [1, 1]
    proxied.admin("DELETE", "/faults/first")
    assert fates() == [200, 429, 200]
    assert [proxied.counts(edge)["units"] for edge in ("first", "second")] == [3, 5]
    proxied.admin("DELETE", "/faults/second")
    assert fates() == [200, 200, 200]


def test_what_one_edge_delays_comes_to_the_next_and_what_it_answers_does_not(proxied: Proxied) -> None:
    proxied.on({"effect": {"delay_ms": 100}}, edge="front")
    proxied.on({"effect": {"delay_ms": 100}, "match": {"first": 2}}, edge="behind")
    proxied.on({"effect": {"status": 503}, "match": {"path": "/a"}}, edge="last")
    begin = time.monotonic()
    assert proxied.status("/a") == 503
    assert time.monotonic() - begin >= 0.2
    proxied.on({"effect": {"status": 500}}, edge="front")
    assert [proxied.status("/a") for _ in range(3)] == [500] * 3
    assert [proxied.counts(edge).get("units") for edge in ("front", "behind", "last")] == [3, 1, 1]


OTHERS = 10_000
MEANT_AMONG_THEM = 200
LASTING_SECONDS = 3600.0  # longer than a busy machine takes


def kept(connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str]) -> int:
    """Send a request on a connection that is kept, and return the status."""
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


@pytest.mark.exhaustive
def test_of_ten_thousand_requests_of_other_routes_none_is_touched(proxied: Proxied) -> None:
    match = {"method": "POST", "path": "/orders/*", "header": {"X-User": "7"}}
    proxied.on({"effect": {"status": 503}, "match": match}, seconds=LASTING_SECONDS)
    draw = random.Random(13)
    order = [True] * MEANT_AMONG_THEM + [False] * OTHERS
    draw.shuffle(order)
    statuses: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
    with contextlib.closing(proxied.connect("127.0.0.9")) as connection:
        for meant in order:
            method, path, user = "POST", f"/orders/{draw.randrange(1000)}", "7"
            if not meant:  # one of the three, or more of them, is another one
                apart = draw.randrange(1, 8)
                method = draw.choice(("GET", "PUT", "DELETE")) if apart & 1 else method
                path = draw.choice(("/order/1", "/orders", "/", "/events/orders/1")) if apart & 2 else path
                user = draw.choice(("", "8", "77", "07")) if apart & 4 else user
            statuses[meant][kept(connection, method, path, {"X-User": user} if user else {})] += 1
    assert statuses == {True: Counter({503: MEANT_AMONG_THEM}), False: Counter({200: OTHERS})}
    counts = proxied.counts()
    assert (counts["units"], counts["affected"]) == (OTHERS + MEANT_AMONG_THEM, MEANT_AMONG_THEM)


@pytest.mark.exhaustive
def test_of_ten_thousand_requests_of_other_callers_none_is_touched(proxied: Proxied) -> None:
    assert proxied.admin("POST", "/callers", {"addresses": ["127.0.0.21"]})["status"] == 200
    proxied.on({"effect": {"status": 503}, "of_caller": True}, seconds=LASTING_SECONDS)
    statuses: Counter[int] = Counter()
    others = [proxied.connect(f"127.0.0.{number}") for number in (2, 20, 22, 121, 210)]
    with contextlib.ExitStack() as stack:
        for connection in others:
            stack.enter_context(contextlib.closing(connection))
        caller = stack.enter_context(contextlib.closing(proxied.connect("127.0.0.21")))
        for number in range(OTHERS):
            statuses[kept(others[number % len(others)], "GET", "/", {})] += 1
            if number % (OTHERS // MEANT_AMONG_THEM) == 0:
                assert kept(caller, "GET", "/", {}) == 503
    assert statuses == Counter({200: OTHERS})
    assert proxied.counts()["affected"] == MEANT_AMONG_THEM


def test_an_added_delay_is_felt_once_a_request_and_goes_with_the_rule(proxied: Proxied) -> None:
    def median_seconds(connection: http.client.HTTPConnection) -> float:
        taken = []
        for _ in range(9):
            begin = time.monotonic()
            connection.request("GET", "/")
            connection.getresponse().read()
            taken.append(time.monotonic() - begin)
        return statistics.median(taken)

    with contextlib.closing(proxied.connect("127.0.0.9")) as connection:
        proxied.on({"effect": {"delay_ms": 150, "jitter_ms": 20}})
        assert median_seconds(connection) >= 0.15
        proxied.admin("DELETE", "/faults")
        assert median_seconds(connection) < 0.15


def test_silence_is_accepted_and_never_answered_until_the_rule_goes(proxied: Proxied) -> None:
    proxied.on({"effect": {"silence": True}})
    with proxied.socket() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        proxied.admin("DELETE", "/faults")
        sock.settimeout(60)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_a_body_is_read_before_a_status_so_that_the_connection_can_be_used_again(proxied: Proxied) -> None:
    proxied.on({"effect": {"status": 500}, "match": {"first": 1}})
    with contextlib.closing(proxied.connect("127.0.0.9")) as connection:
        connection.request("POST", "/", b"x" * 100_000)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["X-Flametest-Fault"]) == (500, "status")
        assert json.loads(answer.read())["error"] == "injected"
        connection.request("GET", "/next")
        assert json.loads(connection.getresponse().read())["path"] == "/next"


def test_a_client_that_asks_first_is_told_to_go_on_by_the_service(proxied: Proxied) -> None:
    with proxied.socket() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        sock.sendall(b"abc")
        assert b"200 As it is" in sock.recv(10_000)


def test_soundings_show_a_rule_use_up_nothing_and_reach_the_service_without_effect(proxied: Proxied) -> None:
    proxied.on({"effect": {"status": 503}, "match": {"method": "POST", "path": "/orders", "first": 3}})
    told = proxied.sound(requests=5, senders=1, method="POST", path="/orders")
    assert told["ends"] == ["503"] * 3 + ["200"] * 2
    assert proxied.sound(requests=3, senders=1, caller=False)["ends"] == ["200"] * 3
    assert [proxied.status("/orders", method="POST") for _ in range(4)] == [503] * 3 + [200]
    assert proxied.admin("POST", "/talk", {})["name"] == "http"


def test_a_limit_of_bandwidth_is_kept_within_a_tenth(proxied: Proxied) -> None:
    proxied.on({"effect": {"bytes_per_second": 100_000}})
    told = proxied.sound(volume_bytes=150_000, answer_seconds=60)
    # Never quicker; how much slower is a matter of the machine, and measured by nox -s bench.
    assert told["received_bytes"] / told["seconds"] <= 110_000
    assert told["received_bytes"] >= 150_000
    proxied.on({"effect": {"reset_after_ms": 300}})
    assert proxied.sound(volume_bytes=1000, answer_seconds=60, hold_seconds=0.5)["end"] == "reset"
    proxied.on({"effect": {"reset_after_bytes": 500}})
    assert proxied.sound(volume_bytes=1000, answer_seconds=60)["end"] == "reset"


def test_a_rule_that_makes_no_sense_is_refused_by_name(proxied: Proxied) -> None:
    rules: list[dict[str, Any]] = [
        {"effect": {"status": 200}},
        {"effect": {"reset": True, "silence": True}},
        {"effect": {"delay": 3}},
        {"effect": {"delay_ms": math.inf}},
        {"effect": {}},
        {"effect": {"reset": True}, "match": {"share": 1.5}},
        {"effect": {"refuse": True}, "match": {"first": 1}},
    ]
    for rule in rules:
        refused = proxied.on(rule)
        assert refused["status"] == 422
        assert refused["message"]
    assert not proxied.admin("GET", "/faults")["active"]


def test_a_request_under_way_is_finished_before_the_end(folder: Path) -> None:
    with proxy(folder, "127.0.0.1:9", "http", DRAIN_SECONDS="60") as proxied:
        proxied.on({"effect": {"delay_ms": 300, "status": 500}})
        with contextlib.closing(proxied.connect("127.0.0.9")) as connection:
            connection.request("GET", "/", headers={"Connection": "close"})
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not proxied.counts().get("units"):
                assert time.monotonic() < deadline
            proxied.process.send_signal(signal.SIGTERM)
            assert connection.getresponse().status == 500
        assert proxied.process.wait(timeout=PATIENCE_SECONDS) == 0


def test_connections_are_refused_as_by_a_port_without_a_listener_and_accepted_again(proxied: Proxied) -> None:
    def refused() -> bool:
        try:
            socket.create_connection(("127.0.0.1", proxied.port), timeout=60).close()
        except ConnectionRefusedError:
            return True
        return False

    def eventually(wanted: bool) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while refused() is not wanted:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    proxied.on({"effect": {"refuse": True}})
    eventually(True)
    assert proxied.sound(requests=2)["ends"] == ["refused"] * 2
    proxied.admin("DELETE", "/faults")
    eventually(False)
    proxied.on({"effect": {"refuse": True}}, seconds=0.2)
    eventually(True)
    eventually(False)  # it went off by itself
