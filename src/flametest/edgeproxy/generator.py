"""Answers soundings with as many bytes as are asked for: an echo on TCP, one long answer on HTTP.

No service says as much as a limit of bandwidth, or of bytes, needs to be seen.
"""

import asyncio
from contextlib import suppress

from .bodies import read_head
from .shaping import PIECE_BYTES

__all__ = ["ANSWER_BYTES", "Generator"]

ANSWER_BYTES = 50_000_000


class Generator:
    """Listens on a loopback port of its own, which the kernel gives it; speaks ``tcp`` or ``http``."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self._handle = self._answer if protocol == "http" else self._echo
        self._server: asyncio.Server | None = None

    async def listen(self) -> int:
        """Listen, and return the port."""
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    @staticmethod
    async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                writer.write(piece)
                await writer.drain()
        writer.close()

    @staticmethod
    async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await read_head(reader)
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {ANSWER_BYTES}\r\n\r\n".encode())
            for _ in range(ANSWER_BYTES // PIECE_BYTES):
                writer.write(bytes(PIECE_BYTES))
                await writer.drain()
        writer.close()
