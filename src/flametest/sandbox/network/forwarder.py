"""The NodePort forwarder: a process of its own that joins the host's clients to Services inside the cluster.

Run as ``python -P -m flametest.sandbox.network.forwarder CONTROL_DESCRIPTOR`` by `flametest.sandbox.network.nodeports`
inside the cluster's namespaces, so that work of the API does not disturb the traffic that is measured. It is handed
sockets that were bound in the host's network; what it accepts there it connects to an address of the cluster. Bytes,
half-closes and resets go through as they come. It ends when the other end of its control socket does.

Messages that it takes: ``open`` (port, target, with a descriptor), ``serve``, ``refuse`` and ``close`` (port). A port
that is not served refuses connections but stays reserved. It sends ``taken`` (port) when a port cannot be listened on.
"""

import asyncio
import contextlib
import gc
import resource
import socket
import struct
import sys
from collections.abc import Callable
from typing import cast

import uvloop

from flametest.sandbox import control

__all__ = ["main"]

_BACKLOG = 1024
_ACCEPTS_AT_ONCE = 64
_CONNECTIONS_MAX = 8192
_CONNECT_SECONDS_MAX = 30.0
_BUFFER_BYTES_MAX = 256 * 1024
# To close a socket that lingers for 0 s sends a reset instead of the orderly end.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Address = tuple[str, int]


def main(arguments: list[str]) -> int:
    """Forward until the control socket ends; returns the exit code."""
    end = socket.socket(fileno=int(arguments[0]))
    end.setblocking(False)
    files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.freeze()
    # A connection takes two descriptors; the rest are for listeners and the loop.
    return uvloop.run(_Forwarder(end, min(_CONNECTIONS_MAX, (files_max - 64) // 2)).run())


class _Port:
    """One NodePort: its socket in the host's network and the address in the cluster that it leads to."""

    def __init__(self, descriptor: int, target: Address) -> None:
        self.listener = socket.socket(fileno=descriptor)
        self.listener.setblocking(False)
        self.target = target
        self.served = False


class _Forwarder:
    def __init__(self, end: socket.socket, connections_max: int) -> None:
        self._end = end
        self._connections_max = connections_max
        self._connections = 0
        self._ports: dict[int, _Port] = {}
        self._accepting = True
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        loop = self._loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        loop.add_reader(self._end, self._read_control)
        await self._ended
        return 0

    def _read_control(self) -> None:
        try:
            message = control.receive(self._end)
        except BlockingIOError:
            return
        if message is None:
            self._loop.remove_reader(self._end)
            self._ended.set_result(None)
            return
        number = message.content["port"]
        match message.content["type"]:
            case "open":
                address, port = message.content["target"]
                self._ports[number] = _Port(cast(int, message.descriptor), (address, port))
            case "serve":
                self._serve(number)
            case "refuse":
                self._refuse(self._ports[number])
            case "close":
                port_closed = self._ports.pop(number)
                self._refuse(port_closed)
                port_closed.listener.close()

    def _serve(self, number: int) -> None:
        port = self._ports[number]
        try:
            port.listener.listen(_BACKLOG)
        except OSError:
            control.send(self._end, {"type": "taken", "port": number})
            return
        port.served = True
        if self._accepting:
            self._loop.add_reader(port.listener, self._accept, port)

    def _refuse(self, port: _Port) -> None:
        if port.served:
            port.served = False
            self._loop.remove_reader(port.listener)
            port.listener.shutdown(socket.SHUT_RD)

    def _accept(self, port: _Port) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            if self._connections >= self._connections_max:
                self._pause_accepting()
                return
            try:
                client, _ = port.listener.accept()
            except OSError:
                # Nobody is left to accept, or a client went away first.
                return
            self._connections += 1
            task = self._loop.create_task(self._open(client, port.target), name="open connection")
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _pause_accepting(self) -> None:
        """Let further clients wait in the kernel's backlog."""
        self._accepting = False
        for port in self._ports.values():
            self._loop.remove_reader(port.listener)

    def _connection_ended(self) -> None:
        self._connections -= 1
        if not self._accepting:
            self._accepting = True
            for port in self._ports.values():
                if port.served:
                    self._loop.add_reader(port.listener, self._accept, port)

    async def _open(self, client: socket.socket, target: Address) -> None:
        client.setblocking(False)
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            await asyncio.wait_for(self._loop.sock_connect(server, target), _CONNECT_SECONDS_MAX)
        except (OSError, TimeoutError):
            for one in (client, server):
                _reset_on_close(one)
                one.close()
            self._connection_ended()
            return
        pair = _Pair(self._connection_ended)
        to_server, to_client = _Side(pair, server), _Side(pair, client)
        to_server.peer, to_client.peer = to_client, to_server
        await self._loop.create_connection(lambda: to_server, sock=server)
        await self._loop.connect_accepted_socket(lambda: to_client, client)


class _Pair:
    """Counts the ends of one forwarded connection, so that the last one reports it."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._open_sides = 2

    def side_ended(self) -> None:
        self._open_sides -= 1
        if self._open_sides == 0:
            self._on_end()


class _Side(asyncio.Protocol):
    """One end of a forwarded connection; what it reads goes to its peer."""

    peer: "_Side"

    def __init__(self, pair: _Pair, own_socket: socket.socket) -> None:
        self._pair = pair
        self._socket = own_socket
        self._transport: asyncio.Transport | None = None
        self._early = bytearray()
        self._read_all = False
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_BUFFER_BYTES_MAX)
        peer = self.peer
        if peer._early:
            self._transport.write(peer._early)
            peer._early = bytearray()
        if peer._lost:
            self._abort()
        elif peer._read_all:
            self._transport.write_eof()

    def data_received(self, data: bytes) -> None:
        transport = self.peer._transport
        if transport is not None:
            transport.write(data)
        else:
            # The server may speak before the client's side is set up; that takes one turn of the loop.
            self._early += data

    def eof_received(self) -> bool:
        self._read_all = True
        peer = self.peer
        if peer._transport is not None:
            if peer._read_all:
                # Both have said all they had to; what is still buffered is sent before the sockets close.
                peer._transport.close()
                cast(asyncio.Transport, self._transport).close()
            elif not peer._lost:
                peer._transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if exc is not None and not self.peer._lost:
            self.peer._abort()
        self._pair.side_ended()

    def pause_writing(self) -> None:
        if self.peer._transport is not None and not self.peer._lost:
            self.peer._transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer._transport is not None and not self.peer._lost:
            self.peer._transport.resume_reading()

    def _abort(self) -> None:
        """Pass a reset on: end this side at once, with a reset."""
        if self._transport is not None:
            with contextlib.suppress(OSError):
                _reset_on_close(self._socket)
            self._transport.abort()


def _reset_on_close(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
