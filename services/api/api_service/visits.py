"""Visits, kept in PostgreSQL.

The table is made when it is first needed, not when the process starts: a pod is then ready without PostgreSQL, and
finds its way again when the database came back empty. Replicas that make it at the same moment take turns by an
advisory lock, since CREATE TABLE IF NOT EXISTS alone can fail when two run at once.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from psycopg import AsyncConnection, errors
from psycopg import Error as PostgresError

from servicekit.connections import ConnectionPool
from servicekit.dependencies import Dependency

__all__ = ["Visit", "VisitList", "Visits"]

AnswerT = TypeVar("AnswerT")

_CONNECTIONS_MAX = 4
_LATEST_MAX = 10
_SCHEMA_LOCK = 0x464C414D  # any number that all replicas share
_SCHEMA = """
CREATE TABLE IF NOT EXISTS visits (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    visited_at timestamptz NOT NULL DEFAULT now(),
    served_by text NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit, as it was stored."""

    id: int
    visited_at: datetime
    served_by: str


@dataclass(frozen=True, slots=True)
class VisitList:
    """How many visits there are, and the latest of them, newest first."""

    count: int
    latest: tuple[Visit, ...]


class Visits:
    """The visits. Connects when first used, and again after PostgreSQL was away; closed with the application."""

    def __init__(self, conninfo: str, timeout_seconds: float) -> None:
        self.dependency = Dependency("postgres", timeout_seconds, failures=(PostgresError, OSError))
        self._pool = ConnectionPool(conninfo, _CONNECTIONS_MAX)

    async def add(self, served_by: str) -> Visit:
        """Store a visit and return it; it is durable once this returned.

        Raises:
            DependencyError: PostgreSQL did not answer; whether the visit was stored is then unknown.
        """

        async def insert(connection: AsyncConnection) -> Visit:
            cursor = await connection.execute(
                "INSERT INTO visits (served_by) VALUES (%s) RETURNING id, visited_at, served_by", (served_by,)
            )
            (row,) = await cursor.fetchall()
            return Visit(*row)

        return await self.dependency.call(self._with_table(insert))

    async def read(self) -> VisitList:
        """Return the number of visits and the latest ones.

        Raises:
            DependencyError: PostgreSQL did not answer.
        """

        async def select(connection: AsyncConnection) -> VisitList:
            # One statement, so that both columns tell of the same moment.
            cursor = await connection.execute(
                "SELECT (SELECT count(*) FROM visits), id, visited_at, served_by FROM visits ORDER BY id DESC LIMIT %s",
                (_LATEST_MAX,),
            )
            rows = await cursor.fetchall()
            return VisitList(count=rows[0][0] if rows else 0, latest=tuple(Visit(*row[1:]) for row in rows))

        return await self.dependency.call(self._with_table(select))

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def _with_table(self, work: Callable[[AsyncConnection], Awaitable[AnswerT]]) -> AnswerT:
        async with self._pool.connection() as connection:
            try:
                return await work(connection)
            except errors.UndefinedTable:
                await _make_table(connection)
                return await work(connection)


async def _make_table(connection: AsyncConnection) -> None:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
        await connection.execute(_SCHEMA)
