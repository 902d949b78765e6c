"""Port forwarding as kubectl speaks it: SPDY in a WebSocket; the frames alone, and against a server on loopback."""

import asyncio
import contextlib
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.apiserver import spdy
from flametest.sandbox.apiserver.spdy import Data, Framer, Open, Ping, Reset, SpdyError, pack_headers
from flametest.sandbox.apiserver.spdyforward import TUNNEL_PROTOCOL
from tests.addresses import free_port
from tests.apiserver.objects import pod
from tests.apiserver.serving import TOKEN, Client, ServerThread

PODS = "/api/v1/namespaces/default/pods"
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)


class Peer:
    """The client's side: writes what kubectl writes, and reads what comes back."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=spdy._DICTIONARY)

    def open(self, stream: int, headers: dict[str, str], flags: int = 0) -> bytes:
        packed = self._deflate.compress(pack_headers(headers)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        body = struct.pack(">IIH", stream, 0, 0) + packed
        return struct.pack(">II", 0x8003_0001, flags << 24 | len(body)) + body

    @staticmethod
    def frames(data: bytes) -> Iterator[tuple[str, int, bytes, bool]]:
        """Yield kind, stream, content and whether it is the last of each frame."""
        while data:
            word, rest = struct.unpack_from(">II", data)
            body, data = data[8 : 8 + (rest & 0xFF_FFFF)], data[8 + (rest & 0xFF_FFFF) :]
            if word >> 31:
                kind = {2: "accept", 3: "reset", 6: "pong"}[word & 0xFFFF]
                yield kind, struct.unpack_from(">I", body)[0], b"", False
            else:
                yield "data", word, body, bool(rest >> 24)


def test_the_dictionary_is_that_of_the_specification() -> None:
    assert (len(spdy._DICTIONARY), zlib.adler32(spdy._DICTIONARY)) == (1423, 0xE3C6A7C2)


@given(st.lists(st.dictionaries(WORDS.map(str.lower), WORDS, max_size=4), min_size=1, max_size=4), st.integers(1, 40))
def test_frames_are_read_however_they_are_cut(headers: list[dict[str, str]], size: int) -> None:
    peer, framer = Peer(), Framer()
    sent = b"".join(peer.open(2 * n + 1, each, n % 2) for n, each in enumerate(headers))
    sent += Framer.data(1, b"hello", last=True) + Framer.reset(3, 5) + Framer.pong(7)
    frames = [frame for start in range(0, len(sent), size) for frame in framer.feed(sent[start : start + size])]
    expected = [
        Open(2 * n + 1, {name.lower(): text for name, text in each.items()}, bool(n % 2))
        for n, each in enumerate(headers)
    ]
    assert frames == [*expected, Data(1, b"hello", True), Reset(3), Ping(7)]


@given(st.binary(max_size=60))
def test_bytes_without_sense_are_refused_and_nothing_else(data: bytes) -> None:
    framer = Framer()
    for start in (b"", struct.pack(">IIIIH", 0x8003_0001, 10 + len(data), 1, 0, 0)):
        with contextlib.suppress(SpdyError):
            framer.feed(start + data)


def test_huge_frames_and_huge_headers_are_refused() -> None:
    with pytest.raises(SpdyError, match="expected at most"):
        Framer().feed(struct.pack(">II", 1, 0xFF_FFFF))
    with pytest.raises(SpdyError, match="headers of more than"):
        Framer().feed(Peer().open(1, {"a": "b" * 1_000_000}))


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer all that comes in capitals, once the other side has said everything."""
    writer.write((await reader.read()).upper())
    writer.close()


@pytest.fixture(scope="module")
def web(client: Client) -> str:
    client.post(PODS, pod())
    client.post(f"{PODS}/web/binding", {"target": {"name": "sandbox-1"}})
    client.patch(f"{PODS}/web/status", {"status": {"phase": "Running", "podIP": "127.0.0.1"}}, "merge-patch+json")
    return f"{PODS}/web/portforward"


@contextlib.asynccontextmanager
async def tunnel(server: ServerThread, path: str) -> AsyncIterator[Any]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        asyncio.timeout(10),
        aiohttp.ClientSession(server.url, headers=headers) as session,
        session.ws_connect(path, protocols=[TUNNEL_PROTOCOL]) as socket,
    ):
        assert socket.protocol == TUNNEL_PROTOCOL
        yield socket


async def received(socket: Any, streams: int) -> list[tuple[str, int, bytes, bool]]:
    """Return the frames until so many streams have ended."""
    frames, ended = [], 0
    while ended < streams:
        for frame in Peer.frames(await socket.receive_bytes()):
            frames.append(frame)
            ended += frame[0] == "reset" or frame[3]
    return frames


def content(frames: list[tuple[str, int, bytes, bool]], stream: int) -> bytes:
    return b"".join(data for kind, number, data, _ in frames if (kind, number) == ("data", stream))


async def test_connections_are_served_side_by_side(server: ServerThread, web: str) -> None:
    pod_server = await asyncio.start_server(shout, "127.0.0.1", 0)
    async with pod_server, tunnel(server, web) as socket:
        port, peer = str(pod_server.sockets[0].getsockname()[1]), Peer()
        for request, first in (("0", 1), ("1", 5)):
            headers = {"port": port, "requestid": request}
            await socket.send_bytes(peer.open(first, {"streamtype": "error", **headers}, 1))
            await socket.send_bytes(peer.open(first + 2, {"streamtype": "data", **headers}))
        await socket.send_bytes(Framer.data(3, b"one ") + Framer.data(7, b"other", last=True))
        await socket.send_bytes(Framer.data(3, b"more", last=True))
        frames = await received(socket, 4)
        await socket.send_bytes(Framer.pong(9))
        assert [frame[:2] for frame in Peer.frames(await socket.receive_bytes())] == [("pong", 9)]
    assert [frame[1] for frame in frames if frame[0] == "accept"] == [1, 3, 5, 7]
    assert (content(frames, 3), content(frames, 7)) == (b"ONE MORE", b"OTHER")
    assert content(frames, 1) + content(frames, 5) == b""


async def test_a_refused_connection_is_told_on_the_error_stream(server: ServerThread, web: str) -> None:
    port = str(free_port())
    async with tunnel(server, web) as socket:
        peer, headers = Peer(), {"port": port, "requestid": "0"}
        await socket.send_bytes(peer.open(1, {"streamtype": "error", **headers}, 1))
        await socket.send_bytes(peer.open(3, {"streamtype": "data", **headers}))
        frames = await received(socket, 2)
        await socket.send_bytes(peer.open(5, {"streamtype": "video", **headers}))
        refused = list(Peer.frames(await socket.receive_bytes()))
    assert f"error forwarding port {port}: failed to connect to 127.0.0.1:{port}" in content(frames, 1).decode()
    assert ("reset", 3, b"", False) in frames
    assert refused == [("reset", 5, b"", False)]


async def test_what_is_no_spdy_ends_the_tunnel(server: ServerThread, web: str) -> None:
    async with tunnel(server, web) as socket:
        await socket.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
        message = await socket.receive()
    assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
