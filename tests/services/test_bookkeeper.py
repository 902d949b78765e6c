"""The bookkeeper of a run, against the real shop: what it notes down is judged, and what is missing is said."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flametest.measure.durability import WriteRecord, durability
from flametest.measure.ledger import read_attempts
from flametest.model.events import LedgerEnded, LedgerOmitted, LedgerStarted
from flametest.model.measures import Durability
from flametest.model.writes import Audit, ReadScope
from flametest.run.bookkeeper import Bookkeeper, LedgerWish
from flametest.run.folder import RunFolder, RunInputs
from flametest.run.project import ProjectError
from tests.ledger.conftest import ledger_of_the_shop
from tests.patience import PATIENCE_SECONDS

SHOP = LedgerWish(ledger_of_the_shop(), None)
INPUTS = RunInputs(
    "r", "sandbox", "", "flametest", "http://127.0.0.1", "core", 7, "flametest run", "", ("one",), (), ()
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", INPUTS)


@pytest.fixture
def shop(frontend: Any, shop_database: Any) -> str:
    assert frontend.ask("GET", "/shop/api/events").status == 200  # which makes the tables
    return f"http://127.0.0.1:{frontend.port}"


def wait_for_rows(folder: Path, number: int) -> None:
    """Return once the ledger has written so many attempts."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while rows_of(folder) < number:
        assert time.monotonic() < deadline, "the ledger did not get so far"
        time.sleep(0.02)


def rows_of(folder: Path) -> int:
    """Return how many attempts the ledger has written."""
    if not (folder / "ledger.csv").exists():
        return 0
    with (folder / "ledger.csv").open(newline="") as lines:
        return len(read_attempts(lines))


def judged(folder: RunFolder) -> Durability | None:
    """Return the judgement of what lies in the folder."""
    folder.fold("one")
    return durability(folder.history(), folder.writes("one"))


@contextmanager
def scenario(bookkeeper: Bookkeeper, folder: RunFolder, rows: int = 10) -> Iterator[Path]:
    """Keep a ledger for some rows."""
    own = folder.scenario("one")
    with bookkeeper.writing("one", 7, own):
        wait_for_rows(own, rows)
        yield own


def test_a_scenario_that_is_over_before_its_ledger_begins_has_nothing_to_read_back(
    shop: str, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hypothesis did not hold before the fault, say; what the scenario shows is told nevertheless."""
    monkeypatch.setattr("flametest.run.bookkeeper.Ledger.start", lambda _: None)
    bookkeeper = Bookkeeper(shop, SHOP)
    with bookkeeper.writing("one", 7, folder.scenario("one")):
        pass
    assert not bookkeeper.has_written
    result = judged(folder)
    assert result is not None
    assert result.problem


def test_what_was_written_is_read_back_and_judged(shop: str, folder: RunFolder) -> None:
    bookkeeper, seen = Bookkeeper(shop, SHOP), list[str]()
    with scenario(bookkeeper, folder):
        pass
    assert bookkeeper.has_written
    folder.write_audit("one", bookkeeper.read_back(seen.append))
    result = judged(folder)
    assert result is not None
    assert (result.problem, result.anomalies) == ("", 0)
    assert result.acknowledged >= 8
    assert seen == [f"{result.kept} orders of this scenario, {result.kept} in all"]
    assert [type(event) for event in folder.history()] == [LedgerStarted, LedgerEnded]


@pytest.mark.parametrize(
    ("wanted", "problem"), [(None, None), (True, "no ledger was kept: the project has no experiments/ledger.toml")]
)
def test_a_project_without_a_ledger_is_not_judged_unless_one_was_asked_for(
    shop: str, folder: RunFolder, wanted: bool | None, problem: str | None
) -> None:
    bookkeeper = Bookkeeper(shop, LedgerWish(None, wanted))
    with scenario(bookkeeper, folder, rows=0):
        pass
    assert not bookkeeper.has_written
    result = judged(folder)
    assert (result.problem if result is not None else None) == problem
    assert folder.history().of(LedgerOmitted)[0].reason == "the project has no experiments/ledger.toml"


def test_a_ledger_of_another_system_leaves_the_writes_unjudged_and_says_so(logic: Any, folder: RunFolder) -> None:
    bookkeeper = Bookkeeper(f"http://127.0.0.1:{logic.port}", SHOP)
    with scenario(bookkeeper, folder, rows=0):
        pass
    assert not bookkeeper.has_written
    result = judged(folder)
    assert result is not None
    assert result.problem == "no ledger was kept: GET /shop/api/audit/books: expected 200, found 404"


def test_no_ledger_is_kept_where_none_is_wanted(shop: str, folder: RunFolder) -> None:
    with scenario(Bookkeeper(shop, LedgerWish(None, False)), folder, rows=0):
        pass
    assert judged(folder) is None
    assert rows_of(folder.scenario("one")) == 0


def test_a_shop_that_does_not_answer_any_more_leaves_the_writes_unjudged(
    shop: str, folder: RunFolder, monkeypatch: pytest.MonkeyPatch, frontend: Any
) -> None:
    monkeypatch.setattr("flametest.run.bookkeeper._AUDIT_SECONDS", 0.0)
    bookkeeper = Bookkeeper(shop, SHOP)
    with scenario(bookkeeper, folder):
        pass
    frontend.process.terminate()
    frontend.process.wait(timeout=PATIENCE_SECONDS)
    folder.write_audit("one", bookkeeper.read_back(lambda _: None))
    result = judged(folder)
    assert result is not None
    assert result.problem.startswith("the orders could not be read back: GET /shop/api/audit/books: ")
    assert result.acknowledged >= 8


def test_a_ledger_that_died_is_told_and_the_scenario_goes_on(shop: str, folder: RunFolder) -> None:
    bookkeeper = Bookkeeper(shop, SHOP)
    with scenario(bookkeeper, folder) as own:
        os.kill(process_of(own), signal.SIGKILL)
        wait_for_end(own)
    folder.write_audit("one", bookkeeper.read_back(lambda _: None))
    result = judged(folder)
    assert result is not None
    assert "with code -9" in result.problem
    assert result.anomalies == 0


def test_an_error_of_the_scenario_is_not_swallowed(shop: str, folder: RunFolder) -> None:
    with pytest.raises(KeyError), scenario(Bookkeeper(shop, SHOP), folder, rows=1):
        raise KeyError("the experiment")
    assert judged(folder) == durability(folder.history(), WriteRecord(folder.writes("one").attempts))


def process_of(folder: Path) -> int:
    """Return the pid of the ledger that writes into ``folder``."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"flametest.ledger.main" in arguments and str(folder / "ledger.csv").encode() in arguments:
            return int(entry.name)
    raise AssertionError("no ledger is running")


def wait_for_end(folder: Path) -> None:
    """Return once no ledger writes into ``folder``."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            process_of(folder)
        except AssertionError:
            return
        time.sleep(0.02)
    raise AssertionError("the ledger did not end")


def test_an_audit_of_another_version_is_refused(folder: RunFolder) -> None:
    folder.write_audit("one", Audit((), 0, ReadScope.LIST, (), (), (), (), ""))
    path = folder.scenario("one") / "audit.json"
    path.write_text(path.read_text().replace("writes_total", "total"))
    with pytest.raises(ProjectError, match="was not written by this version"):
        folder.writes("one")
