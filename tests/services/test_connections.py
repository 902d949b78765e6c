"""The services' pool of PostgreSQL connections, against a real server."""

import asyncio

import psycopg

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
