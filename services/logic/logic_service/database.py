"""The shop's tables in PostgreSQL, and how work on them is kept within its time limit.

Tables and events are made when they are first needed, not when the process starts: a pod is then ready without
PostgreSQL, and finds its way again when the database came back empty. Replicas that make them at the same moment take
turns by an advisory lock.

What must never happen is kept from happening here, whatever the code above does: stock below zero, and two orders
with one idempotency key, are against the tables' own constraints.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from psycopg import AsyncConnection, errors
from psycopg import Error as PostgresError

from servicekit.connections import ConnectionPool
from servicekit.dependencies import Dependency

__all__ = ["Database"]

AnswerT = TypeVar("AnswerT")

_CONNECTIONS_MAX = 8
# The server ends a statement a little before its client would give up: an error leaves the connection usable, while
# giving up costs a new one, and new connections for everybody are what a busy server can least afford. The other two
# end what a vanished pod left behind.
_STATEMENT_SHARE = 0.8
_CONNINFO = (
    "application_name=logic tcp_user_timeout=2000 "
    "options='-c statement_timeout={statement_ms} -c idle_in_transaction_session_timeout=1000'"
)
_SCHEMA_LOCK = 0x53484F50  # any number that all replicas share
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id integer PRIMARY KEY,
    name text NOT NULL,
    venue text NOT NULL,
    starts_at timestamptz NOT NULL,
    price_cents integer NOT NULL CHECK (price_cents >= 0),
    initial_stock integer NOT NULL,
    stock integer NOT NULL CHECK (stock BETWEEN 0 AND initial_stock)
);
CREATE TABLE IF NOT EXISTS orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    idempotency_key text NOT NULL UNIQUE,
    event_id integer NOT NULL REFERENCES events,
    quantity integer NOT NULL CHECK (quantity > 0),
    total_cents integer NOT NULL,
    customer text NOT NULL,
    ordered_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS orders_of_customer ON orders (customer, id);
INSERT INTO events (id, name, venue, starts_at, price_cents, initial_stock, stock)
SELECT id, name, venue, date_trunc('day', now()) + days * interval '1 day' + interval '19 hours 30 minutes',
       price_cents, seats, seats
FROM (VALUES
    (1, 'Harbour Festival', 'Old Docks, open air', 60, 4500, 1000000),
    (2, 'Northern Lights Symphony', 'Grand Arena', 45, 6900, 20000),
    (3, 'Quartet by Candlelight', 'St Anne''s Hall', 30, 2800, 1200),
    (4, 'Lighthouse Reading', 'The Lamp Room', 14, 1200, 50)
) AS seed (id, name, venue, days, price_cents, seats)
ON CONFLICT (id) DO NOTHING;
"""


class Database:
    """The tables. Connects when first used, and again after PostgreSQL was away; closed with the application."""

    def __init__(self, timeout_seconds: float) -> None:
        self.dependency = Dependency("postgres", timeout_seconds, failures=(PostgresError, OSError))
        statement_ms = round(timeout_seconds * _STATEMENT_SHARE * 1000)
        self._pool = ConnectionPool(_CONNINFO.format(statement_ms=statement_ms), _CONNECTIONS_MAX)

    async def run(self, work: Callable[[AsyncConnection], Awaitable[AnswerT]]) -> AnswerT:
        """Return what ``work`` returns; it gets a connection in autocommit mode, and the tables are there.

        Raises:
            DependencyError: PostgreSQL did not answer; whether a write was kept is then unknown.
        """
        return await self.dependency.call(self._with_tables(work))

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def _with_tables(self, work: Callable[[AsyncConnection], Awaitable[AnswerT]]) -> AnswerT:
        async with self._pool.connection() as connection:
            try:
                return await work(connection)
            except errors.UndefinedTable:
                await _make_tables(connection)
                return await work(connection)


async def _make_tables(connection: AsyncConnection) -> None:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
        await connection.execute(_SCHEMA)
