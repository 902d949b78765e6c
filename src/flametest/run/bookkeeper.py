"""The ledger of a run: kept while each scenario lasts, read back when the system is quiet and whole again.

A project without `ledger.toml` has nothing to keep a ledger of; that is said, and judged only where a ledger was asked
for. Nothing that goes wrong here ends a scenario: its other figures stand, and its writes are said to be unjudged.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flametest.ledger import (
    LEDGER_DEFINITION,
    LEDGER_FILE,
    Auditor,
    Definition,
    Ledger,
    LedgerOptions,
    NotThereError,
    read_definition,
    reader_of,
)
from flametest.load import LoadError
from flametest.load.process import NOTHING_MORE
from flametest.measure.ledger import read_attempts
from flametest.model.events import LedgerEnded, LedgerOmitted, LedgerStarted
from flametest.model.writes import Audit
from flametest.run.folder import append_event, stamp
from flametest.run.project import Project

__all__ = ["Bookkeeper", "LedgerWish"]

_AUDIT_SECONDS = 30.0  # as long as a database may take to come back


@dataclass(frozen=True, slots=True)
class LedgerWish:
    """Whether a ledger is kept, and which.

    Attributes:
        definition: what is written; None where the project has no ledger.toml, or none is wanted.
        wanted: True asks for a ledger, False for none; None keeps one where one is defined.
        is_of_the_system: whether it is known to be one of this very system, so that one which does not fit is a doubt.
    """

    definition: Definition | None
    wanted: bool | None
    is_of_the_system: bool = True

    @classmethod
    def of(cls, project: Project, wanted: bool | None, *, deploying: bool = True) -> "LedgerWish":
        """Return the ledger of a project; the shipped one's may be of another system than one that is there already.

        Raises:
            DefinitionError: its ledger.toml cannot be used.
        """
        definition = read_definition(project.ledger_file) if wanted is not False else None
        return cls(definition, wanted, bool(wanted) or deploying or not project.is_shipped)


class Bookkeeper:
    """Keeps the ledgers of one run, one a scenario, and reads each back.

    Args:
        url: the entry of the system under test.
        wish: whether a ledger is kept, and which.
        environment: how the entry is reached, beside this process' own environment.
    """

    def __init__(
        self,
        url: str,
        wish: LedgerWish,
        environment: Mapping[str, str] = NOTHING_MORE,
    ) -> None:
        self._url = url
        self._definition = wish.definition
        self._wanted = wish.wanted
        self._is_of_the_system = wish.is_of_the_system
        self._environment = environment
        self._auditor: Auditor | None = None
        self._written: tuple[str, Path] | None = None

    @contextmanager
    def writing(self, name: str, seed: int, folder: Path) -> Iterator[None]:
        """Keep a ledger of scenario ``name`` in ``folder`` while the block runs, where one is defined."""
        history = folder / "history.jsonl"
        self._written = None
        ledger = self._begin(name, seed, folder)
        if isinstance(ledger, LedgerOmitted):
            append_event(history, ledger)
            yield
            return
        self._written = ledger.prefix, folder / LEDGER_FILE
        append_event(history, self._started(name, ledger.prefix))
        with ledger:
            try:
                yield
            finally:
                append_event(history, LedgerEnded(stamp(), name, *_end(ledger)))

    def try_reading(self) -> str:
        """Read back what the system keeps now, and return in words what was found and what would be written.

        Raises:
            LoadError: the definition is not one of this system, or that does not answer.
        """
        definition = self._definition
        assert definition is not None
        try:
            found = self._audits(definition).begin()
        except NotThereError as error:
            if self._is_of_the_system:
                raise
            return f"none will be kept: {error.message}"
        asked = definition.write.request or "a statement"
        return f"{found}; would write {definition.write.per_second:g} a second by {asked}"

    @property
    def has_written(self) -> bool:
        """Return whether the last scenario has a ledger, which can be read back; one that was over at once has none."""
        return self._written is not None and self._written[1].exists()

    def read_back(self, saw: Callable[[str], None]) -> Audit:
        """Return what the system kept of the last scenario's writes; it should be quiet and whole."""
        assert self._written is not None
        assert self._auditor is not None
        assert self._definition is not None
        prefix, record = self._written
        with record.open(newline="") as lines:
            attempts = read_attempts(lines)
        audit = self._auditor.audit(prefix, attempts, _AUDIT_SECONDS)
        name = self._definition.name
        saw(audit.problem or f"{len(audit.writes)} {name} of this scenario, {audit.writes_total} in all")
        return audit

    def _started(self, name: str, prefix: str) -> LedgerStarted:
        definition = self._definition
        assert definition is not None
        return LedgerStarted(stamp(), name, prefix, definition.name, definition.write.per_second, not definition.is_sql)

    def _begin(self, name: str, seed: int, folder: Path) -> Ledger | LedgerOmitted:
        """Return a running ledger, or why there is none."""
        if self._wanted is False:
            return LedgerOmitted(stamp(), name, "none was requested", asked_for=False)
        if self._definition is None:
            reason = f"the project has no experiments/{LEDGER_DEFINITION}"
            return LedgerOmitted(stamp(), name, reason, asked_for=bool(self._wanted))
        ledger = Ledger(
            LedgerOptions(self._url, self._definition, f"{seed} {name}", environment=self._environment), folder
        )
        try:
            self._begin_audit(self._definition)
            ledger.start()
        except NotThereError as error:
            return LedgerOmitted(stamp(), name, error.message, asked_for=self._is_of_the_system)
        except LoadError as error:
            return LedgerOmitted(stamp(), name, error.message, asked_for=True)
        return ledger

    def _begin_audit(self, definition: Definition) -> None:
        """Note what the system keeps now.

        Raises:
            LoadError: the definition is not one of this system.
        """
        try:
            self._audits(definition).begin()
        except NotThereError:
            raise
        except LoadError:
            return  # a system that does not answer: its writes tell

    def _audits(self, definition: Definition) -> Auditor:
        if self._auditor is None:
            reader = reader_of(definition, self._url, self._environment)
            self._auditor = Auditor(definition, reader)
        return self._auditor


def _end(ledger: Ledger) -> tuple[int, str]:
    try:
        return ledger.stop().dropped, "stopped"
    except LoadError as error:
        return 0, error.message
