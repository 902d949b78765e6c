"""One end of a TCP connection, whose bytes go straight to the other end while nothing is done to them.

That takes neither a task nor a buffer of its own for each direction, of which a connection that was just opened feels
each. As soon as an effect comes into force the bytes go by the end's stream instead, as those of HTTP always do.
"""

import asyncio
from collections.abc import Callable
from typing import Any

__all__ = ["PipedEnd", "connect_piped", "pipe"]

HELD_BYTES_MAX = 64 * 1024

Told = Callable[[BaseException | None], None]


class PipedEnd(asyncio.StreamReaderProtocol):
    """An end that holds what it receives until it is told where that goes: by `pipe`, or `stream`."""

    def __init__(
        self, limit: int, begun: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any] | None = None
    ) -> None:
        self.stream_reader = asyncio.StreamReader(limit)
        super().__init__(self.stream_reader, begun)
        self.transport: asyncio.Transport | None = None
        self._other: PipedEnd | None = None
        self._told: Told | None = None
        self._is_streaming = False
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.has_ended = False

    def begin(self, other: "PipedEnd", told: Told) -> None:
        """Pass on to the other end what comes from now on; see `pipe`."""
        self._other, self._told = other, told

    def flush(self) -> None:
        """Pass on what was held, and an end that has come already."""
        held, self._held = self._held, []
        self._resume()
        for data in held:
            self._pass(data)
        if self.has_ended:
            self._end()

    def stream(self) -> None:
        """Give what comes from now on, and what was held, to the stream."""
        if self._is_streaming:
            return
        self._other, self._told, self._is_streaming = None, None, True
        self._resume()
        for data in self._held:
            super().data_received(data)
        self._held = []
        if self.has_ended:
            super().eof_received()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on, hold them, or give them to the stream."""
        if self._other is not None:
            self._pass(data)
        elif self._is_streaming:
            super().data_received(data)
        else:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes > HELD_BYTES_MAX and self.transport is not None:
                self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Pass an end on; the other direction stays open."""
        self.has_ended = True
        if self._other is not None:
            self._end()
        elif self._is_streaming:
            super().eof_received()
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell that it is over: by an error, or since this side has closed it."""
        if self._told is not None:
            self._told(exc)
        super().connection_lost(exc if exc is None or isinstance(exc, Exception) else None)

    def pause_writing(self) -> None:
        """Take no more from the other end while this one does not get rid of its bytes."""
        super().pause_writing()
        if self._other is not None and self._other.transport is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Take bytes from the other end again."""
        super().resume_writing()
        if self._other is not None:
            self._other._resume()

    def _resume(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def _pass(self, data: bytes) -> None:
        to = self._other.transport if self._other is not None else None
        if to is not None and not to.is_closing():
            to.write(data)

    def _end(self) -> None:
        other, told = self._other, self._told
        if other is None or told is None or other.transport is None:
            return
        if not other.transport.is_closing():
            other.transport.write_eof()
        if other.has_ended:
            told(None)


def pipe(ends: tuple[PipedEnd, PipedEnd], told: Told) -> None:
    """Pass everything on between two ends; ``told`` is called when both have ended, or one broke, with the error."""
    for one, other in (ends, ends[::-1]):
        one.begin(other, told)
    for one in ends:
        one.flush()


async def connect_piped(host: str, port: int, limit: int) -> tuple[PipedEnd, asyncio.StreamWriter]:
    """Return a new connection as an end, with its writer.

    Raises:
        OSError: it cannot be made.
    """
    loop = asyncio.get_running_loop()
    end = PipedEnd(limit)
    transport, _ = await loop.create_connection(lambda: end, host, port)
    return end, asyncio.StreamWriter(transport, end, end.stream_reader, loop)
