"""One HTTP/1.1 request on a connection, and the answer to it; no more of HTTP than a probe needs (RFC 9112).

An answer counts when it is whole: one that breaks off in the middle is as useless to a user as none.
"""

import asyncio
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

from flametest.load.errors import LoadError
from flametest.model.routes import Route, RouteError

__all__ = ["DIRECT", "Answer", "Entry", "MalformedAnswerError", "read_answer", "read_head", "route_of"]

DIRECT = Route()
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_PORTS = {"http": 80, "https": 443}
_HEADERS_MAX = 100
_BODY_BYTES_MAX = 4 * 1024 * 1024


class MalformedAnswerError(Exception):
    """What came back is not HTTP, or more of it than a probe takes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Attributes:
        status: the HTTP status.
        served_by: X-Served-By; empty without it.
        keeps: whether the connection may serve another request.
        body: what it holds.
        location: where a redirect leads to; empty for none.
    """

    status: int
    served_by: str
    keeps: bool
    body: bytes = b""
    location: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where requests go.

    Attributes:
        host: the entry's host, as its certificate and the header Host name it.
        port: its port.
        target: what requests ask for.
        tls: TLS settings; None for an entry that is spoken to in the clear.
        proxy: host and port of the proxy through which it is reached; None for none.
    """

    host: str
    port: int
    target: str
    tls: ssl.SSLContext | None = field(default=None, compare=False)
    proxy: tuple[str, int] | None = None

    @classmethod
    def from_url(cls, url: str, route: Route = DIRECT) -> "Entry":
        """Return the entry of an ``http`` or ``https`` URL that is reached by ``route``.

        Raises:
            LoadError: it is none, or the route cannot be used.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise LoadError(f"entry {url!r} is no URL: {error}", "name one such as http://127.0.0.1:30080") from error
        if not port or not host or not url.isascii() or any(character <= " " for character in url):
            raise LoadError(f"entry {url!r}: expected an http or https URL", "name one such as http://127.0.0.1:30080")
        try:
            tls = route.trust.tls_context() if parts.scheme == "https" else None
            proxy = route.proxy_address
        except RouteError as error:
            raise LoadError(error.message, error.remedy) from error
        return cls(host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), tls, proxy)

    def request(self, connection: str, headers: Mapping[str, str] = NO_HEADERS) -> bytes:
        """Return a GET request; ``connection`` is ``close`` or ``keep-alive``, ``headers`` are added to its own."""
        added = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return (
            f"GET {self._asked} HTTP/1.1\r\nHost: {self._authority}\r\nUser-Agent: flametest-prober\r\n"
            f"Accept: */*\r\n{added}Connection: {connection}\r\n\r\n"
        ).encode("ascii")

    def write(self, method: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """Return a request that writes, on a connection that is closed afterwards.

        Raises:
            LoadError: a header cannot be sent, such as one with a line break.
        """
        given = {"User-Agent": "flametest-ledger", "Accept": "application/json", **headers}
        lines = [f"{name}: {value}" for name, value in given.items()]
        if any(not line.isascii() or not line.isprintable() for line in lines):
            raise LoadError("a header of the ledger has characters that no header may have", "correct write.headers")
        head = [f"{method} {self._asked} HTTP/1.1", f"Host: {self._authority}", *lines, f"Content-Length: {len(body)}"]
        return "\r\n".join([*head, "Connection: close", "", ""]).encode("ascii") + body

    def tunnel(self) -> bytes:
        """Return what a proxy is asked to connect this side with the entry by, RFC 9110 9.3.6."""
        host = f"{self._name}:{self.port}"
        return f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: flametest-prober\r\n\r\n".encode("ascii")

    @property
    def _asked(self) -> str:
        """The target as a request names it: to a proxy that passes it on itself, with the entry's address."""
        return f"http://{self._name}:{self.port}{self.target}" if self.proxy and self.tls is None else self.target

    @property
    def _authority(self) -> str:
        # As browsers do, an https entry is named without the port that it has anyway; some tell their sites by this.
        return self._name if self.tls is not None and self.port == _PORTS["https"] else f"{self._name}:{self.port}"

    @property
    def _name(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def route_of(url: str, added: Mapping[str, str] = MappingProxyType({})) -> Route:
    """Return how the environment, with what is ``added`` to it, says that ``url`` is reached.

    Raises:
        LoadError: it cannot be understood.
    """
    try:
        return Route.of({**os.environ, **added}, url)
    except RouteError as error:
        raise LoadError(error.message, error.remedy) from error


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Return the answer to a GET or POST request once it is whole.

    Raises:
        asyncio.IncompleteReadError: the connection ended before.
        OSError: the connection broke.
        MalformedAnswerError: it is not HTTP, or too long.
    """
    status, version, headers = await read_head(reader)
    while 100 <= status < 200:
        status, version, headers = await read_head(reader)
    connection = headers.get("connection", "").lower()
    keeps = "close" not in connection and (version == "HTTP/1.1" or "keep-alive" in connection)
    body, delimited = await _body(reader, status, headers)
    return Answer(status, headers.get("x-served-by", ""), keeps and delimited, body, headers.get("location", ""))


async def read_head(reader: asyncio.StreamReader) -> tuple[int, str, dict[str, str]]:
    """Return status, version and headers (names in small letters) of an answer; raises as `read_answer` does."""
    line = await _line(reader)
    version, _, rest = line.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit() and len(code) == 3):
        raise MalformedAnswerError(f"expected a status line, found {line[:80]!r}")
    headers: dict[str, str] = {}
    for _ in range(_HEADERS_MAX):
        line = await _line(reader)
        if not line:
            return int(code), version, headers
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    raise MalformedAnswerError(f"more than {_HEADERS_MAX} header lines")


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\n")).decode("latin-1").rstrip("\r\n")
    except asyncio.LimitOverrunError as error:
        raise MalformedAnswerError("a line is too long") from error


async def _body(reader: asyncio.StreamReader, status: int, headers: dict[str, str]) -> tuple[bytes, bool]:
    """Return the body, and whether something other than the connection's end told where it ends."""
    if status in (204, 304):
        return b"", True
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _chunks(reader), True
    if (length := headers.get("content-length")) is not None:
        return await reader.readexactly(_size(length, 10)), True
    body = bytearray()
    while block := await reader.read(65536):
        body += block
        if len(body) > _BODY_BYTES_MAX:
            raise MalformedAnswerError(f"a body of more than {_BODY_BYTES_MAX} bytes")
    return bytes(body), False


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := _size((await _line(reader)).partition(";")[0].strip(), 16):
        if len(body) + size > _BODY_BYTES_MAX:
            raise MalformedAnswerError(f"a body of more than {_BODY_BYTES_MAX} bytes")
        body += await reader.readexactly(size)
        await _line(reader)
    for _ in range(_HEADERS_MAX):
        if not await _line(reader):
            return bytes(body)
    raise MalformedAnswerError(f"more than {_HEADERS_MAX} trailer lines")


def _size(text: str, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError:
        size = -1
    if not 0 <= size <= _BODY_BYTES_MAX:
        raise MalformedAnswerError(f"expected a size of at most {_BODY_BYTES_MAX} bytes, found {text[:40]!r}")
    return size
