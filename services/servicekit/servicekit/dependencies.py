"""How every use of Redis and PostgreSQL is kept within its time limit, and what is said when one is away.

A dependency that hangs must not make the service hang, and one that is away must take away the routes that need it
and no others. Clients use `Dependency.call`; `answer_unavailable` makes a 503 with Retry-After of a `DependencyError`.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse

__all__ = ["Dependency", "DependencyError", "answer_unavailable"]

AnswerT = TypeVar("AnswerT")

_log = logging.getLogger(__name__)

_RETRY_AFTER_SECONDS = 1


class DependencyError(Exception):
    """A dependency did not answer in time or at all.

    Attributes:
        dependency: ``redis`` or ``postgres``.
    """

    def __init__(self, dependency: str, reason: str) -> None:
        super().__init__(f"{dependency}: {reason}")
        self.dependency = dependency


class Dependency:
    """Time limit and state of one dependency, as the call that began last has found it. Used from one event loop."""

    def __init__(self, name: str, timeout_seconds: float, failures: tuple[type[Exception], ...]) -> None:
        self.name = name
        self.state = "unknown"
        self._timeout_seconds = timeout_seconds
        self._failures = failures
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._begun = 0
        self._told = 0  # the latest call that has told the state

    async def call(self, operation: Coroutine[Any, Any, AnswerT]) -> AnswerT:
        """Return what ``operation`` returns, or give up on it after the time limit.

        It runs as a task of its own: psycopg answers a cancellation only after it tried, for seconds, to cancel the
        query at a server that may be the very thing that hangs. Such a task is cancelled and left to end by itself;
        the slot of the pool that it holds until then bounds how many of them there can be.

        Raises:
            DependencyError: the time limit passed, or the client raised one of its failures.
        """
        self._begun += 1
        number = self._begun
        task = asyncio.create_task(operation, name=f"{self.name} call")
        try:
            done, _ = await asyncio.wait({task}, timeout=self._timeout_seconds)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        if not done:
            self._abandon(task)
            self._tell(number, "failing")
            raise DependencyError(self.name, f"no answer within {self._timeout_seconds} s")
        try:
            answer = task.result()
        except self._failures as error:
            self._tell(number, "failing")
            raise DependencyError(self.name, str(error).strip() or type(error).__name__) from error
        self._tell(number, "ok")
        return answer

    def _tell(self, number: int, state: str) -> None:
        """Set the state, unless a call that began later has told it: what an earlier one found is out of date."""
        if number >= self._told:
            self._told, self.state = number, state

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.add(task)
        task.add_done_callback(self._bury)
        task.cancel()

    def _bury(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("%s: an abandoned call ended with %r", self.name, error)


async def answer_unavailable(_: Request, error: Exception) -> JSONResponse:
    """Answer a request whose dependency is away; the reason stays in the log, with the request's id."""
    assert isinstance(error, DependencyError)
    _log.warning("dependency away: %s", error)
    return JSONResponse(
        {"error": "unavailable", "dependency": error.dependency, "message": "Please try again in a moment."},
        status_code=503,
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
    )
