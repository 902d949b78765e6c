"""Which store a definition asks for: requests to the entry, or statements to its database."""

import os
from collections.abc import Mapping

from flametest.ledger.database import database_of
from flametest.ledger.definition import Definition
from flametest.ledger.httpstore import HttpReader, HttpWriter
from flametest.ledger.sqlstore import SqlReader, SqlWriter
from flametest.ledger.store import LedgerReader, LedgerWriter
from flametest.load.exchange import route_of
from flametest.load.process import NOTHING_MORE
from flametest.model.requestids import RequestIds

__all__ = ["reader_of", "writer_of"]


def writer_of(definition: Definition, url: str, environment: Mapping[str, str] = NOTHING_MORE) -> LedgerWriter:
    """Return what writes as a definition says.

    Args:
        definition: the ledger.
        url: the entry of the system under test.
        environment: how the entry and the cluster are reached, beside this process' own environment.

    Raises:
        LoadError: the entry cannot be used.
    """
    if definition.is_sql:
        return SqlWriter(definition, database_of(definition, environment))
    ids = RequestIds.of({**os.environ, **environment})
    return HttpWriter(definition, url, route_of(url, environment), ids)


def reader_of(definition: Definition, url: str, environment: Mapping[str, str] = NOTHING_MORE) -> LedgerReader:
    """Return what reads back as a definition says; takes and raises what `writer_of` does."""
    if definition.is_sql:
        return SqlReader(definition, database_of(definition, environment))
    return HttpReader(definition, url, route_of(url, environment))
