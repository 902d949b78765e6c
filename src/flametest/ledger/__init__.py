"""The ledger of writes: what an application is asked to keep, and whether it did.

definition  ``experiments/ledger.toml``: which requests write, and how what was kept is read back
template    texts with placeholders; pure
plan        what is written, one write after the other; pure
outcomes    what an answer says of a write; pure
store       the protocols by which the rest reaches the application; `stores` has the one that a definition asks for
httpstore   by requests through the entry
sqlstore    by statements to PostgreSQL
database    where that is: at a URI, or behind a Service of the cluster
records     the CSV files of attempts and looks, written before and after each
main        the ledger's process: unique writes at a constant rate, some of them twice
handle      the handle by which a run starts, checks and ends it
auditor     reading back what the application kept

What became of the writes is judged by `flametest.measure.durability`.
"""

from flametest.ledger.auditor import Auditor
from flametest.ledger.database import ledger_rights
from flametest.ledger.definition import LEDGER_DEFINITION, Definition, DefinitionError, read_definition
from flametest.ledger.handle import LEDGER_FILE, LOOKS_FILE, Ledger, LedgerOptions, LedgerSummary
from flametest.ledger.store import NotThereError
from flametest.ledger.stores import reader_of

__all__ = [
    "LEDGER_DEFINITION",
    "LEDGER_FILE",
    "LOOKS_FILE",
    "Auditor",
    "Definition",
    "DefinitionError",
    "Ledger",
    "LedgerOptions",
    "LedgerSummary",
    "NotThereError",
    "ledger_rights",
    "read_definition",
    "reader_of",
]
