"""A small pool of PostgreSQL connections that fails at once when the server refuses.

psycopg's own pool lets its clients wait out their time limit while it reconnects with growing pauses in the
background. Here a client that finds no connection makes one itself: it learns of a refusal in a millisecond, and the
first request after PostgreSQL came back succeeds.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection
from psycopg import Error as PostgresError

__all__ = ["ConnectionPool"]


class ConnectionPool:
    """At most ``size_max`` connections, each in autocommit mode and used by one task at a time."""

    def __init__(self, conninfo: str, size_max: int) -> None:
        self._conninfo = conninfo
        self._slots = asyncio.Semaphore(size_max)
        self._idle: list[AsyncConnection] = []
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
        # Else it is the server's, and of one that was initialised as SQL_ASCII psycopg returns text as bytes.
        return await AsyncConnection.connect(self._conninfo, autocommit=True, client_encoding="utf8")
