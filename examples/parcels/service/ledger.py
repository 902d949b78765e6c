"""The parcels that were delivered, in PostgreSQL. Lives as long as the process that keeps it.

One connection, made when it is first needed and again after it broke. PGHOST and its kin say where, see
https://www.postgresql.org/docs/current/libpq-envars.html
"""

import asyncio
from contextlib import suppress

from psycopg import AsyncConnection, OperationalError

__all__ = ["Ledger"]

CONNECTION = "connect_timeout=2 tcp_user_timeout=2000"
SCHEMA_LOCK = 0x50415243  # any number that all processes share: they make the table one after another
TABLE = """
CREATE TABLE IF NOT EXISTS parcels (id uuid PRIMARY KEY, delivered_at timestamptz NOT NULL DEFAULT now())
"""


class Ledger:
    """What was delivered; each method raises ``psycopg.Error`` or ``TimeoutError`` when PostgreSQL cannot be asked."""

    def __init__(self, seconds_max: float) -> None:
        self._seconds_max = seconds_max
        self._connection: AsyncConnection | None = None
        self._free = asyncio.Lock()

    async def deliver(self, parcel: str) -> None:
        """Keep a parcel, once, however often it is delivered."""
        await self._ask("INSERT INTO parcels (id) VALUES (%s) ON CONFLICT DO NOTHING RETURNING 1", parcel)

    async def has(self, parcel: str) -> bool:
        """Return whether a parcel was delivered."""
        return await self._ask("SELECT 1 FROM parcels WHERE id = %s", parcel) is not None

    async def count(self) -> int:
        """Return how many parcels were delivered."""
        (found,) = await self._ask("SELECT count(*) FROM parcels") or (0,)
        return int(found)

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()
        self._connection = None

    async def _ask(self, query: str, *values: str) -> tuple[int, ...] | None:
        async with asyncio.timeout(self._seconds_max), self._free:
            with suppress(OperationalError):  # the connection of before may have broken since
                return await self._answer(query, values)
            return await self._answer(query, values)

    async def _answer(self, query: str, values: tuple[str, ...]) -> tuple[int, ...] | None:
        try:
            connection = self._connection or await self._connect()
            return await (await connection.execute(query.encode(), values)).fetchone()
        except BaseException:  # also a time limit: an answer is under way then
            await self.close()
            raise

    async def _connect(self) -> AsyncConnection:
        self._connection = connection = await AsyncConnection.connect(CONNECTION, autocommit=True)
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
            await connection.execute(TABLE)
        return connection
