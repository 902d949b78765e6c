"""The books, for whoever checks afterwards that every acknowledged order is there once and nothing was oversold.

Everything here is read from PostgreSQL alone, past the cache.
"""

from dataclasses import dataclass

from psycopg import AsyncConnection

from .database import Database

__all__ = ["Audit", "AuditPage", "AuditedOrder", "Book"]


@dataclass(frozen=True, slots=True)
class AuditedOrder:
    """What is kept of one order."""

    order_id: int
    idempotency_key: str
    event_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some orders by rising id, and where the next page begins; None after the last."""

    orders: tuple[AuditedOrder, ...]
    next_after: int | None


@dataclass(frozen=True, slots=True)
class Book:
    """One event's tickets: ``sold`` is the sum over its orders, so that the books balance if initial = left + sold."""

    event_id: int
    name: str
    initial: int
    left: int
    sold: int


class Audit:
    """Reads the books."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, after: int, limit: int) -> AuditPage:
        """Return the first ``limit`` orders whose id is above ``after``.

        Ids are given out before orders are committed: only pages read after the last order is answered are whole.

        Raises:
            DependencyError: PostgreSQL did not answer.
        """

        async def select(connection: AsyncConnection) -> tuple[AuditedOrder, ...]:
            cursor = await connection.execute(
                "SELECT id, idempotency_key, event_id, quantity FROM orders WHERE id > %s ORDER BY id LIMIT %s",
                (after, limit),
            )
            return tuple(AuditedOrder(*row) for row in await cursor.fetchall())

        orders = await self._database.run(select)
        return AuditPage(orders, orders[-1].order_id if len(orders) == limit else None)

    async def books(self) -> tuple[Book, ...]:
        """Return every event's book, all of one moment.

        Raises:
            DependencyError: PostgreSQL did not answer.
        """

        async def select(connection: AsyncConnection) -> tuple[Book, ...]:
            cursor = await connection.execute(
                "SELECT e.id, e.name, e.initial_stock, e.stock, coalesce(sum(o.quantity), 0) "
                "FROM events e LEFT JOIN orders o ON o.event_id = e.id GROUP BY e.id ORDER BY e.id"
            )
            return tuple(Book(*row) for row in await cursor.fetchall())

        return await self._database.run(select)
