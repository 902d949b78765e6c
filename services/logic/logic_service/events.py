"""The events that the shop sells, read through the cache.

The list is what every visitor asks for. It may be a second old, and an order makes it be read again; whether there is
stock is decided by the order's own transaction and never by this list.
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from pydantic import TypeAdapter

from .cache import Cache
from .database import Database
from .refusals import RefusedError

__all__ = ["EVENTS_CACHED", "Event", "Events"]

EVENTS_CACHED = "events"

_TTL_SECONDS = 1.0
_COLUMNS = "id, name, venue, starts_at, price_cents, stock"


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``stock`` is the number of tickets left."""

    id: int
    name: str
    venue: str
    starts_at: datetime
    price_cents: int
    stock: int


_EVENTS = TypeAdapter(tuple[Event, ...])


class Events:
    """Reads events."""

    def __init__(self, database: Database, cache: Cache) -> None:
        self._database = database
        self._cache = cache

    async def list(self) -> tuple[tuple[Event, ...], bool]:
        """Return all events by id, and whether they came from the cache.

        Raises:
            DependencyError: they were not cached, and PostgreSQL did not answer.
        """
        if (cached := await self._cache.get(EVENTS_CACHED)) is not None:
            return _EVENTS.validate_json(cached), True

        async def select(connection: AsyncConnection) -> tuple[Event, ...]:
            cursor = await connection.execute(f"SELECT {_COLUMNS} FROM events ORDER BY id")  # noqa: S608
            return tuple(Event(*row) for row in await cursor.fetchall())

        events = await self._database.run(select)
        await self._cache.put(EVENTS_CACHED, _EVENTS.dump_json(events), _TTL_SECONDS)
        return events, False

    async def find(self, event_id: int) -> Event:
        """Return one event as it is now.

        Raises:
            RefusedError: there is none with this id.
            DependencyError: PostgreSQL did not answer.
        """

        async def select(connection: AsyncConnection) -> Event | None:
            cursor = await connection.execute(f"SELECT {_COLUMNS} FROM events WHERE id = %s", (event_id,))  # noqa: S608
            row = await cursor.fetchone()
            return Event(*row) if row else None

        if (event := await self._database.run(select)) is None:
            raise RefusedError(404, "unknown_event", f"There is no event {event_id}.")
        return event
