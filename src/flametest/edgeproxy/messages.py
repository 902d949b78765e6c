"""HTTP/1.1 as far as the proxy has to know it: heads, and how long what follows them is. Pure.

Source: RFC 9112, sections 2, 3, 4 and 6.
"""

import json
from dataclasses import dataclass, replace
from http import HTTPStatus

from .rules import Unit

__all__ = [
    "CHUNKED",
    "SOUNDING_PATH",
    "UNTIL_CLOSED",
    "Head",
    "NotHttpError",
    "answer",
    "answer_of",
    "harmless",
    "request_of",
]

UNTIL_CLOSED = -1
CHUNKED = -2
FAULT_HEADER = "X-Flametest-Fault"
SOUNDING_PATH = "/flametest-sounding"


class NotHttpError(ValueError):
    """What was read is no head of HTTP/1.x."""


@dataclass(frozen=True, slots=True)
class Head:
    """A head, and what follows it.

    Attributes:
        raw: as it was read, with the empty line at its end.
        first: the words of its first line.
        headers: the values by names in lower case; of several the last.
        body_bytes: how many follow; or `UNTIL_CLOSED`, or `CHUNKED`.
        closes: whether the connection ends after it.
    """

    raw: bytes
    first: tuple[str, str, str]
    headers: dict[str, str]
    body_bytes: int
    closes: bool

    @property
    def status(self) -> int:
        """Return the status of an answer."""
        return int(self.first[1])

    def unit(self, address: str) -> Unit:
        """Return what a request is to rules."""
        path = self.first[1].partition("?")[0]
        if "://" in path:
            path = "/" + path.partition("://")[2].partition("/")[2]
        return Unit(address, self.first[0], path, self.headers)


def request_of(raw: bytes) -> Head:
    """Return the head of a request.

    Raises:
        NotHttpError: it is none, or one of HTTP/2.
    """
    first, headers = _parse(raw)
    if not first[2].startswith("HTTP/1."):
        raise NotHttpError(f"expected a request of HTTP/1.x, found {raw[:40]!r}")
    return Head(raw, first, headers, _framed(headers, 0), _closes(first[2], headers))


def answer_of(raw: bytes, method: str) -> Head:
    """Return the head of the answer to a request of ``method``.

    Raises:
        NotHttpError: it is none.
    """
    first, headers = _parse(raw)
    if not first[0].startswith("HTTP/1.") or not first[1].isdigit():
        raise NotHttpError(f"expected an answer of HTTP/1.x, found {raw[:40]!r}")
    status = int(first[1])
    bodiless = method == "HEAD" or status < 200 or status in (204, 304)
    body_bytes = 0 if bodiless else _framed(headers, UNTIL_CLOSED)
    return Head(raw, first, headers, body_bytes, _closes(first[0], headers) or body_bytes == UNTIL_CLOSED)


def harmless(head: Head) -> Head:
    """Return a request for what no service has, in place of one that was only sent to see what a rule does."""
    host = head.headers.get("host", "localhost")
    raw = f"GET {SOUNDING_PATH} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n".encode("latin-1")
    return replace(head, raw=raw, first=("GET", SOUNDING_PATH, "HTTP/1.1"), headers={"host": host}, body_bytes=0)


def answer(status: int) -> bytes:
    """Return an answer of the proxy's own."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Injected"
    body = json.dumps({"error": "injected", "message": "The fault proxy was told to give this answer."}).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"{FAULT_HEADER}: status\r\n\r\n"
    )
    return head.encode("latin-1") + body


def _parse(raw: bytes) -> tuple[tuple[str, str, str], dict[str, str]]:
    lines = raw.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 2:
        raise NotHttpError(f"expected a first line of HTTP, found {raw[:40]!r}")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return (words[0], words[1], words[2] if len(words) > 2 else ""), headers


def _framed(headers: dict[str, str], without: int) -> int:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return CHUNKED
    length = headers.get("content-length")
    if length is None:
        return without
    if not (length.isascii() and length.isdigit()):
        raise NotHttpError(f"Content-Length: expected a count, found {length!r}")
    return int(length)


def _closes(version: str, headers: dict[str, str]) -> bool:
    connection = headers.get("connection", "").lower()
    return "close" in connection or (version == "HTTP/1.0" and "keep-alive" not in connection)
