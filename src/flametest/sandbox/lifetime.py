"""How the parts of the cluster process live and end together: `Parts`.

Each part is a named task. None of them ends by itself while the cluster lives, so the end of any, by an error or not,
is the end of all; leaving the context cancels them, last started first, and waits for each for a bounded time.
"""

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType
from typing import Any

from flametest.sandbox.errors import SandboxError

__all__ = ["PART_STOP_SECONDS_MAX", "Parts"]

PART_STOP_SECONDS_MAX = 1.0

_log = logging.getLogger(__name__)


class Parts:
    """The tasks of one cluster process, as an asynchronous context manager."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> "Parts":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in reversed(self._tasks):
            task.cancel()
            _, pending = await asyncio.wait([task], timeout=PART_STOP_SECONDS_MAX)
            if pending:
                _log.warning("%s did not end within %.0f s", task.get_name(), PART_STOP_SECONDS_MAX)

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """Start a part; its task bears ``name``."""
        self._tasks.append(asyncio.create_task(work, name=name))

    async def run_until(self, moment: "asyncio.Future[Any]") -> None:
        """Return when ``moment`` is done.

        Raises:
            SandboxError: a part ended before; the part's own error is its cause.
        """
        await asyncio.wait([moment, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                error = None if task.cancelled() else task.exception()
                reason = f"{type(error).__name__}: {error}" if error else "without an error"
                raise SandboxError(f"the sandbox's {task.get_name()} ended: {reason}", "read the log above") from error
        moment.result()
