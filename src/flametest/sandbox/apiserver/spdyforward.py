"""Ports of pods forwarded to kubectl: SPDY inside of a WebSocket, the protocol SPDY/3.1+portforward.k8s.io.

For each connection to its local port kubectl opens two streams, first one for an error and then one for data, with the
same request number and the pod's port in their headers. kubectl 1.31 and later speaks this.
"""

import asyncio
import contextlib

from aiohttp import WSMsgType, web

from flametest.sandbox.apiserver.spdy import CANCELLED, REFUSED, Data, Frame, Framer, Open, Ping, Reset, SpdyError

__all__ = ["TUNNEL_PROTOCOL", "forward_streams"]

TUNNEL_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
CONNECTIONS_MAX = 256
CONNECT_SECONDS_MAX = 10.0
PIECE_BYTES = 32 * 1024
# What one connection's pod may be behind before all of the client's connections wait for it.
_PIECES_MAX = 64


async def forward_streams(socket: web.WebSocketResponse, address: str) -> None:
    """Serve a prepared WebSocket until the client goes; connections lead to ports of ``address``."""
    tunnel = _Tunnel(socket, address)
    try:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await tunnel.take(message.data)
    except SpdyError as error:
        await socket.close(code=1002, message=str(error).encode()[:120])
    finally:
        await tunnel.close()


class _Tunnel:
    """The streams of one client."""

    def __init__(self, socket: web.WebSocketResponse, address: str) -> None:
        self._socket = socket
        self._address = address
        self._framer = Framer()
        self._error_streams: dict[str, int] = {}
        self._inputs: dict[int, asyncio.Queue[bytes]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def take(self, data: bytes) -> None:
        """Act on what the client has sent."""
        for frame in self._framer.feed(data):
            await self._act(frame)

    async def close(self) -> None:
        """End all connections."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _act(self, frame: Frame) -> None:
        match frame:
            case Open():
                await self._open(frame)
            case Data() if frame.stream in self._inputs:
                if frame.content:
                    await self._inputs[frame.stream].put(frame.content)
                if frame.last:
                    await self._inputs[frame.stream].put(b"")
            case Reset() if frame.stream in self._tasks:
                self._tasks[frame.stream].cancel()
            case Ping():
                await self._socket.send_bytes(self._framer.pong(frame.number))
            case _:
                pass

    async def _open(self, frame: Open) -> None:
        kind, port = frame.headers.get("streamtype"), frame.headers.get("port", "")
        request = frame.headers.get("requestid", "")
        proper = kind in ("data", "error") and port.isdecimal() and 0 < int(port) < 65_536
        if not proper or len(self._tasks) >= CONNECTIONS_MAX or len(self._error_streams) > CONNECTIONS_MAX:
            await self._socket.send_bytes(self._framer.reset(frame.stream, REFUSED))
            return
        await self._socket.send_bytes(self._framer.accept(frame.stream))
        if kind == "error":
            self._error_streams[request] = frame.stream
            return
        error_stream = self._error_streams.pop(request, 0)
        self._inputs[frame.stream] = asyncio.Queue(_PIECES_MAX)
        task = asyncio.create_task(self._serve(frame.stream, error_stream, int(port)), name=f"forwarded port {port}")
        self._tasks[frame.stream] = task
        task.add_done_callback(lambda _: self._forget(frame.stream))

    def _forget(self, stream: int) -> None:
        self._tasks.pop(stream, None)
        self._inputs.pop(stream, None)

    async def _serve(self, stream: int, error_stream: int, port: int) -> None:
        """Join one stream with one connection to the pod until the pod has no more to send."""
        trouble = ""
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                reader, writer = await asyncio.open_connection(self._address, port)
        except OSError as error:
            trouble = f"error forwarding port {port}: failed to connect to {self._address}:{port}: {error.strerror}"
        else:
            trouble = await self._join(stream, reader, writer)
        if error_stream:
            await self._send(self._framer.data(error_stream, trouble.encode(), last=True))
        last = self._framer.reset(stream, CANCELLED) if trouble else self._framer.data(stream, b"", last=True)
        await self._send(last)

    async def _join(self, stream: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        feeder = asyncio.create_task(self._feed(self._inputs[stream], writer), name=f"forwarded stream {stream}")
        try:
            while data := await reader.read(PIECE_BYTES):
                await self._send(self._framer.data(stream, data))
        except ConnectionError as error:
            return f"error forwarding: {error}"
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)
            writer.close()
        return ""

    @staticmethod
    async def _feed(pieces: "asyncio.Queue[bytes]", writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await pieces.get():
                writer.write(piece)
                await writer.drain()
            writer.write_eof()

    async def _send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            await self._socket.send_bytes(data)
