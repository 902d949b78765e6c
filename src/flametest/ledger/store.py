"""How a ledger reaches what it writes to: by requests (`httpstore`) or by statements (`sqlstore`)."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from flametest.ledger.outcomes import Written
from flametest.load.errors import LoadError
from flametest.model.writes import LookOutcome, StoredWrite

__all__ = ["LedgerReader", "LedgerWriter", "Looked", "NotThereError", "Reached", "ReachedAtOnce", "StoreGoneError"]


class NotThereError(LoadError):
    """The system under test has nothing that the ledger could read: its entry does not know the route, or the table."""


class StoreGoneError(NotThereError):
    """The store itself says that what would hold the writes, such as a table, does not exist: nothing is kept."""


class Looked(NamedTuple):
    """What a read of one write has shown: the outcome, the HTTP status (0 without), what went wrong."""

    outcome: LookOutcome
    status: int
    error: str


class Reached(Protocol):
    """What is reached while a ``with`` block lasts, and may be reached again afterwards; entering raises LoadError."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ReachedAtOnce:
    """What each request reaches by a connection of its own, so that there is nothing to begin or to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class LedgerWriter(Reached, Protocol):
    """Writes, and looks for single writes, while the ledger runs. Several requests may be under way at once."""

    def new_id(self) -> str:
        """Return the id that the next request is to carry; empty where requests carry none."""

    async def write(self, values: Mapping[str, object], trace_id: str) -> Written:
        """Send one write, by HTTP with that id, and return what became of it, within the definition's timeout."""

    async def look(self, values: Mapping[str, object], trace_id: str) -> Looked:
        """Look for one write that was acknowledged, by HTTP with that id."""


class LedgerReader(Reached, Protocol):
    """Reads back what was kept. Every method raises LoadError where the system does not answer."""

    def writes(self) -> Sequence[StoredWrite]:
        """Return every write that the system keeps.

        Raises:
            NotThereError: the system knows no such list.
        """

    def counts(self, number: int) -> Sequence[Mapping[str, Any]]:
        """Return what the definition's count of that number consists of: the fields of each item.

        Raises:
            NotThereError: the system knows no such count.
        """

    def look(self, values: Mapping[str, object]) -> LookOutcome:
        """Return whether the system keeps one write."""
