"""Heads and bodies of HTTP/1.1 as they come from a stream; see `messages` for what they mean."""

import asyncio
from collections.abc import AsyncIterator

from .messages import CHUNKED, UNTIL_CLOSED
from .shaping import PIECE_BYTES, CutError, Lane

__all__ = ["body_of", "copy_body", "read_head"]


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """Return what stands up to an empty line, with it.

    Raises:
        asyncio.IncompleteReadError: it ended before.
        asyncio.LimitOverrunError: it is longer than `HEAD_BYTES_MAX`.
    """
    return await reader.readuntil(b"\r\n\r\n")


async def body_of(reader: asyncio.StreamReader, body_bytes: int) -> AsyncIterator[bytes]:
    """Yield a message's body as it comes, chunks with their frames.

    Raises:
        ConnectionError: it breaks off.
    """
    if body_bytes == CHUNKED:
        async for piece in _chunks(reader):
            yield piece
        return
    left = body_bytes
    while left:
        piece = await reader.read(PIECE_BYTES if left == UNTIL_CLOSED else min(left, PIECE_BYTES))
        if not piece:
            if left == UNTIL_CLOSED:
                return
            raise CutError(resets=True)
        left -= 0 if left == UNTIL_CLOSED else len(piece)
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            yield line
            left = size + 2
            while size and left:
                piece = await reader.read(min(left, PIECE_BYTES))
                if not piece:
                    raise CutError(resets=True)
                left -= len(piece)
                yield piece
            if not size:
                break
        while True:  # what trails, up to an empty line
            line = await reader.readuntil(b"\r\n")
            yield line
            if line == b"\r\n":
                return
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise CutError(resets=True) from error


async def copy_body(reader: asyncio.StreamReader, body_bytes: int, lane: Lane) -> None:
    """Pass a body on as it comes.

    Raises:
        ConnectionError: it breaks off, or is cut.
    """
    async for piece in body_of(reader, body_bytes):
        await lane.send(piece)
