"""The services' pool of PostgreSQL connections, against a real server."""

import asyncio
from typing import Any, cast

import psycopg
import pytest

from servicekit import connections
from servicekit.connections import ConnectionPool
from tests.services.conftest import Server


def test_text_is_text_though_the_database_was_initialised_without_an_encoding(postgres_server: Server) -> None:
    place = f"host=127.0.0.1 port={postgres_server.port} user=flametest"
    with psycopg.connect(f"{place} dbname=postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE plain ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")

    async def read() -> object:
        pool = ConnectionPool(f"{place} dbname=plain", 1)
        try:
            async with pool.connection() as connection:
                cursor = await connection.execute("SELECT 'Grüße'::text")
                return (await cursor.fetchall())[0][0]
        finally:
            await pool.close()

    assert asyncio.run(read()) == "Grüße"


class Connecting:
    """Stands for psycopg's connection: each is made only when a test lets it be."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.begun = 0
        self.refused = False

    async def connect(self, *_: object, **__: object) -> Any:
        self.begun += 1
        await self.may.wait()
        if self.refused:
            raise psycopg.OperationalError("refused")
        return Made(self.begun)


class Made:
    closed = False

    def __init__(self, number: int) -> None:
        self.number = number

    async def execute(self, _: str) -> None:
        """Answer."""

    async def close(self) -> None:
        """Close nothing."""


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch) -> Connecting:
    found = Connecting()
    monkeypatch.setattr(psycopg.AsyncConnection, "connect", found.connect)
    return found


async def number_of(pool: ConnectionPool) -> int:
    """Return which connection a client gets, counted as they were begun."""
    async with pool.connection() as connection:
        return int(cast(Any, connection).number)


async def given_up(pool: ConnectionPool) -> None:
    """Ask for a connection, and give up while it is being made."""
    client = asyncio.create_task(number_of(pool))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    client.cancel()
    await asyncio.wait([client])


def test_a_connection_that_is_slow_to_make_is_made_though_nobody_waits_so_long(connecting: Connecting) -> None:
    async def clients() -> list[int]:
        connecting.may = asyncio.Event()
        pool = ConnectionPool("", 2)
        for _ in range(5):
            await given_up(pool)
        connecting.may.set()
        return [await number_of(pool), await number_of(pool)]

    assert asyncio.run(clients()) == [1, 1]
    assert connecting.begun == 1


def test_one_that_was_refused_meanwhile_is_asked_for_again(connecting: Connecting) -> None:
    async def clients() -> int:
        connecting.may = asyncio.Event()
        pool = ConnectionPool("", 1)
        await given_up(pool)
        connecting.refused = True
        connecting.may.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        connecting.refused = False
        return await number_of(pool)

    assert asyncio.run(clients()) == 2


def test_one_that_has_taken_too_long_is_given_up(connecting: Connecting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_BEGUN_SECONDS_MAX", 0.0)

    async def clients() -> int:
        connecting.may = asyncio.Event()
        pool = ConnectionPool("", 1)
        await given_up(pool)
        await given_up(pool)
        connecting.may.set()
        return await number_of(pool)

    assert asyncio.run(clients()) in (2, 3)
