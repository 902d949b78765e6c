"""The handle by which a run starts, checks and ends the ledger of writes, which is a process of its own.

A process of its own, as the prober is: neither may delay the other, and a run that dies takes no row with it.
"""

import json
import os
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from flametest.load.child import Child
from flametest.load.errors import LoadError
from flametest.load.exchange import Entry
from flametest.load.orders import REPEAT_DELAYS_SECONDS, OrderMix

__all__ = ["LEDGER_FILE", "ORDERS_PATH", "Ledger", "LedgerOptions", "LedgerSummary"]

LEDGER_FILE = "ledger.csv"
ORDERS_PATH = "/shop/api/orders"
_SUMMARY_FILE = "ledger.json"
_LOG_FILE = "ledger.log"
_TIMEOUT_SECONDS = 3.0  # the shop promises an answer within 2 s
_STOP_MARGIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LedgerOptions:
    """What is ordered, and where.

    Attributes:
        url: the entry of the system under test.
        mix: what is ordered.
        seed: of the mix.
        orders_per_second: orders a second, repeats excluded; few enough to leave the other figures alone.
        seconds_max: the ledger ends by itself after so long, should nobody end it.
    """

    url: str
    mix: OrderMix
    seed: str
    orders_per_second: float = 10.0
    seconds_max: float = 3600.0


@dataclass(frozen=True, slots=True)
class LedgerSummary:
    """What the ledger says of itself at its end: orders written, and those of its schedule that it did not send."""

    orders: int
    dropped: int


class Ledger:
    """A ledger that writes `LEDGER_FILE` into ``record_folder``, which exists.

    As a context manager it starts on entry, if it was not started before, and ends on every way out. ``prefix`` begins
    each of its keys; it is drawn anew for each ledger, whatever the seed, since a key that was used before would be
    answered with the old order.
    """

    def __init__(self, options: LedgerOptions, record_folder: Path) -> None:
        self.prefix = f"ledger-{uuid.uuid4().hex[:12]}-"
        self._options = options
        self._folder = record_folder
        self._child: Child | None = None

    @property
    def orders_per_second(self) -> float:
        """Return the rate of its schedule."""
        return self._options.orders_per_second

    def __enter__(self) -> "Ledger":
        if self._child is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._end()

    def start(self) -> None:
        """Start the process.

        Raises:
            LoadError: the URL is none, the folder has a ledger already, or the process cannot be started.
        """
        url = self._options.url.rstrip("/") + ORDERS_PATH
        Entry.from_url(url)
        ledger = self._folder / LEDGER_FILE
        if ledger.exists():
            raise LoadError(f"{ledger} exists already", "record into a new folder")
        mix = self._options.mix
        command = [sys.executable, "-m", "flametest.load.ledger_main", url, str(ledger)]
        command += ["--summary", str(self._folder / _SUMMARY_FILE), "--prefix", self.prefix]
        command += ["--customer", self.prefix.strip("-"), "--seed", self._options.seed]
        command += ["--event", str(mix.event_id), "--scarce-event", str(mix.scarce_event_id)]
        command += ["--scarce-share", str(mix.scarce_share), "--repeat-share", str(mix.repeat_share)]
        command += ["--orders-per-second", str(self._options.orders_per_second)]
        command += ["--timeout-seconds", str(_TIMEOUT_SECONDS), "--seconds-max", str(self._options.seconds_max)]
        command += ["--parent", str(os.getpid())]
        self._child = Child("the ledger of writes", command, self._folder / _LOG_FILE)

    def check(self) -> None:
        """Do nothing while it writes.

        Raises:
            LoadError: it died; the message has its last words.
        """
        if self._child is not None:
            self._child.check()

    def stop(self) -> LedgerSummary:
        """End it, let what it has sent be answered, and return its summary; every row is then written.

        Raises:
            LoadError: it was not running any more, or ended without a summary.
        """
        if self._child is None:
            raise LoadError("the ledger of writes was not started")
        try:
            self.check()
        finally:
            code = self._end()
        try:
            return LedgerSummary(**json.loads((self._folder / _SUMMARY_FILE).read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise LoadError(
                f"the ledger of writes ended with code {code} and no summary", f"see {self._folder / _LOG_FILE}"
            ) from error

    def _end(self) -> int:
        assert self._child is not None
        child, self._child = self._child, None
        return child.stop(_TIMEOUT_SECONDS + max(REPEAT_DELAYS_SECONDS) + _STOP_MARGIN_SECONDS)
