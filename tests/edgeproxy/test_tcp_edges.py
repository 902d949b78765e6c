"""TCP edges: any protocol, here that of an echo, with the proxy between client and service."""

import socket
import ssl
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.edgeproxy.running import Echo, Proxied, program, proxy

CALLER, OTHER = "127.0.0.21", "127.0.0.22"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    echo = Echo()
    try:
        with proxy(program(tmp_path_factory.mktemp("program")), f"127.0.0.1:{echo.port}", "tcp") as found:
            yield found
    finally:
        echo.close()


@pytest.fixture
def proxied(running: Proxied) -> Iterator[Proxied]:
    yield running
    running.admin("DELETE", "/faults")


def asked(sock: socket.socket, data: bytes = b"hello") -> float:
    """Return how many seconds an answer took."""
    begin = time.monotonic()
    sock.sendall(data)
    received = b""
    while len(received) < len(data):
        piece = sock.recv(65536)
        if not piece:
            raise EOFError
        received += piece
    assert received == data
    return time.monotonic() - begin


def received_until_reset(sock: socket.socket) -> int:
    """Return how many bytes came before a reset."""
    received = 0
    try:
        while piece := sock.recv(65536):
            received += len(piece)
    except ConnectionResetError:
        return received
    raise AssertionError(f"closed in order after {received} bytes")


def test_bytes_go_through_as_they_are_and_ends_too(proxied: Proxied) -> None:
    data = bytes(range(256)) * 4000
    with proxied.socket() as sock:
        asked(sock, data)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""


def test_a_delay_meets_connections_that_are_open_already_and_goes_again(proxied: Proxied) -> None:
    with proxied.socket() as sock:
        assert asked(sock) < 0.2
        proxied.on({"effect": {"delay_ms": 200}})
        assert statistics.median(asked(sock) for _ in range(5)) >= 0.2
        proxied.admin("DELETE", "/faults")
        assert statistics.median(asked(sock) for _ in range(5)) < 0.2
    assert proxied.counts() == {"units": 1, "affected": 1, "delayed": 1}


def test_a_long_answer_is_delayed_as_a_whole_and_not_piece_by_piece(proxied: Proxied) -> None:
    proxied.on({"effect": {"delay_ms": 300}})
    with proxied.socket() as sock:
        assert 0.3 <= asked(sock, b"x" * 1_000_000) < 3  # sixteen pieces of 64 KiB, one after the other, take 4.8 s


def test_a_delay_of_both_directions_is_felt_twice(proxied: Proxied) -> None:
    proxied.on({"effect": {"delay_ms": 150, "direction": "both"}})
    with proxied.socket() as sock:
        assert asked(sock) >= 0.3


def test_a_limit_of_bandwidth_is_one_of_each_connection(proxied: Proxied) -> None:
    proxied.on({"effect": {"bytes_per_second": 200_000}})
    with proxied.socket() as first, proxied.socket() as second:
        begin = time.monotonic()
        for sock in (first, second):
            sock.sendall(b"x" * 100_000)
        for sock in (first, second):
            left = 100_000
            while left:
                left -= len(sock.recv(left))
        assert time.monotonic() - begin >= 0.49


def test_slices_arrive_apart(proxied: Proxied) -> None:
    proxied.on({"effect": {"slice_bytes": 10, "slice_delay_ms": 30}})
    with proxied.socket() as sock:
        assert asked(sock, b"x" * 100) >= 0.27


def test_a_connection_is_reset_at_once_after_bytes_and_after_a_time(proxied: Proxied) -> None:
    proxied.on({"effect": {"reset": True}})
    with pytest.raises((ConnectionResetError, BrokenPipeError, EOFError)), proxied.socket() as sock:
        asked(sock)
    proxied.on({"effect": {"reset_after_bytes": 70_000}})
    with proxied.socket() as sock:
        sock.sendall(b"x" * 100_000)
        assert received_until_reset(sock) == 70_000
    proxied.on({"effect": {"reset_after_ms": 200}})
    with proxied.socket() as sock:
        asked(sock)
        begin = time.monotonic()
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        assert time.monotonic() - begin < 30


def test_a_connection_is_closed_in_order_after_bytes_and_late(proxied: Proxied) -> None:
    proxied.on({"effect": {"close_after_bytes": 10}})
    with proxied.socket() as sock:
        sock.sendall(b"x" * 20)
        received = b""
        while piece := sock.recv(100):
            received += piece
        assert received == b"x" * 10
    proxied.on({"effect": {"close_delay_ms": 300}})
    with proxied.socket() as sock:
        asked(sock)
        begin = time.monotonic()
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
        assert time.monotonic() - begin >= 0.3


def test_silence_drops_what_is_said_and_ends_by_a_reset_when_the_rule_goes(proxied: Proxied) -> None:
    with proxied.socket() as before:
        asked(before)
        proxied.on({"effect": {"silence": True}})
        with proxied.socket() as sock:
            for one in (before, sock):
                one.sendall(b"hello")
                one.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    one.recv(1)
                one.settimeout(60)
            proxied.admin("DELETE", "/faults")
            for one in (before, sock):
                with pytest.raises(ConnectionResetError):
                    one.recv(1)
    proxied.on({"effect": {"silence": True, "silence_ms": 100}})
    with proxied.socket() as sock:
        assert sock.recv(1) == b""


def test_the_first_connections_of_a_caller_are_meant_and_nobody_elses(proxied: Proxied) -> None:
    proxied.admin("POST", "/callers", {"addresses": [CALLER]})
    proxied.on({"effect": {"reset": True}, "match": {"first": 3}, "of_caller": True})

    def fates(source: str, count: int) -> list[bool]:
        found = []
        for _ in range(count):
            try:
                with proxied.socket(source) as sock:
                    asked(sock)
                found.append(True)
            except (ConnectionError, EOFError):
                found.append(False)
        return found

    assert all(fates(OTHER, 100))
    assert fates(CALLER, 10) == [False] * 3 + [True] * 7
    assert all(fates(OTHER, 100))


def test_another_edge_asks_open_connections_by_its_own_rules_only(proxied: Proxied) -> None:
    proxied.on({"effect": {"delay_ms": 100}, "match": {"first": 2}}, edge="front")
    with proxied.socket() as first, proxied.socket() as second, proxied.socket() as third:
        assert asked(first) >= 0.1
        assert asked(second) >= 0.1
        asked(third)
        proxied.on({"effect": {"delay_ms": 150}}, edge="behind")
        assert asked(first) >= 0.25
        assert asked(third) >= 0.15
        assert [proxied.counts(edge)["units"] for edge in ("front", "behind")] == [3, 3]
        proxied.admin("DELETE", "/faults/front")
        assert asked(first) >= 0.15
        assert proxied.counts("behind")["units"] == 3
        proxied.on({"effect": {"reset": True}}, edge="last")
        for sock in (first, second, third):
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
    assert proxied.counts("front")["affected"] == 2


def test_the_end_of_a_silence_resets_whom_it_has_silenced_and_not_before(proxied: Proxied) -> None:
    proxied.on({"effect": {"silence": True}}, edge="front")
    with proxied.socket() as sock:
        sock.sendall(b"hello")
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        proxied.on({"effect": {"delay_ms": 1}}, edge="behind")
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(60)
        proxied.admin("DELETE", "/faults/front")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert proxied.counts("behind").get("units", 0) == 0


@pytest.mark.parametrize(
    ("effect", "end"), [({"reset": True}, "reset"), ({"silence": True}, "silent"), ({"delay_ms": 1}, "answered")]
)
def test_soundings_tell_ends(proxied: Proxied, effect: dict[str, object], end: str) -> None:
    proxied.on({"effect": effect, "of_caller": True})
    talk = {"name": "echo", "payload": b"hello".hex()}
    assert (
        proxied.sound(requests=3, senders=3, talk=talk, answer_seconds=0.5 if end == "silent" else 60)["ends"]
        == [end] * 3
    )
    assert proxied.sound(requests=3, caller=False, talk=talk, answer_seconds=60)["ends"] == ["answered"] * 3
    assert proxied.sound(requests=3, direct=True, talk=talk, answer_seconds=60)["ends"] == ["answered"] * 3


def test_a_sounding_at_length_shows_bytes_and_bandwidth(proxied: Proxied) -> None:
    proxied.on({"effect": {"reset_after_bytes": 5000}})
    told = proxied.sound(volume_bytes=6000, answer_seconds=60)
    assert (told["received_bytes"], told["end"]) == (5000, "reset")
    proxied.on({"effect": {"reset_after_ms": 300}})
    told = proxied.sound(volume_bytes=1000, answer_seconds=60, hold_seconds=0.5)
    assert (told["received_bytes"], told["end"]) == (1000, "reset")
    assert told["seconds"] >= 0.3
    proxied.on({"effect": {"bytes_per_second": 50_000}})
    told = proxied.sound(volume_bytes=50_000, answer_seconds=60)
    assert told["received_bytes"] / told["seconds"] <= 55_000


def test_content_is_not_read_and_a_rule_that_needs_it_is_refused(proxied: Proxied) -> None:
    for rule in ({"effect": {"status": 503}}, {"effect": {"reset": True}, "match": {"path": "/x"}}):
        refused = proxied.on(rule)
        assert refused["status"] == 422
        assert "the content of a TCP edge is not read (nor can it be with TLS)" in refused["message"]


class TlsEcho(Echo):
    """The same, by TLS."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def _serve(self, connection: socket.socket) -> None:
        try:
            wrapped = self._context.wrap_socket(connection, server_side=True)
        except (OSError, ssl.SSLError):
            connection.close()
            return
        super()._serve(wrapped)


def test_tls_passes_delayed_reset_and_silent_while_its_certificate_is_the_services(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    echo = TlsEcho(authority.pair("localhost").serving())
    context = ssl.create_default_context(cafile=str(authority.file))
    try:
        with proxy(program(tmp_path / "program"), f"127.0.0.1:{echo.port}", "tcp") as proxied:
            assert proxied.admin("POST", "/talk", {})["name"] == "tls"
            with context.wrap_socket(proxied.socket(), server_hostname="localhost") as sock:
                asked(sock)
                proxied.on({"effect": {"delay_ms": 200}})
                assert asked(sock) >= 0.2
                proxied.on({"effect": {"reset": True}})
                with pytest.raises((ConnectionError, EOFError, ssl.SSLError)):
                    asked(sock)
            proxied.on({"effect": {"silence": True}})
            with proxied.socket() as sock:
                sock.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    context.wrap_socket(sock, server_hostname="localhost")
    finally:
        echo.close()
