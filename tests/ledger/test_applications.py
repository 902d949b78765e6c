"""Applications of any kind: what is planted in them is found under its name, and a sound one is never accused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flametest.ledger import Auditor, Definition, Ledger, LedgerOptions, read_definition, reader_of
from flametest.measure.durability import WriteRecord, judge_writes
from flametest.measure.ledger import read_attempts, read_looks
from flametest.model.measures import Durability
from flametest.model.writes import WriteOutcome
from tests.ledger.applications import Application, Jobs, ListedVotes, Votes

WaitUntil = Callable[..., None]
PLANTED: list[tuple[type[Application], str, str]] = [
    (Votes, "lost", "lost"),
    (Votes, "phantom", "phantom"),
    (Jobs, "lost", "lost"),
    (Jobs, "refused and kept", "phantom"),
    (Jobs, "phantom", "phantom"),
    (Jobs, "changed", "phantom"),
    (Jobs, "duplicated", "duplicated"),
    (Jobs, "stale", "stale"),
    (Jobs, "wrong total", "wrong total"),
]
REPEATS = 12  # of each of the nine: 108 runs


def defined(application: Application, folder: Path) -> Definition:
    """Return an application's own ledger."""
    (folder / "ledger.toml").write_text(application.ledger)
    definition = read_definition(folder / "ledger.toml")
    assert definition is not None
    return definition


@contextmanager
def keeping(application: Application, folder: Path) -> Iterator[tuple[Ledger, Auditor, Callable[[], WriteRecord]]]:
    """Keep a ledger while the block runs; yields it, its auditor, and what was noted so far."""
    definition = defined(application, folder)
    auditor = Auditor(definition, reader_of(definition, application.url))
    auditor.begin()

    def noted() -> WriteRecord:
        if not (folder / "looks.csv").exists():
            return WriteRecord()
        with (folder / "ledger.csv").open(newline="") as attempts, (folder / "looks.csv").open(newline="") as looks:
            return WriteRecord(read_attempts(attempts), None, read_looks(looks))

    with Ledger(LedgerOptions(application.url, definition, folder.name), folder) as ledger:
        yield ledger, auditor, noted


def judged(application: Application, folder: Path, wait_until: WaitUntil) -> Durability:
    """Return what a ledger of some dozen writes finds."""
    with keeping(application, folder) as (ledger, auditor, noted):
        wait_until(
            lambda: _acknowledged(noted()) >= 30 and len(noted().looks) >= (10 if "find" in application.ledger else 0)
        )
        ledger.stop()
        found = noted()
    audit = auditor.audit(ledger.prefix, found.attempts, timeout_seconds=60)
    return judge_writes(WriteRecord(found.attempts, audit, found.looks), ledger.prefix)


def _acknowledged(record: WriteRecord) -> int:
    return sum(one.outcome is WriteOutcome.ACKNOWLEDGED for one in record.attempts)


def broken(found: Durability) -> dict[str, int]:
    """Return the rules that were broken, and how often."""
    return {rule.name: rule.offences.count for rule in found.rules() if rule.offences.count}


@pytest.mark.parametrize("kind", [Votes, Jobs])
def test_a_sound_application_is_not_accused(kind: type[Application], tmp_path: Path, wait_until: WaitUntil) -> None:
    with kind() as application:
        found = judged(application, tmp_path, wait_until)
    assert (found.problem, broken(found)) == ("", {})
    assert found.acknowledged >= 30
    assert found.kept == (0 if kind is Votes else found.acknowledged)


def test_counts_to_which_no_write_belongs_judge_nothing(tmp_path: Path, wait_until: WaitUntil) -> None:
    with ListedVotes() as application:
        found = judged(application, tmp_path, wait_until)
    assert "no count is of a quote that was written: counts have 'Quote 0.', writes have" in found.problem


@pytest.mark.parametrize(("kind", "planted", "rule"), PLANTED)
def test_what_was_planted_is_found_under_its_name(
    kind: type[Application], planted: str, rule: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    check_planted(kind, planted, rule, tmp_path, wait_until)


def check_planted(kind: type[Application], planted: str, rule: str, folder: Path, wait_until: WaitUntil) -> None:
    """Check that a planted error is found once, and nothing beside it."""
    with kind() as application:
        application.spoil = planted
        found = judged(application, folder, wait_until)
        assert application.spoilt == (planted != "wrong total")
    assert (found.problem, broken(found)) == ("", {rule: 1})


@pytest.mark.exhaustive
@pytest.mark.parametrize(("kind", "planted", "rule"), PLANTED * REPEATS)
def test_what_was_planted_is_found_every_time(
    kind: type[Application], planted: str, rule: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    check_planted(kind, planted, rule, tmp_path, wait_until)


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(25))
@pytest.mark.parametrize("kind", [Votes, Jobs])
def test_a_sound_application_is_never_accused(
    kind: type[Application], number: int, tmp_path: Path, wait_until: WaitUntil
) -> None:
    with kind() as application:
        assert broken(judged(application, tmp_path, wait_until)) == {}
