"""When a recording process ends: it is told by a signal, its parent dies, or its own time limit passes."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

__all__ = ["Stop"]


class Stop:
    """Made inside the running loop, whose handlers of SIGTERM and SIGINT it takes.

    ``parent`` is the process that it ends with: told by that process itself, which may be gone before this one could
    have asked.
    """

    def __init__(self, parent: int) -> None:
        self._told = asyncio.Event()
        self._parent = parent
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told.set)

    async def within(self, seconds: float) -> bool:
        """Wait for ``seconds`` or until told to stop; return whether told."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()
        return self._told.is_set()

    async def keep_house(self, every_seconds: float, seconds_max: float, work: Callable[[], None]) -> None:
        """Do ``work`` regularly until told to stop; stop when the parent is gone or ``seconds_max`` are over."""
        end = time.monotonic() + seconds_max
        while not await self.within(every_seconds):
            work()
            if os.getppid() != self._parent or time.monotonic() >= end:
                self._told.set()
