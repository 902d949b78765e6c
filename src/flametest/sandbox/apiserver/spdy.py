"""The part of SPDY/3.1 that kubectl's port forwarding needs, as the serving side: bytes in, frames out, and back.

Pure but for the state of the two compressions, which run through the whole connection. One `Framer` serves one
connection. Format: https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/ (there is no flow control
among those who use it for Kubernetes).
"""

import struct
import zlib
from dataclasses import dataclass

__all__ = ["CANCELLED", "REFUSED", "Data", "Frame", "Framer", "Open", "Ping", "Reset", "SpdyError", "pack_headers"]

FRAME_BYTES_MAX = 1024 * 1024
HEADERS_BYTES_MAX = 16 * 1024
REFUSED, CANCELLED = 3, 5

_VERSION = 3
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING = 1, 2, 3, 6
_FIN = 1
_CONTROL_BIT = 0x8000_0000
_STREAM_MASK = 0x7FFF_FFFF

# What both sides' compressions begin with (section 2.6.10.1): words with their lengths, then running text.
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _text(value: str) -> bytes:
    content = value.encode()
    return struct.pack(">I", len(content)) + content


_DICTIONARY = b"".join(_text(word.replace("_", " ")) for word in _WORDS.split()) + _TEXT.encode()


class SpdyError(ValueError):
    """What came is no SPDY, or more of it than is read at once."""


@dataclass(frozen=True, slots=True)
class Open:
    """The client opens a stream; names of headers are in lower case. ``last``: it will send nothing on it."""

    stream: int
    headers: dict[str, str]
    last: bool


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes on a stream; ``last``: no more will come from the client."""

    stream: int
    content: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """The client gives a stream up."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ping:
    """The client asks whether anybody is there."""

    number: int


Frame = Open | Data | Reset | Ping


def pack_headers(headers: dict[str, str]) -> bytes:
    """Return headers as they are before their compression."""
    return struct.pack(">I", len(headers)) + b"".join(_text(name) + _text(value) for name, value in headers.items())


class Framer:
    """Reads and writes the frames of one connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=_DICTIONARY)
        self._deflate = zlib.compressobj(zdict=_DICTIONARY)

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete with these bytes; those of no concern are left out.

        Raises:
            SpdyError: the bytes are no SPDY, or a frame is larger than `FRAME_BYTES_MAX`.
        """
        self._buffer += data
        frames = []
        while len(self._buffer) >= 8:
            word, rest = struct.unpack_from(">II", self._buffer)
            flags, length = rest >> 24, rest & 0xFF_FFFF
            if length > FRAME_BYTES_MAX:
                raise SpdyError(f"a frame of {length} bytes: expected at most {FRAME_BYTES_MAX}")
            if len(self._buffer) < 8 + length:
                break
            body = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            if word & _CONTROL_BIT:
                frame = self._control(word, flags, body)
                frames += [] if frame is None else [frame]
            else:
                frames.append(Data(word, body, bool(flags & _FIN)))
        return frames

    def _control(self, word: int, flags: int, body: bytes) -> Frame | None:
        version, kind = word >> 16 & 0x7FFF, word & 0xFFFF
        if version != _VERSION:
            raise SpdyError(f"version {version} of SPDY: expected {_VERSION}")
        if kind in (_SYN_STREAM, _RST_STREAM, _PING) and len(body) < (10 if kind == _SYN_STREAM else 4):
            raise SpdyError(f"a control frame of type {kind} with {len(body)} bytes is too short")
        if kind == _SYN_STREAM:
            return Open(_first(body) & _STREAM_MASK, self._headers(body[10:]), bool(flags & _FIN))
        if kind == _RST_STREAM:
            return Reset(_first(body) & _STREAM_MASK)
        return Ping(_first(body)) if kind == _PING else None

    def _headers(self, packed: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(packed, HEADERS_BYTES_MAX)
            if self._inflate.unconsumed_tail:
                raise SpdyError(f"headers of more than {HEADERS_BYTES_MAX} bytes")
            return _unpack_headers(plain)
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise SpdyError(f"headers cannot be read: {error}") from error

    def accept(self, stream: int) -> bytes:
        """Return the frame that accepts a stream."""
        headers = self._deflate.compress(pack_headers({})) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control_frame(_SYN_REPLY, struct.pack(">I", stream) + headers)

    @staticmethod
    def data(stream: int, content: bytes, *, last: bool = False) -> bytes:
        """Return a frame with bytes on a stream; ``last``: no more will come from here."""
        return struct.pack(">II", stream, (_FIN << 24 if last else 0) | len(content)) + content

    @staticmethod
    def reset(stream: int, reason: int) -> bytes:
        """Return the frame that gives a stream up."""
        return _control_frame(_RST_STREAM, struct.pack(">II", stream, reason))

    @staticmethod
    def pong(number: int) -> bytes:
        """Return the answer to a ping."""
        return _control_frame(_PING, struct.pack(">I", number))


def _first(body: bytes) -> int:
    number: int = struct.unpack_from(">I", body)[0]
    return number


def _control_frame(kind: int, body: bytes) -> bytes:
    return struct.pack(">II", _CONTROL_BIT | _VERSION << 16 | kind, len(body)) + body


def _unpack_headers(plain: bytes) -> dict[str, str]:
    position, texts = 4, []
    for _ in range(2 * min(_first(plain), HEADERS_BYTES_MAX)):
        (length,) = struct.unpack_from(">I", plain, position)
        text = plain[position + 4 : position + 4 + length]
        if len(text) < length:
            raise SpdyError("headers are cut short")
        texts.append(text.decode())
        position += 4 + length
    return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}
