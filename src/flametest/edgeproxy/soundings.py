"""Connections of the proxy to itself, sent to see what a rule does: which end they found, and how long it took.

They come from a loopback address, one for a caller whom a rule means and one for anybody else, so that they are told
apart from what is real; those of each edge are judged by its own rules alone. An HTTP request among them reaches the
service as one for a path that no service has.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .bodies import body_of, read_head
from .edge import Sounding
from .messages import SOUNDING_PATH, NotHttpError, answer_of
from .passing import HEAD_BYTES_MAX, Route

__all__ = ["Order", "Talk", "find_talk", "send"]

ANSWER_SECONDS_MAX = 2.0
TALK_SECONDS_MAX = 1.0
GREETING_SECONDS_MAX = 0.3
REQUESTS_MAX = 5000
SENDERS_MAX = 64
VOLUME_BYTES_MAX = 2_000_000


@dataclass(frozen=True, slots=True)
class Talk:
    """What a service is told to make it answer: its name, and the bytes."""

    name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Order:
    """How many soundings are sent, and how.

    Attributes:
        edge: number of the edge that judges them.
        requests: how many.
        senders: how many at once.
        caller: whether they stand for a caller that rules mean.
        direct: whether they go to the service without the proxy: what the others are compared with.
        method, path, header: of HTTP requests.
        talk: what a TCP service is told.
        answer_seconds: how long an answer is waited for.
        volume_bytes: when given, one connection asks the proxy itself for so many bytes.
        hold_seconds: when given, that connection then waits for its end, for so long at least.
    """

    edge: int = 1
    requests: int = 20
    senders: int = 4
    caller: bool = True
    direct: bool = False
    method: str = "GET"
    path: str = SOUNDING_PATH
    header: Mapping[str, str] = field(default_factory=dict)
    talk: Talk = Talk("greeting", b"")
    answer_seconds: float = ANSWER_SECONDS_MAX
    volume_bytes: int = 0
    hold_seconds: float = 0.0


def _talks() -> tuple[Talk, ...]:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return (
        Talk("greeting", b""),
        Talk("redis", b"PING\r\n"),
        Talk("http", f"GET {SOUNDING_PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()),
        # SSLRequest, which a server answers by one letter; PostgreSQL's documentation, "Message Formats".
        Talk("postgres", b"\x00\x00\x00\x08\x04\xd2\x16\x2f"),
        Talk("tls", outgoing.read()),
    )


async def find_talk(route: Route) -> Talk | None:
    """Return what the service behind a route answers to, asked directly; None when it never says anything."""
    for talk in _talks():
        wait = TALK_SECONDS_MAX if talk.payload else GREETING_SECONDS_MAX
        try:
            async with asyncio.timeout(wait):
                reader, writer = await asyncio.open_connection(route.host, route.upstream_port)
                try:
                    writer.write(talk.payload)
                    answered = await reader.read(64)
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            continue
        if answered and _is_its_own(talk, answered):
            return talk
    return None


def _is_its_own(talk: Talk, answered: bytes) -> bool:
    """Return whether an answer shows the protocol that was tried; an error in another one does not."""
    starts = {"redis": (b"+PONG", b"-"), "http": (b"HTTP/1.",), "postgres": (b"S", b"N"), "tls": (b"\x16",)}
    return answered.startswith(starts.get(talk.name, (b"",)))


async def send(route: Route, order: Order) -> dict[str, Any]:
    """Send soundings to a route's own port, and return their ends, in order, and how long each took."""
    if order.volume_bytes:
        return await _volume(route, order)
    turns = iter(range(min(order.requests, REQUESTS_MAX)))
    ends: list[str] = []
    latencies_ms: list[float] = []

    async def sender() -> None:
        for _ in turns:
            begin = time.monotonic()
            ends.append(await _one(route, order))
            latencies_ms.append(round((time.monotonic() - begin) * 1000, 3))

    async with asyncio.TaskGroup() as group:
        for number in range(max(1, min(order.senders, SENDERS_MAX))):
            group.create_task(sender(), name=f"sounding {number}")
    return {"ends": ends, "latencies_ms": latencies_ms}


async def _one(route: Route, order: Order) -> str:
    try:
        async with asyncio.timeout(order.answer_seconds):
            reader, writer = await _connect(route, order)
            try:
                writer.write(_payload(route, order))
                return await _end(route, order, reader)
            finally:
                writer.close()
    except TimeoutError:
        return "silent"
    except ConnectionRefusedError:
        return "refused"
    except (asyncio.IncompleteReadError, NotHttpError):
        return "closed"
    except OSError:
        return "reset"


async def _end(route: Route, order: Order, reader: asyncio.StreamReader) -> str:
    if route.protocol != "http":
        return "answered" if await reader.read(64) else "closed"
    head = answer_of(await read_head(reader), order.method)
    async for _ in body_of(reader, head.body_bytes):
        pass
    return str(head.status)


async def _volume(route: Route, order: Order) -> dict[str, Any]:
    """Have the proxy itself answer at length, and return how many bytes came, in which time, and how it ended."""
    wanted, received, begin, end = min(order.volume_bytes, VOLUME_BYTES_MAX), 0, time.monotonic(), "open"
    try:
        async with asyncio.timeout(order.answer_seconds):
            reader, writer = await _connect(route, order)
            writer.write(_payload(route, order) if route.protocol == "http" else bytes(wanted))
            try:
                while received < wanted or order.hold_seconds:
                    if received >= wanted and route.protocol == "http":
                        # What is not read holds the answer up, which would be whole before.
                        await asyncio.sleep(order.hold_seconds)
                    piece = await reader.read(HEAD_BYTES_MAX)
                    if not piece:
                        end = "closed"
                        break
                    received += len(piece)
            finally:
                writer.transport.abort()
    except TimeoutError:
        end = "silent" if not received else "open"
    except OSError:
        end = "reset"
    return {"received_bytes": received, "seconds": round(time.monotonic() - begin, 4), "end": end}


async def _connect(route: Route, order: Order) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if order.direct:
        return await asyncio.open_connection(route.host, route.upstream_port, limit=HEAD_BYTES_MAX)
    source = Sounding.of(order.edge, caller=order.caller, volume=bool(order.volume_bytes)).address
    return await asyncio.open_connection("127.0.0.1", route.port, local_addr=(source, 0), limit=HEAD_BYTES_MAX)


def _payload(route: Route, order: Order) -> bytes:
    if route.protocol != "http":
        return order.talk.payload
    # What goes to the service must have no effect there.
    method, path = ("GET", SOUNDING_PATH) if order.direct else (order.method, order.path)
    headers = {"Host": "localhost", **order.header}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")
