"""Bytes on their way in one direction of a connection: delayed, paced, sliced and cut as an effect says.

A delay is a line, not a pause: what arrives while earlier bytes wait is delayed by as much as they are.
"""

import array
import asyncio
import fcntl
import socket
import struct
import termios
from collections.abc import Callable

from .rules import Effect
from .switch import Switch

__all__ = ["PIECE_BYTES", "CutError", "Lane", "reset"]

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


class Lane:
    """One direction of a connection.

    Args:
        writer: where the bytes go.
        direction: ``request`` or ``response``.
        effect: returns what is in force now.
        switch: draws delays.
        group: owns the task that delivers delayed bytes; None where bytes are not delayed here.
    """

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        direction: str,
        effect: Callable[[], Effect | None],
        switch: Switch,
        group: asyncio.TaskGroup | None = None,
    ) -> None:
        self._writer = writer
        self._direction = direction
        self._effect = effect
        self._switch = switch
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
        effect = self._here()
        delayed = effect is not None and bool(effect.delay_ms or effect.jitter_ms)
        if self._group is None or (self._line is None and not delayed):
            await self._pass(data)
            return
        if self._line is None:
            self._line = asyncio.Queue(LINE_PIECES_MAX)
            self._group.create_task(self._deliver(self._line), name=f"{self._direction} line")
        delay = self._switch.delay_seconds(effect) if effect is not None and delayed else 0.0
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
        effect = self._here()
        if not data:
            await self._end(effect)
        elif effect is None or not effect.shapes:
            self._writer.write(data)
            await self._writer.drain()
        else:
            size = _piece_bytes(effect)
            for start in range(0, len(data), size):
                await self._piece(data[start : start + size], effect)

    async def _piece(self, piece: bytes, effect: Effect) -> None:
        limit = effect.reset_after_bytes or effect.close_after_bytes
        ends = bool(limit) and self._passed_bytes + len(piece) >= limit
        passed = piece[: limit - self._passed_bytes] if ends else piece
        if effect.bytes_per_second:
            loop = asyncio.get_running_loop()
            # What was sent late, since the machine was busy, is caught up.
            earliest = loop.time() - (CATCH_UP_SECONDS if self._ready else 0)
            self._ready = max(self._ready, earliest) + len(passed) / effect.bytes_per_second
            await asyncio.sleep(self._ready - loop.time())
        self._writer.write(passed)
        await self._writer.drain()
        self._passed_bytes += len(passed)
        if ends:
            await _sent(self._writer)
            raise CutError(resets=bool(effect.reset_after_bytes))
        if effect.slice_delay_ms:
            await asyncio.sleep(effect.slice_delay_ms / 1000)

    async def _end(self, effect: Effect | None) -> None:
        if effect is not None and effect.close_delay_ms:
            await asyncio.sleep(effect.close_delay_ms / 1000)
        if self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()

    def _here(self) -> Effect | None:
        effect = self._effect()
        return effect if effect is not None and effect.towards(self._direction) else None


def reset(writer: asyncio.StreamWriter) -> None:
    """Reset a connection: its client sees ECONNRESET."""
    sock = writer.get_extra_info("socket")
    if sock is not None and not writer.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


def _piece_bytes(effect: Effect) -> int:
    paced = max(1, int(effect.bytes_per_second * PACE_SECONDS)) if effect.bytes_per_second else PIECE_BYTES
    return min(paced, effect.slice_bytes or PIECE_BYTES, PIECE_BYTES)


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
