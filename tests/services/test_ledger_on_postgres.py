"""A ledger by SQL against a real PostgreSQL: what it loses, doubles and refuses is what the ledger says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flametest.ledger import Auditor, Ledger, LedgerOptions, NotThereError, read_definition, reader_of
from flametest.measure.durability import WriteRecord, judge_writes
from flametest.measure.ledger import read_attempts, read_looks
from flametest.model.measures import Durability
from flametest.model.writes import LookOutcome, WriteOutcome
from tests.load.conftest import wait_until

__all__ = ["wait_until"]

LEDGER = """
name = "notes"
database = "postgresql://flametest@127.0.0.1:{port}/flametest"

[write]
sql = "INSERT INTO notes (reference, size) VALUES ({{key}}, {{size}}) RETURNING id"
choose.size = [1, 2, 3]
per_second = 100

[read]
sql = "SELECT reference AS key, id, size FROM notes"
find = "SELECT 1 FROM shown WHERE reference = {{key}}"
fields = ["size"]
looks = 0.5

[[count]]
sql = "SELECT coalesce(sum(size), 0) AS size FROM totals"
sum = "size"
laws.total = "size == written"
"""
TABLES = """
DROP TABLE IF EXISTS notes CASCADE; DROP TABLE IF EXISTS totals;
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, reference text NOT NULL, size integer NOT NULL);
CREATE TABLE totals (size integer NOT NULL);
CREATE VIEW shown AS SELECT * FROM notes;
CREATE OR REPLACE FUNCTION add_up() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO totals VALUES (NEW.size); RETURN NEW; END $$;
CREATE TRIGGER add_up AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION add_up();
"""
FIFTH = "(SELECT id FROM notes ORDER BY id OFFSET 4 LIMIT 1)"
PLANTED = {
    "lost": f"DELETE FROM notes WHERE id = {FIFTH}; DELETE FROM totals; INSERT INTO totals SELECT size FROM notes",
    "duplicated": f"INSERT INTO notes (reference, size) SELECT reference, size FROM notes WHERE id = {FIFTH}",
    "phantom": "INSERT INTO notes (reference, size) SELECT min(reference) || '-never-sent', 1 FROM notes",
    "total": "INSERT INTO totals VALUES (1)",
}
REPEATS = 20  # of each of the four, and of a stale read: 100 runs
CLEAN = 50

Condition = Callable[[WriteRecord], bool]


class Notes:
    """A table of notes, its ledger, and what is read back."""

    def __init__(self, database: Any, port: int, folder: Path, wait: Callable[..., None]) -> None:
        self.database = database
        self.folder = folder
        self._wait = wait
        (folder / "ledger.toml").write_text(LEDGER.format(port=port))
        definition = read_definition(folder / "ledger.toml")
        assert definition is not None
        self.definition = definition
        self.auditor = Auditor(definition, reader_of(definition, ""))
        self.auditor.begin()
        self.prefix = ""

    def noted(self) -> WriteRecord:
        """Return what the ledger has noted so far."""
        if not (self.folder / "looks.csv").exists():
            return WriteRecord()
        with (self.folder / "ledger.csv").open(newline="") as attempts, (self.folder / "looks.csv").open() as looks:
            return WriteRecord(read_attempts(attempts), None, read_looks(looks))

    def write(self, *steps: Condition | Callable[[], object]) -> None:
        """Keep a ledger while each step, in its order, comes to hold."""
        with Ledger(LedgerOptions("http://127.0.0.1:1", self.definition, "7"), self.folder) as ledger:
            self.prefix = ledger.prefix
            for step in steps:
                self._wait(lambda step=step: step(self.noted()))
            ledger.stop()

    def judge(self) -> Durability:
        """Return what became of the writes."""
        record = self.noted()
        audit = self.auditor.audit(self.prefix, record.attempts, timeout_seconds=60)
        return judge_writes(WriteRecord(record.attempts, audit, record.looks), self.prefix)


@pytest.fixture
def notes(database: Any, postgres_server: Any, tmp_path: Path, wait_until: Callable[..., None]) -> Notes:
    database.execute(TABLES)
    return Notes(database, postgres_server.port, tmp_path, wait_until)


def acknowledged(number: int) -> Condition:
    """Return the condition that so many writes were acknowledged, and some looked for."""
    return lambda record: (
        sum(one.outcome is WriteOutcome.ACKNOWLEDGED for one in record.attempts) >= number and len(record.looks) >= 5
    )


def broken(found: Durability) -> dict[str, int]:
    """Return the rules that were broken, and how often."""
    return {rule.name: rule.offences.count for rule in found.rules() if rule.offences.count}


def check_sound(notes: Notes) -> None:
    """Check that a database in which nothing was planted is not accused."""
    notes.write(acknowledged(30))
    found = notes.judge()
    assert (found.problem, broken(found)) == ("", {})
    # A busy machine may be late with an answer; that write may be kept.
    assert 30 <= found.acknowledged <= found.kept <= found.acknowledged + found.unknown


def check_planted(notes: Notes, rule: str) -> None:
    """Check that a planted error is found once, and nothing beside it."""
    notes.write(acknowledged(30))
    notes.database.execute(PLANTED[rule])
    assert broken(notes.judge()) == {rule: 1}


def check_stale(notes: Notes) -> None:
    """Check that reads of a replica that lags behind are stale, each that missed an acknowledged write."""
    notes.database.execute("CREATE OR REPLACE VIEW shown AS SELECT * FROM notes WHERE id > 10")
    notes.write(acknowledged(30))
    missed = {one.key for one in notes.noted().looks if one.outcome is LookOutcome.MISSING}
    assert broken(notes.judge()) == {"stale": len(missed)}
    # Of the first ten, each is looked for with a probability of a half; that none is, happens once in 1024 drawings,
    # and the drawing is that of a fixed seed.
    assert missed


def test_a_sound_database_is_not_accused(notes: Notes) -> None:
    check_sound(notes)


@pytest.mark.parametrize("rule", PLANTED)
def test_what_was_planted_is_found_under_its_name(notes: Notes, rule: str) -> None:
    check_planted(notes, rule)


def test_a_replica_that_lags_behind_is_stale(notes: Notes) -> None:
    check_stale(notes)


@pytest.mark.exhaustive
@pytest.mark.parametrize("rule", [*PLANTED, "stale"] * REPEATS)
def test_what_was_planted_is_found_every_time(notes: Notes, rule: str) -> None:
    if rule == "stale":
        check_stale(notes)
    else:
        check_planted(notes, rule)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(CLEAN))
def test_a_sound_database_is_never_accused(notes: Notes, number: int) -> None:
    check_sound(notes)


def test_what_a_constraint_forbids_is_refused_and_names_it(notes: Notes) -> None:
    notes.database.execute("ALTER TABLE notes ADD CONSTRAINT small CHECK (size < 3)")
    notes.write(
        lambda record: sum(one.outcome is WriteOutcome.REFUSED for one in record.attempts) >= 5, acknowledged(10)
    )
    found = notes.judge()
    assert (found.refused_for, found.failed, broken(found)) == ("small", 0, {})


def test_writes_while_the_database_is_away_failed_or_are_unknown_and_none_is_lost(
    notes: Notes, postgres_server: Any
) -> None:
    notes.database.close()

    def away(record: WriteRecord) -> bool:
        return sum(one.outcome is not WriteOutcome.ACKNOWLEDGED for one in record.attempts if one.done_ns) >= 5

    def stop(_: WriteRecord) -> bool:
        postgres_server.stop()
        return True

    def start(_: WriteRecord) -> bool:
        postgres_server.start()
        return True

    def more(record: WriteRecord) -> bool:
        last = [one for one in record.attempts if one.done_ns][-5:]
        return len(last) == 5 and all(one.outcome is WriteOutcome.ACKNOWLEDGED for one in last)

    notes.write(acknowledged(10), stop, away, start, more)
    found = notes.judge()
    assert found.failed + found.unknown >= 5
    assert (found.problem, found.lost.count, found.phantom.count, found.duplicated.count) == ("", 0, 0, 0)


def test_a_table_that_is_not_there_is_said(notes: Notes) -> None:
    notes.database.execute("DROP TABLE notes CASCADE")
    with pytest.raises(NotThereError, match='relation "notes" does not exist'):
        reader_of(notes.definition, "").writes()


def test_reading_back_cannot_change_anything(notes: Notes) -> None:
    read = notes.definition.read
    assert read is not None
    spoilt = notes.definition.model_copy(update={"read": read.model_copy(update={"sql": "DELETE FROM notes"})})
    notes.database.execute("INSERT INTO notes (reference, size) VALUES ('kept', 1)")
    with pytest.raises(Exception, match="read-only transaction"):
        reader_of(spoilt, "").writes()
    assert notes.database.execute("SELECT count(*) FROM notes").fetchone() == (1,)
