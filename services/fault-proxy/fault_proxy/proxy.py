"""Passes HTTP/1.1 requests on, bodies as streams both ways, and injects what the switch decides.

Headers go through as they are, but for those that are about one connection only (RFC 9110, section 7.6.1); Host is the
client's. Clients' connections are kept open as they ask; each request has a connection of its own to the service, since
Services balance connections, and kept ones would favour some pods. Differences to no proxy at all: connections are not
upgraded, a service that cannot be reached is a 502, and an answer without a date, server or content type gets one.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Iterable

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from .faults import Fate, FaultSwitch
from .settings import Route

__all__ = ["FAULT_HEADER", "Proxy"]

FAULT_HEADER = "X-Flametest-Fault"
"""On what the proxy itself answers: ``error`` when it was told to, ``unreachable`` when the service is."""

CONNECT_SECONDS_MAX = 5.0
PIECE_BYTES = 64 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: the kernel sends a RST
# The connection's own, and what aiohttp sets from the body that it is given.
_OWN_HEADERS = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_ADDED_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Proxy:
    """Passes on what comes in; `close` ends its connections to the service."""

    def __init__(self, switch: FaultSwitch) -> None:
        self._switch = switch
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End the connections to the service."""
        if self._session is not None:
            await self._session.close()

    async def serve(self, request: web.BaseRequest, route: Route) -> web.StreamResponse:
        """Answer one request."""
        decision = self._switch.decide()
        if decision.delay_seconds:
            await asyncio.sleep(decision.delay_seconds)
        if decision.fate is Fate.ABORTED:
            return _abort(request)
        if decision.fate is Fate.FAILED:
            return _answer(decision.status, "error", "The fault proxy was told to fail.")
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            answer = await self._ask(request, route)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._switch.counts.unreachable += 1
            return _answer(502, "unreachable", f"The service gave no answer: {error}")
        async with answer:
            return await _pass_on(request, answer)

    async def _ask(self, request: web.BaseRequest, route: Route) -> aiohttp.ClientResponse:
        target = request.raw_path if request.raw_path.startswith("/") else request.rel_url.raw_path_qs
        return await self._opened().request(
            request.method,
            URL(f"http://{route.host}:{route.upstream_port}{target}", encoded=True),
            headers=_passed(request.headers.items()),
            data=request.content.iter_chunked(PIECE_BYTES) if request.body_exists else None,
            allow_redirects=False,
        )

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                # How long an answer may take is the client's to say: when it goes, so does the request.
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS_MAX),
                skip_auto_headers=_ADDED_HEADERS,
                middlewares=(_only_once,),
            )
        return self._session


async def _only_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request and take a broken connection for an answer; aiohttp would ask again, and so hide it."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error)) from error


def _passed(headers: Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    found = CIMultiDict(headers)
    named = {name.strip().lower() for value in found.getall("Connection", ()) for name in value.split(",")}
    return CIMultiDict(
        (name, value) for name, value in found.items() if name.lower() not in _OWN_HEADERS | (named - {"close"})
    )


async def _pass_on(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_passed(answer.headers.items()))
    await response.prepare(request)
    try:
        if request.method != "HEAD":
            async for piece in answer.content.iter_chunked(PIECE_BYTES):
                await response.write(piece)
        await response.write_eof()
    except aiohttp.ClientPayloadError:
        # The answer has begun: only breaking the connection tells the client that it is not whole.
        _abort(request)
    return response


def _answer(status: int, fault: str, message: str) -> web.Response:
    body = json.dumps({"error": "injected" if fault == "error" else fault, "message": message})
    return web.Response(status=status, text=body, content_type="application/json", headers={FAULT_HEADER: fault})


def _abort(request: web.BaseRequest) -> web.StreamResponse:
    """Reset the connection, and return an answer that nobody gets."""
    if request.transport is not None:
        sock = request.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        request.transport.abort()
    return web.Response(status=500)
