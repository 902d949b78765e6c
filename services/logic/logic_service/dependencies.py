"""How every use of Redis and PostgreSQL is kept within its time limit, and what is said when one is away.

A dependency that hangs must not make the service hang, and one that is away must take away the routes that need it
and no others. Both clients use `Dependency.call`; a route turns `DependencyError` into a 503 with Retry-After.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["Dependency", "DependencyError"]

AnswerT = TypeVar("AnswerT")

_log = logging.getLogger(__name__)


class DependencyError(Exception):
    """A dependency did not answer in time or at all.

    Attributes:
        dependency: ``redis`` or ``postgres``.
    """

    def __init__(self, dependency: str, reason: str) -> None:
        super().__init__(f"{dependency}: {reason}")
        self.dependency = dependency


class Dependency:
    """Time limit and last known state of one dependency. Used from one event loop."""

    def __init__(self, name: str, timeout_seconds: float, failures: tuple[type[Exception], ...]) -> None:
        self.name = name
        self.state = "unknown"
        self._timeout_seconds = timeout_seconds
        self._failures = failures
        self._abandoned: set[asyncio.Task[Any]] = set()

    async def call(self, operation: Coroutine[Any, Any, AnswerT]) -> AnswerT:
        """Return what ``operation`` returns, or give up on it after the time limit.

        It runs as a task of its own: psycopg answers a cancellation only after it tried, for seconds, to cancel the
        query at a server that may be the very thing that hangs. Such a task is cancelled and left to end by itself;
        the slot of the pool that it holds until then bounds how many of them there can be.

        Raises:
            DependencyError: the time limit passed, or the client raised one of its failures.
        """
        task = asyncio.create_task(operation, name=f"{self.name} call")
        try:
            done, _ = await asyncio.wait({task}, timeout=self._timeout_seconds)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        if not done:
            self._abandon(task)
            raise self._failed(f"no answer within {self._timeout_seconds} s")
        try:
            answer = task.result()
        except self._failures as error:
            raise self._failed(str(error).strip() or type(error).__name__) from error
        self.state = "ok"
        return answer

    def _failed(self, reason: str) -> DependencyError:
        self.state = "failing"
        return DependencyError(self.name, reason)

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.add(task)
        task.add_done_callback(self._bury)
        task.cancel()

    def _bury(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("%s: an abandoned call ended with %r", self.name, error)
