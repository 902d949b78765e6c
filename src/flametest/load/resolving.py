"""An event loop whose lookups of names do not wait for one another.

asyncio looks names up in a pool of a few threads (four more than there are processors). While a resolver is silent each
of them waits for seconds, and all requests behind them wait for a thread: a resolver that was silent for 3 s looked
like one of 4 s, and no bracket told. Here each lookup has a thread of its own, and gives up with the request that needs
it, so that a request that is sent when the resolver answers again is answered.
"""

import asyncio
import math
import os
import socket
import threading
from collections.abc import Coroutine, MutableMapping
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["LOOKUPS_MAX", "LookupLimitError", "ResolvingLoop", "bound_lookups", "run"]

LOOKUPS_MAX = 512
"""Lookups at once: 40 requests a second whose lookup takes 12 s; more are not sent, and the prober tells of them."""

_STACK_BYTES = 1 << 20
_OPTIONS = "RES_OPTIONS"

T = TypeVar("T")


class LookupLimitError(Exception):
    """This process cannot look up another name now, which says nothing of the system under test."""


def bound_lookups(timeout_seconds: float, environment: MutableMapping[str, str]) -> None:
    """Have the C library give a name server up after ``timeout_seconds``, and ask each only once (resolv.conf(5)).

    By default it waits for 5 s and asks again: longer than any request here does, while its thread stays.
    """
    options = f"timeout:{math.ceil(timeout_seconds)} attempts:1"
    environment[_OPTIONS] = f"{environment.get(_OPTIONS, '')} {options}".strip()


class ResolvingLoop(asyncio.SelectorEventLoop):
    """The loop; a lookup whose task was cancelled goes on in its thread, which ends with the process at the latest."""

    def __init__(self, lookups_max: int = LOOKUPS_MAX) -> None:
        super().__init__()
        self._slots = threading.BoundedSemaphore(lookups_max)

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Look a name up, as `socket.getaddrinfo` does.

        Raises:
            OSError: it cannot be resolved.
            LookupLimitError: too many lookups are under way.
        """
        found: asyncio.Future[list[Any]] = self.create_future()
        if not self._slots.acquire(blocking=False):
            raise LookupLimitError("too many lookups of names are under way")
        ask = threading.Thread(
            target=self._look_up, args=(found, (host, port, family, type, proto, flags)), name="lookup", daemon=True
        )
        try:
            ask.start()
        except RuntimeError as error:
            self._slots.release()
            raise LookupLimitError(str(error)) from error
        return await found

    def _look_up(self, found: "asyncio.Future[list[Any]]", question: tuple[Any, ...]) -> None:
        answer: list[Any] | None = None
        problem: Exception | None = None
        try:
            answer = socket.getaddrinfo(*question)
        except Exception as error:  # told to the task that waits for it
            problem = error
        self._slots.release()
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.call_soon_threadsafe(_settle, found, answer, problem)


def _settle(found: "asyncio.Future[list[Any]]", answer: list[Any] | None, problem: Exception | None) -> None:
    if found.done():  # its time was over
        return
    if problem is not None:
        found.set_exception(problem)
    else:
        found.set_result(answer or [])


def run(main: Coroutine[Any, Any, T], timeout_seconds: float) -> T:
    """Run a coroutine in a `ResolvingLoop`, as `asyncio.run` does; its lookups take ``timeout_seconds`` a server."""
    bound_lookups(timeout_seconds, os.environ)
    threading.stack_size(_STACK_BYTES)
    with asyncio.Runner(loop_factory=ResolvingLoop) as runner:
        return runner.run(main)
