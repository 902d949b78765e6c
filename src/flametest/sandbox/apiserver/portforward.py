"""Ports of pods forwarded over a WebSocket: the subresource ``portforward``.

Of two protocols this is the older one, v4.channel.k8s.io, which the official Python client speaks; kubectl's is in
`flametest.sandbox.apiserver.spdyforward`. Each port has two channels: data, and one for an error. Both begin with the
port's number, two bytes, low one first. The pod is reached by its address, so what listens on the pod's own loopback
alone is not found; a real node does find it.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from aiohttp import WSMsgType, web

from flametest.sandbox.apiserver.failures import bad_request
from flametest.sandbox.apiserver.registry import Registry
from flametest.sandbox.apiserver.resources import BY_NAME
from flametest.sandbox.apiserver.spdyforward import TUNNEL_PROTOCOL, forward_streams

__all__ = ["PORTS_MAX", "forwarded_ports", "stream_ports"]

PORTS_MAX = 32
PIECE_BYTES = 32 * 1024
CONNECT_SECONDS_MAX = 10.0
_PROTOCOL = "v4.channel.k8s.io"
_MESSAGE_BYTES_MAX = 4 * 1024 * 1024


def forwarded_ports(texts: Sequence[str]) -> list[int]:
    """Return the ports that the query's ``ports`` name.

    Raises:
        StatusError: 400, there is none, too many, or one is none.
    """
    names = [name for text in texts for name in text.split(",")]
    if not names:
        raise bad_request('query parameter "ports" is required')
    if len(names) > PORTS_MAX:
        raise bad_request(f"at most {PORTS_MAX} ports can be forwarded at once, {len(names)} were asked for")
    for name in names:
        if not (name.isascii() and name.isdecimal() and 0 < int(name) < 65_536):
            raise bad_request(f'unable to parse "{name}" as a port: expected a number from 1 to 65535')
    return [int(name) for name in names]


async def stream_ports(registry: Registry, request: web.BaseRequest, namespace: str, name: str) -> web.StreamResponse:
    """Forward ports of a pod until the client or all of the pod's connections end.

    Raises:
        StatusError: 400 for a client that speaks SPDY only or a pod that does not run; 404.
    """
    pod = registry.record(BY_NAME["pods"], namespace, name).load()
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise bad_request("port forwarding needs a WebSocket: use kubectl 1.31 or later")
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    tunnelled = TUNNEL_PROTOCOL in (protocol.strip() for protocol in offered.split(","))
    ports = [] if tunnelled else forwarded_ports(request.query.getall("ports", []))
    status = pod.get("status", {})
    if status.get("phase") != "Running" or not status.get("podIP"):
        raise bad_request(f"unable to forward port because pod is not running. Current status={status.get('phase')}")
    socket = web.WebSocketResponse(protocols=(TUNNEL_PROTOCOL, _PROTOCOL), max_msg_size=_MESSAGE_BYTES_MAX)
    await socket.prepare(request)
    if tunnelled:
        await forward_streams(socket, status["podIP"])
        return socket
    forwards = [_Forward(socket, index, port) for index, port in enumerate(ports)]
    feeder = asyncio.create_task(_feed(socket, forwards), name=f"port-forward input {namespace}/{name}")
    try:
        await asyncio.gather(*(forward.run(status["podIP"]) for forward in forwards))
        await socket.close()
    finally:
        feeder.cancel()
        await asyncio.gather(feeder, return_exceptions=True)
    return socket


class _Forward:
    """One port: its channels and its connection to the pod."""

    def __init__(self, socket: web.WebSocketResponse, index: int, port: int) -> None:
        self._socket = socket
        self._data, self._error = bytes((2 * index,)), bytes((2 * index + 1,))
        self._port = port
        self._connected: asyncio.Future[asyncio.StreamWriter | None] = asyncio.get_running_loop().create_future()

    async def run(self, address: str) -> None:
        """Pass on what the pod sends until it ends the connection."""
        number = self._port.to_bytes(2, "little")
        for channel in (self._data, self._error):
            await self._socket.send_bytes(channel + number)
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                reader, writer = await asyncio.open_connection(address, self._port)
        except OSError as error:
            self._connected.set_result(None)
            text = f"error forwarding port {self._port}: failed to connect to {address}:{self._port}: {error.strerror}"
            await self._socket.send_bytes(self._error + text.encode())
            return
        self._connected.set_result(writer)
        try:
            while data := await reader.read(PIECE_BYTES):
                await self._socket.send_bytes(self._data + data)
        except ConnectionError as error:
            await self._socket.send_bytes(self._error + str(error).encode())
        finally:
            writer.close()

    async def write(self, data: bytes) -> None:
        """Pass on what the client sends; lost when there is no connection."""
        writer = await self._connected
        if writer is not None:
            with contextlib.suppress(ConnectionError):
                writer.write(data)
                await writer.drain()

    def end(self) -> None:
        """End the connection to the pod."""
        if self._connected.done() and (writer := self._connected.result()) is not None:
            writer.close()


async def _feed(socket: web.WebSocketResponse, forwards: Sequence[_Forward]) -> None:
    """Pass on what the client sends, and end all connections when it goes."""
    async for message in socket:
        if message.type is WSMsgType.BINARY and message.data and message.data[0] < 2 * len(forwards):
            await forwards[message.data[0] // 2].write(message.data[1:])
    for forward in forwards:
        forward.end()
