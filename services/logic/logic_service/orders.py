"""Orders: each made once for its idempotency key, kept once acknowledged, and never for more than there is.

The order's row and the stock's change are one transaction, and both rules are the tables' own constraints, so that
no retry, race or crash gets around them. Of the idempotency keys PostgreSQL has the truth; Redis only answers repeats
sooner, with orders that were committed before they were put there.
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection, errors
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from .cache import Cache
from .database import Database
from .events import EVENTS_CACHED
from .refusals import RefusedError

__all__ = ["Order", "OrderRequest", "Orders"]

_LATEST_MAX = 50
# Repeats come within moments; later ones are answered from PostgreSQL.
_TTL_SECONDS = 60.0
_SELECT = """
SELECT o.id, o.event_id, e.name, o.quantity, o.total_cents, o.customer, o.ordered_at
FROM orders o JOIN events e ON e.id = o.event_id
"""
# One statement is one transaction and one exchange with the server: the event's row, which all its buyers need, is
# locked for as long as the commit takes to reach the disk, and not for a pod that is slow or gone.
_PLACE = """
WITH taken AS (
    UPDATE events SET stock = stock - %(quantity)s
    WHERE id = %(event)s AND stock >= %(quantity)s
      AND NOT EXISTS (SELECT FROM orders WHERE idempotency_key = %(key)s)
    RETURNING id, name, price_cents
), placed AS (
    INSERT INTO orders (idempotency_key, event_id, quantity, total_cents, customer)
    SELECT %(key)s, id, %(quantity)s, price_cents * %(quantity)s, %(customer)s FROM taken
    RETURNING id, total_cents, ordered_at
)
SELECT placed.id, taken.name, placed.total_cents, placed.ordered_at FROM placed, taken
"""


class OrderRequest(BaseModel):
    """What is ordered, and by whom."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_id: int = Field(ge=1, le=2**31 - 1)
    quantity: int = Field(ge=1, le=10)
    customer: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")


@dataclass(frozen=True, slots=True)
class Order:
    """One order, as it was stored."""

    id: int
    event_id: int
    event_name: str
    quantity: int
    total_cents: int
    customer: str
    ordered_at: datetime

    def is_for(self, request: OrderRequest) -> bool:
        """Return whether ``request`` asks for this very order."""
        return (self.event_id, self.quantity, self.customer) == (request.event_id, request.quantity, request.customer)


_ORDER = TypeAdapter(Order)


class Orders:
    """Makes and reads orders."""

    def __init__(self, database: Database, cache: Cache) -> None:
        self._database = database
        self._cache = cache

    async def place(self, key: str, request: OrderRequest) -> tuple[Order, bool]:
        """Return the order of this idempotency key, and whether it was made now; it is durable once this returned.

        Raises:
            RefusedError: sold out, no such event, or the key belongs to an order for something else.
            DependencyError: PostgreSQL did not answer; whether the order was kept is then unknown, and asking again
                with the same key is safe.
        """
        if (cached := await self._cache.get(_cached_name(key))) is not None:
            order, made = _ORDER.validate_json(cached), False
        else:
            order, made = await self._database.run(lambda connection: _place(connection, key, request))
            await self._cache.put(_cached_name(key), _ORDER.dump_json(order), _TTL_SECONDS, outdated=EVENTS_CACHED)
        if not order.is_for(request):
            raise RefusedError(422, "key_reused", "This Idempotency-Key belongs to an order for something else.")
        return order, made

    async def find(self, order_id: int) -> Order:
        """Return one order.

        Raises:
            RefusedError: there is none with this id.
            DependencyError: PostgreSQL did not answer.
        """

        async def select(connection: AsyncConnection) -> Order | None:
            cursor = await connection.execute(f"{_SELECT} WHERE o.id = %s", (order_id,))
            row = await cursor.fetchone()
            return Order(*row) if row else None

        if (order := await self._database.run(select)) is None:
            raise RefusedError(404, "unknown_order", f"There is no order {order_id}.")
        return order

    async def of_customer(self, customer: str) -> tuple[Order, ...]:
        """Return the customer's latest orders, at most 50, newest first.

        Raises:
            DependencyError: PostgreSQL did not answer.
        """

        async def select(connection: AsyncConnection) -> tuple[Order, ...]:
            cursor = await connection.execute(
                f"{_SELECT} WHERE o.customer = %s ORDER BY o.id DESC LIMIT %s", (customer, _LATEST_MAX)
            )
            return tuple(Order(*row) for row in await cursor.fetchall())

        return await self._database.run(select)


def _cached_name(key: str) -> str:
    return f"order:{key}"


async def _place(connection: AsyncConnection, key: str, request: OrderRequest) -> tuple[Order, bool]:
    values = {"key": key, "event": request.event_id, "quantity": request.quantity, "customer": request.customer}
    try:
        row = await (await connection.execute(_PLACE, values)).fetchone()
    except errors.UniqueViolation:
        # An order of this key was committed while this one waited for the event's row; all of this one is undone.
        row = None
    if row is None:
        return await _existing(connection, key, request), False
    identifier, name, total_cents, ordered_at = row
    order = Order(identifier, request.event_id, name, request.quantity, total_cents, request.customer, ordered_at)
    return order, True


async def _existing(connection: AsyncConnection, key: str, request: OrderRequest) -> Order:
    """Return the order of this key, or say why there is none."""
    row = await (await connection.execute(f"{_SELECT} WHERE o.idempotency_key = %s", (key,))).fetchone()
    if row is not None:
        return Order(*row)
    cursor = await connection.execute("SELECT FROM events WHERE id = %s", (request.event_id,))
    if await cursor.fetchone() is None:
        raise RefusedError(404, "unknown_event", f"There is no event {request.event_id}.")
    raise RefusedError(409, "sold_out", "There are not that many tickets left.")
