"""The ledger of a run: kept while each scenario goes on, read back when the system is quiet and whole again.

A system without a ticket shop has nothing to keep a ledger of; that is said, and judged only where a ledger was asked
for. Nothing that goes wrong here ends a scenario: its other figures stand, and its writes are told to be unjudged.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flametest.load import Auditor, Ledger, LedgerOptions, LoadError, OrderMix, ShopMissingError
from flametest.load.process import NOTHING_MORE
from flametest.model.events import LedgerEnded, LedgerOmitted, LedgerStarted
from flametest.model.plurals import counted
from flametest.model.writes import Audit, Book
from flametest.run.folder import append_event, stamp

__all__ = ["Bookkeeper", "order_mix"]

_AUDIT_SECONDS = 30.0  # as long as a database may take to come back; a shop that takes longer kept nothing that counts
_DEFAULT_EVENT = 1  # ordered while the books cannot be read: every shop has a first event
_SCARCE_TICKETS_MAX = 2000  # one ledger can buy so many in some minutes


class Bookkeeper:
    """Keeps the ledgers of one run, one a scenario, and reads each back.

    Args:
        url: the entry of the system under test.
        environment: how it is reached, beside this process' own environment.
        wanted: True asks for a ledger, False for none; None keeps one where there is a shop.
    """

    def __init__(self, url: str, wanted: bool | None, environment: Mapping[str, str] = NOTHING_MORE) -> None:
        self._url = url
        self._wanted = wanted
        self._environment = environment
        self._auditor = Auditor(url, environment=environment)
        self._prefix = ""

    @contextmanager
    def writing(self, name: str, seed: int, folder: Path) -> Iterator[None]:
        """Keep a ledger of scenario ``name`` in ``folder`` while the block runs, where there is a shop."""
        history = folder / "history.jsonl"
        self._prefix = ""
        ledger = self._begin(name, seed, folder)
        if isinstance(ledger, LedgerOmitted):
            append_event(history, ledger)
            yield
            return
        self._prefix = ledger.prefix
        append_event(history, LedgerStarted(stamp(), name, ledger.prefix, ledger.orders_per_second))
        with ledger:
            try:
                yield
            finally:
                append_event(history, LedgerEnded(stamp(), name, *_end(ledger)))

    @property
    def has_written(self) -> bool:
        """Return whether the last scenario has a ledger, which can be read back."""
        return bool(self._prefix)

    def read_back(self, saw: Callable[[str], None]) -> Audit:
        """Return what the system kept of the last scenario's writes; it should be quiet and whole."""
        audit = self._auditor.audit(self._prefix, _AUDIT_SECONDS)
        saw(audit.problem or f"{counted(len(audit.orders), 'order')} of this scenario, {audit.orders_total} in all")
        return audit

    def _begin(self, name: str, seed: int, folder: Path) -> Ledger | LedgerOmitted:
        """Return a running ledger, or why there is none."""
        if self._wanted is False:
            return LedgerOmitted(stamp(), name, "none was asked for", asked_for=False)
        try:
            mix = order_mix(self._auditor.begin())
        except ShopMissingError:
            return LedgerOmitted(stamp(), name, "the system has no ticket shop", asked_for=bool(self._wanted))
        except LoadError:  # there may be a shop that is ill: its orders tell
            mix = OrderMix(_DEFAULT_EVENT)
        ledger = Ledger(LedgerOptions(self._url, mix, f"{seed} {name}", environment=self._environment), folder)
        try:
            ledger.start()
        except LoadError as error:
            return LedgerOmitted(stamp(), name, error.message, asked_for=True)
        return ledger


def order_mix(books: Iterable[Book]) -> OrderMix:
    """Return what to order: mostly of the event with most tickets, some of one that sells out while it is watched."""
    by_left = sorted((book for book in books if book.left > 0), key=lambda book: book.left)
    if not by_left:
        return OrderMix(_DEFAULT_EVENT)
    few, most = by_left[0], by_left[-1]
    is_scarce = few is not most and few.left <= _SCARCE_TICKETS_MAX
    return OrderMix(most.event_id, few.event_id if is_scarce else 0)


def _end(ledger: Ledger) -> tuple[int, str]:
    try:
        return ledger.stop().dropped, "stopped"
    except LoadError as error:
        return 0, error.message
