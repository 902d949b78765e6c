"""A small pool of PostgreSQL connections that fails at once when the server refuses.

psycopg's own pool lets its clients wait out their time limit while it reconnects with growing pauses in the
background. Here a client that finds no connection makes one itself: it learns of a refusal in a millisecond, and the
first request after PostgreSQL came back succeeds.

Where making one takes longer than a client may wait, as in a new pod on a busy node, it goes on without him, and the
next client waits for it. Were it begun again and again, a pool that is empty would stay empty.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection
from psycopg import Error as PostgresError

__all__ = ["ConnectionPool"]

_BEGUN_SECONDS_MAX = 2.0


class ConnectionPool:
    """At most ``size_max`` connections, each in autocommit mode and used by one task at a time."""

    def __init__(self, conninfo: str, size_max: int) -> None:
        self._conninfo = conninfo
        self._slots = asyncio.Semaphore(size_max)
        self._idle: list[AsyncConnection] = []
        self._begun: list[tuple[float, asyncio.Task[AsyncConnection]]] = []  # whose clients have given up
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that answered just now.

        It is kept afterwards unless it is broken, in the middle of a transaction, or its user was cancelled.

        Raises:
            psycopg.Error: the server refused; nothing is retried here.
        """
        async with self._slots:
            connection = await self._idle_connection() or await self._connect()
            kept = False
            try:
                yield connection
                kept = True
            except Exception:
                # A cancelled user leaves an answer under way; any other error says nothing against the connection.
                kept = not connection.closed and connection.info.transaction_status.name == "IDLE"
                raise
            finally:
                if kept and not self._closed:
                    self._idle.append(connection)
                else:
                    await connection.close()

    async def close(self) -> None:
        """Close the idle connections now and the others when they come back."""
        self._closed = True
        for _, task in self._begun:
            task.cancel()
        while self._idle:
            await self._idle.pop().close()

    async def _idle_connection(self) -> AsyncConnection | None:
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.execute("")
            except PostgresError:
                # The server went away since; whoever comes next shall not find it out again.
                await connection.close()
            except BaseException:
                await connection.close()
                raise
            else:
                return connection
        return None

    async def _connect(self) -> AsyncConnection:
        """Return a connection that somebody has begun and not waited for, or make one."""
        begun_at, task = self._taken_over() or (time.monotonic(), asyncio.create_task(self._open(), name="connecting"))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                self._begun.append((begun_at, task))
                task.add_done_callback(_retrieved)
            raise

    def _taken_over(self) -> tuple[float, "asyncio.Task[AsyncConnection]"] | None:
        while self._begun:
            begun_at, task = self._begun.pop()
            if task.done() and not task.cancelled() and task.exception() is None:
                return begun_at, task
            if not task.done() and time.monotonic() - begun_at < _BEGUN_SECONDS_MAX:
                return begun_at, task
            task.cancel()  # a server that has been away takes no notice of who knocked before
        return None

    async def _open(self) -> AsyncConnection:
        # Else it is the server's, and of one that was initialised as SQL_ASCII psycopg returns text as bytes.
        return await AsyncConnection.connect(self._conninfo, autocommit=True, client_encoding="utf8")


def _retrieved(task: "asyncio.Task[AsyncConnection]") -> None:
    """Take note of how it ended, so that nobody complains of an error that nobody waits for."""
    if not task.cancelled():
        task.exception()
