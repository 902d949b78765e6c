"""A ledger by SQL: each write a transaction of its own on a connection of its own, by Psycopg to PostgreSQL.

A statement that the server has rejected was rolled back, so it certainly did not take place, whatever the reason; where
the server or the connection went away after it was sent, nothing is known. Classes of SQLSTATE are those of appendix A
of PostgreSQL's documentation.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row

from flametest.ledger.database import Database
from flametest.ledger.definition import Definition
from flametest.ledger.outcomes import Written, text_of
from flametest.ledger.store import Looked, NotThereError, StoreGoneError
from flametest.ledger.template import placeholders, sql_with_parameters
from flametest.load.errors import LoadError
from flametest.model.writes import LookOutcome, StoredWrite, WriteOutcome

__all__ = ["SqlReader", "SqlWriter"]

_CONNECT_SECONDS = 5
_REMEDY = "check the database; a password is taken from PGPASSWORD or a password file"
# Integrity constraints, exceptions that a function raises, and data that does not fit: about the write itself.
_ABOUT_THE_WRITE = ("22", "23", "P0")
# The connection, the operator's intervention, system errors; and 40003, "statement completion unknown".
_ABOUT_THE_SERVER = ("08", "57", "58", "XX", "F0")
_COMPLETION_UNKNOWN = "40003"
_GONE = ("42P01", "3F000", "3D000")  # table, schema, database
_NOT_THERE = "42703"  # column


class _SqlStore:
    """A database that is reached while a ``with`` block lasts."""

    def __init__(self, definition: Definition, database: Database) -> None:
        self._definition = definition
        self._write = definition.write
        self._read = definition.read
        self._database = database

    def __enter__(self) -> Self:
        self._database.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.__exit__(kind, error, trace)


class SqlWriter(_SqlStore):
    """Writes to the database of the definition."""

    def new_id(self) -> str:
        """Return the empty id: statements carry none."""
        return ""

    async def write(self, values: Mapping[str, object], trace_id: str) -> Written:
        """Execute one write and return what became of it."""
        assert self._write.sql is not None
        progress = [False]
        try:
            async with asyncio.timeout(self._write.timeout_seconds):
                row = await self._execute(self._write.sql, values, progress)
        except TimeoutError:
            return Written(_open_outcome(progress), 0, "", "timeout")
        except psycopg.Error as error:
            return _rejected(error, was_sent=progress[0])
        except OSError:
            return Written(_open_outcome(progress), 0, "", "other")
        return Written(WriteOutcome.ACKNOWLEDGED, 0, text_of(row.get("id")), "")

    async def look(self, values: Mapping[str, object], trace_id: str) -> Looked:
        """Look for one write."""
        assert self._read is not None
        assert self._read.find is not None
        try:
            async with asyncio.timeout(self._write.timeout_seconds):
                row = await self._execute(self._read.find, values, [False])
        except TimeoutError:
            return Looked(LookOutcome.UNKNOWN, 0, "timeout")
        except (psycopg.Error, OSError) as error:
            return Looked(LookOutcome.UNKNOWN, 0, getattr(error, "sqlstate", None) or "other")
        return Looked(LookOutcome.FOUND if row else LookOutcome.MISSING, 0, "")

    async def _execute(self, statement: str, values: Mapping[str, object], was_sent: list[bool]) -> dict[str, Any]:
        connection = await psycopg.AsyncConnection.connect(
            autocommit=True, row_factory=dict_row, client_encoding="UTF8", **self._database.parameters
        )
        try:
            was_sent[0] = True
            cursor = await connection.execute(*_query(statement, values))
            return (await cursor.fetchone() or {}) if cursor.description else {}
        finally:
            await connection.close()


class SqlReader(_SqlStore):
    """Reads back from the database of the definition."""

    def writes(self) -> Sequence[StoredWrite]:
        """Return every write of the query."""
        read = self._read
        assert read is not None
        assert read.sql is not None
        rows = self._rows(read.sql, {})
        missing = [name for name in read.fields if rows and name not in rows[0]]
        if missing or (rows and not {"key", "id"} & set(rows[0])):
            raise NotThereError(
                f"read.sql has no column {missing[0] if missing else 'key, nor id'}", "name it so in the query, by AS"
            )
        return [
            StoredWrite(
                text_of(row.get("id")), text_of(row.get("key")), {name: plain(row[name]) for name in read.fields}
            )
            for row in rows
        ]

    def counts(self, number: int) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a count."""
        count = self._definition.count[number]
        assert count.sql is not None
        return [{name: plain(value) for name, value in row.items()} for row in self._rows(count.sql, {})]

    def look(self, values: Mapping[str, object]) -> LookOutcome:
        """Return whether the database keeps one write."""
        read = self._read
        assert read is not None
        assert read.find is not None
        return LookOutcome.FOUND if self._rows(read.find, values) else LookOutcome.MISSING

    def _rows(self, statement: str, values: Mapping[str, object]) -> list[dict[str, Any]]:
        try:
            with psycopg.connect(
                autocommit=True,
                row_factory=dict_row,
                client_encoding="UTF8",
                connect_timeout=_CONNECT_SECONDS,
                **self._database.parameters,
            ) as connection:
                # The query itself may not change anything, whatever stands in it.
                connection.execute("SET default_transaction_read_only = on")
                cursor = connection.execute(*_query(statement, values))
                return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            kind = StoreGoneError if error.sqlstate in _GONE else LoadError
            kind = NotThereError if error.sqlstate == _NOT_THERE else kind
            reason = (not error.sqlstate and self._database.problem) or _words(error)
            raise kind(f"the database: {reason}", _REMEDY) from error


def plain(value: object) -> object:
    """Return a value of a column as JSON would have it."""
    if isinstance(value, Decimal):
        whole = float(value)
        return int(whole) if math.isfinite(whole) and whole == int(whole) else whole
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _query(statement: str, values: Mapping[str, object]) -> tuple[Any, Mapping[str, object]]:
    used = set(placeholders(statement))
    return sql_with_parameters(statement), {name: value for name, value in values.items() if name in used}


def _open_outcome(progress: Sequence[bool]) -> WriteOutcome:
    return WriteOutcome.UNKNOWN if progress[0] else WriteOutcome.FAILED


def _rejected(error: psycopg.Error, *, was_sent: bool) -> Written:
    state = error.sqlstate or ""
    if not was_sent:
        return Written(WriteOutcome.FAILED, 0, "", state or "refused")
    if not state or state.startswith(_ABOUT_THE_SERVER) or state == _COMPLETION_UNKNOWN:
        return Written(WriteOutcome.UNKNOWN, 0, "", state or "reset")
    if state.startswith(_ABOUT_THE_WRITE):
        return Written(WriteOutcome.REFUSED, 0, "", error.diag.constraint_name or _words(error))
    return Written(WriteOutcome.FAILED, 0, "", state)


def _words(error: psycopg.Error) -> str:
    """Return the first line of what the server says; no statement, whose values may be nobody's business."""
    return " ".join((error.diag.message_primary or str(error).partition("\n")[0]).split())[:120]
