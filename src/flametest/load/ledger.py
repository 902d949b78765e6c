"""The handle by which a run starts, checks and ends the ledger of writes, which is a process of its own."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flametest.load.exchange import Entry, route_of
from flametest.load.orders import REPEAT_DELAYS_SECONDS, OrderMix
from flametest.load.process import Recording, RecordingProcess

__all__ = ["LEDGER_FILE", "ORDERS_PATH", "Ledger", "LedgerOptions", "LedgerSummary"]

LEDGER_FILE = "ledger.csv"
ORDERS_PATH = "/shop/api/orders"
_TIMEOUT_SECONDS = 3.0  # the shop promises an answer within 2 s


@dataclass(frozen=True, slots=True)
class LedgerOptions:
    """What is ordered, and where.

    Attributes:
        url: the entry of the system under test.
        mix: what is ordered.
        seed: of the mix.
        orders_per_second: orders a second, repeats excluded; few enough to leave the other figures alone.
        seconds_max: the ledger ends by itself after so long, should nobody end it.
        environment: how the entry is reached; see `flametest.model.routes`.
    """

    url: str
    mix: OrderMix
    seed: str
    orders_per_second: float = 10.0
    seconds_max: float = 3600.0
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LedgerSummary:
    """What the ledger says of itself at its end: orders written, and those of its schedule that it did not send."""

    orders: int
    dropped: int


class Ledger(RecordingProcess[LedgerSummary]):
    """A ledger that writes `LEDGER_FILE` into ``record_folder``.

    ``prefix`` begins each of its keys; it is drawn again for each ledger, whatever the seed, since a key that was used
    before would be answered with the old order.
    """

    recording = Recording(
        "the ledger of writes", "flametest.load.ledger_main", LEDGER_FILE, "ledger.json", "ledger.log"
    )

    def __init__(self, options: LedgerOptions, record_folder: Path) -> None:
        super().__init__(record_folder, options.environment)
        self.prefix = f"ledger-{uuid.uuid4().hex[:12]}-"
        self._options = options

    @property
    def orders_per_second(self) -> float:
        """Return the rate of its schedule."""
        return self._options.orders_per_second

    @property
    def _seconds_to_finish(self) -> float:
        return _TIMEOUT_SECONDS + max(REPEAT_DELAYS_SECONDS)

    def _arguments(self) -> Sequence[object]:
        options, mix = self._options, self._options.mix
        url = options.url.rstrip("/") + ORDERS_PATH
        Entry.from_url(url, route_of(url, options.environment))
        return (
            *(url, "--prefix", self.prefix, "--customer", self.prefix.strip("-"), "--seed", options.seed),
            *("--event", mix.event_id, "--scarce-event", mix.scarce_event_id),
            *("--scarce-share", mix.scarce_share, "--repeat-share", mix.repeat_share),
            *("--orders-per-second", options.orders_per_second),
            *("--timeout-seconds", _TIMEOUT_SECONDS, "--seconds-max", options.seconds_max),
        )

    def _summarize(self, content: dict[str, int]) -> LedgerSummary:
        return LedgerSummary(**content)
