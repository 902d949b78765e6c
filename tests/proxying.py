"""Small proxies on loopback: HTTP with CONNECT, and SOCKS5; each notes what it was asked for.

No proxy of the world reaches this machine's loopback. These do, and so stand for one that is asked for another host:
whatever name they are given, they connect to ``leads_to``.
"""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

__all__ = ["HttpProxy", "SocksProxy"]

_SECONDS = 60.0


class _Proxy:
    """Accepts on loopback, and serves each connection in a thread; `asked` lists what it was asked for."""

    scheme = ""

    def __init__(self, leads_to: int) -> None:
        self.asked: list[str] = []
        self._leads_to = leads_to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="proxy")]

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for one in self._sockets:
            _shut(one)
        for thread in self._threads[1:]:
            thread.join()
        for one in self._sockets:
            one.close()

    def serve(self, client: socket.socket) -> None:
        """Serve one connection."""
        raise NotImplementedError

    def lead(self, client: socket.socket, first: bytes = b"") -> None:
        """Carry bytes both ways until either side ends."""
        server = socket.create_connection(("127.0.0.1", self._leads_to), _SECONDS)
        server.settimeout(None)
        self._sockets.append(server)
        if first:
            server.sendall(first)
        back = threading.Thread(target=_carry, args=(server, client), name="proxy-back")
        back.start()
        _carry(client, server)
        back.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            thread = threading.Thread(target=self._serve, args=(client,), name="proxy-connection")
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            self.serve(client)
        except OSError:
            pass  # whoever hangs up is part of these tests
        finally:
            _shut(client)


class HttpProxy(_Proxy):
    """An HTTP proxy; with ``refuses`` it answers everything by itself, with that status."""

    scheme = "http"

    def __init__(self, leads_to: int, refuses: int = 0) -> None:
        super().__init__(leads_to)
        self._refuses = refuses

    def serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            block = client.recv(65536)
            if not block:
                return
            head += block
        line, _, rest = head.partition(b"\r\n")
        method, target, _ = line.decode().split()
        self.asked.append(f"{method} {target}")
        if self._refuses:
            body = b"<html>not through here</html>"
            own = f"HTTP/1.1 {self._refuses} No\r\nProxy-Authenticate: Basic\r\nVia: 1.1 proxy\r\n"
            client.sendall(own.encode() + f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        elif method == "CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.lead(client)
        else:
            path = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
            self.lead(client, f"{method} {path} HTTP/1.1\r\n".encode() + rest)


class SocksProxy(_Proxy):
    """A SOCKS5 proxy that asks for nothing, RFC 1928."""

    scheme = "socks5"

    def serve(self, client: socket.socket) -> None:
        count = _exactly(client, 2)[1]
        _exactly(client, count)
        client.sendall(b"\x05\x00")
        kind = _exactly(client, 4)[3]
        match kind:
            case 1:
                host = socket.inet_ntoa(_exactly(client, 4))
            case 3:
                host = _exactly(client, _exactly(client, 1)[0]).decode()
            case _:
                host = socket.inet_ntop(socket.AF_INET6, _exactly(client, 16))
        port = int.from_bytes(_exactly(client, 2))
        self.asked.append(f"{host}:{port}")
        client.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        self.lead(client)


def _exactly(sock: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        block = sock.recv(count - len(found))
        if not block:
            raise ConnectionError("the client hung up")
        found += block
    return found


def _carry(source: socket.socket, sink: socket.socket) -> None:
    try:
        while block := source.recv(65536):
            sink.sendall(block)
    except OSError:
        pass
    _shut(sink)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
