"""Bytes on their way in one direction of a connection: delayed, paced, sliced and cut as an effect says.

A delay is a line, not a pause: what arrives while earlier bytes wait is delayed by as much as they are.
"""

import array
import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .edge import Applied
from .rules import Effect

__all__ = ["PIECE_BYTES", "CutError", "Lane", "Shape", "reset"]

PIECE_BYTES = 64 * 1024
PACE_SECONDS = 0.05  # how long a piece of a limited connection takes; shorter ones cost more than they tell
CATCH_UP_SECONDS = 0.25
LINE_PIECES_MAX = 256
SENT_SECONDS_MAX = 1.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: the kernel sends a RST


class CutError(ConnectionError):
    """An effect ends the connection here: by a reset, or in order."""

    def __init__(self, *, resets: bool) -> None:
        super().__init__("cut")
        self.resets = resets


@dataclass(frozen=True, slots=True)
class Shape:
    """What effects in force do together to bytes that are passed on: the tightest of each limit.

    Attributes:
        bytes_per_second, slice_bytes: 0 for no limit.
        slice_delay_ms: the pause after a piece; of several slicers as slow as the slowest of them.
        limit_bytes: after so many the connection ends; 0 for never.
        resets: whether it ends by a reset.
        close_delay_ms: how late an end is passed on.
    """

    bytes_per_second: int = 0
    slice_bytes: int = 0
    slice_delay_ms: float = 0.0
    limit_bytes: int = 0
    resets: bool = False
    close_delay_ms: float = 0.0

    @classmethod
    def of(cls, effects: Sequence[Effect]) -> "Shape":
        """Return what effects do together."""
        size = _least(effect.slice_bytes for effect in effects)
        ends = [(one.reset_after_bytes or one.close_after_bytes, bool(one.reset_after_bytes)) for one in effects]
        limit, resets = min((end for end in ends if end[0]), default=(0, False))
        return cls(
            bytes_per_second=_least(effect.bytes_per_second for effect in effects),
            slice_bytes=size,
            slice_delay_ms=max(
                (one.slice_delay_ms * size / one.slice_bytes for one in effects if one.slice_bytes), default=0.0
            ),
            limit_bytes=limit,
            resets=resets,
            close_delay_ms=sum(effect.close_delay_ms for effect in effects),
        )

    @property
    def piece_bytes(self) -> int:
        """Return the size of the pieces in which bytes go on."""
        paced = max(1, int(self.bytes_per_second * PACE_SECONDS)) if self.bytes_per_second else PIECE_BYTES
        return min(paced, self.slice_bytes or PIECE_BYTES, PIECE_BYTES)


class Lane:
    """One direction of a connection.

    Args:
        writer: where the bytes go.
        direction: ``request`` or ``response``.
        applied: returns what is in force now.
        group: owns the task that delivers delayed bytes; None where bytes are not delayed here.
    """

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        direction: str,
        applied: Callable[[], Sequence[Applied]],
        group: asyncio.TaskGroup | None = None,
    ) -> None:
        self._writer = writer
        self._direction = direction
        self._applied = applied
        self._group = group
        self._line: asyncio.Queue[tuple[float, bytes]] | None = None
        self._due = 0.0
        self._ready = 0.0
        self._passed_bytes = 0

    async def send(self, data: bytes) -> None:
        """Pass bytes on, or put them in line; no bytes are the end of them.

        Raises:
            ConnectionError: the connection is broken, or is to be.
        """
        delaying = [one for one in self._here() if one.effect.delay_ms or one.effect.jitter_ms]
        if self._group is None or (self._line is None and not delaying):
            await self._pass(data)
            return
        if self._line is None:
            self._line = asyncio.Queue(LINE_PIECES_MAX)
            self._group.create_task(self._deliver(self._line), name=f"{self._direction} line")
        delay = sum(one.edge.delay_seconds(one.effect) for one in delaying)
        # What came later is not delivered earlier, however the delays are drawn.
        self._due = max(self._due, asyncio.get_running_loop().time() + delay)
        await self._line.put((self._due, data))

    async def _deliver(self, line: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await line.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            await self._pass(data)
            if not data:
                return

    async def _pass(self, data: bytes) -> None:
        effects = [one.effect for one in self._here()]
        if not data:
            await self._end(effects)
        elif not any(effect.shapes for effect in effects):
            self._writer.write(data)
            await self._writer.drain()
        else:
            shape = Shape.of(effects)
            size = shape.piece_bytes
            for start in range(0, len(data), size):
                await self._piece(data[start : start + size], shape)

    async def _piece(self, piece: bytes, shape: Shape) -> None:
        limit = shape.limit_bytes
        ends = bool(limit) and self._passed_bytes + len(piece) >= limit
        passed = piece[: max(0, limit - self._passed_bytes)] if ends else piece
        if shape.bytes_per_second:
            loop = asyncio.get_running_loop()
            # What was sent late, since the machine was busy, is caught up.
            earliest = loop.time() - (CATCH_UP_SECONDS if self._ready else 0)
            self._ready = max(self._ready, earliest) + len(passed) / shape.bytes_per_second
            await asyncio.sleep(self._ready - loop.time())
        self._writer.write(passed)
        await self._writer.drain()
        self._passed_bytes += len(passed)
        if ends:
            await _sent(self._writer)
            raise CutError(resets=shape.resets)
        if shape.slice_delay_ms:
            await asyncio.sleep(shape.slice_delay_ms / 1000)

    async def _end(self, effects: Sequence[Effect]) -> None:
        if delay_ms := Shape.of(effects).close_delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        if self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()

    def _here(self) -> list[Applied]:
        return [one for one in self._applied() if one.effect.towards(self._direction)]


def reset(writer: asyncio.StreamWriter) -> None:
    """Reset a connection: its client sees ECONNRESET."""
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


def _least(limits: Iterable[int]) -> int:
    """Return the tightest of several limits, of which 0 is none."""
    return min((limit for limit in limits if limit), default=0)


async def _sent(writer: asyncio.StreamWriter) -> None:
    """Wait, within a bound, until the kernel has delivered everything: a reset would take it back."""
    sock = writer.get_extra_info("socket")
    loop = asyncio.get_running_loop()
    end = loop.time() + SENT_SECONDS_MAX
    left = array.array("i", [0])
    while sock.fileno() >= 0 and loop.time() < end:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, left)
        if not left[0]:
            return
        await asyncio.sleep(0.002)
