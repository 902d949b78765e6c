"""Which store a definition asks for: requests to the entry, or statements to its database."""

from flametest.ledger.definition import Definition
from flametest.ledger.httpstore import HttpReader, HttpWriter
from flametest.ledger.sqlstore import SqlReader, SqlWriter
from flametest.ledger.store import LedgerReader, LedgerWriter
from flametest.model.routes import Route

__all__ = ["reader_of", "writer_of"]


def writer_of(definition: Definition, url: str, route: Route) -> LedgerWriter:
    """Return what writes as a definition says.

    Raises:
        LoadError: the entry cannot be used.
    """
    if definition.database is None:
        return HttpWriter(definition, url, route)
    return SqlWriter(definition)


def reader_of(definition: Definition, url: str, route: Route) -> LedgerReader:
    """Return what reads back as a definition says; raises as `writer_of` does."""
    if definition.database is None:
        return HttpReader(definition, url, route)
    return SqlReader(definition)
