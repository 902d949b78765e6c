"""The handle by which a run starts, checks and ends the ledger of writes, which is a process of its own."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flametest.ledger.definition import Definition
from flametest.ledger.plan import REPEAT_DELAYS_SECONDS
from flametest.load.exchange import Entry, route_of
from flametest.load.process import Recording, RecordingProcess

__all__ = ["LEDGER_FILE", "LOOKS_FILE", "Ledger", "LedgerOptions", "LedgerSummary"]

LEDGER_FILE = "ledger.csv"
LOOKS_FILE = "looks.csv"
_DEFINITION_FILE = "ledger-definition.json"


@dataclass(frozen=True, slots=True)
class LedgerOptions:
    """What is written, and where.

    Attributes:
        url: the entry of the system under test.
        definition: what is written.
        seed: of the draws.
        seconds_max: the ledger ends by itself after so long, should nobody end it.
        environment: how the entry is reached; see `flametest.model.routes`.
    """

    url: str
    definition: Definition
    seed: str
    seconds_max: float = 3600.0
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LedgerSummary:
    """What the ledger says of itself at its end: what it wrote, and the writes of its schedule that it did not send."""

    writes: int
    dropped: int


class Ledger(RecordingProcess[LedgerSummary]):
    """A ledger that writes `LEDGER_FILE` and `LOOKS_FILE` into ``record_folder``.

    ``prefix`` begins each of its keys; it is drawn again for each ledger, whatever the seed, since a key that was used
    before would be answered with the old write.
    """

    recording = Recording("the ledger of writes", "flametest.ledger.main", LEDGER_FILE, "ledger.json", "ledger.log")

    def __init__(self, options: LedgerOptions, record_folder: Path) -> None:
        super().__init__(record_folder, options.environment)
        self.prefix = f"ledger-{uuid.uuid4().hex[:12]}-"
        self._options = options

    @property
    def _seconds_to_finish(self) -> float:
        return 2 * self._options.definition.write.timeout_seconds + max(REPEAT_DELAYS_SECONDS)

    def _arguments(self) -> Sequence[object]:
        options = self._options
        Entry.from_url(options.url, route_of(options.url, options.environment))
        definition = self._folder / _DEFINITION_FILE
        definition.write_text(options.definition.model_dump_json(exclude_defaults=True) + "\n", encoding="utf-8")
        return (
            *(options.url, "--prefix", self.prefix, "--seed", options.seed, "--definition", definition),
            *("--looks", self._folder / LOOKS_FILE, "--seconds-max", options.seconds_max),
        )

    def _summarize(self, content: dict[str, int]) -> LedgerSummary:
        return LedgerSummary(**content)
