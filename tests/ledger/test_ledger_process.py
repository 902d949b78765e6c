"""The ledger as a run uses it: a real process, against servers that answer, hang, refuse and break off."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flametest.ledger import Ledger, LedgerOptions
from flametest.load import LoadError
from flametest.measure.ledger import read_attempts
from flametest.model.writes import Attempt, WriteOutcome
from tests.ledger.conftest import SHOP, ledger_of_the_shop
from tests.load.recording_process import process_recording
from tests.patience import PATIENCE_SECONDS


def ledger_of(url: str, folder: Path, orders_per_second: float = 50.0, repeat_share: float = 0.0) -> Ledger:
    """Return a ledger that has not begun."""
    definition = ledger_of_the_shop(repeat=repeat_share, per_second=orders_per_second)
    return Ledger(LedgerOptions(url, definition, "7"), folder)


def noted(folder: Path) -> tuple[Attempt, ...]:
    """Return what the ledger has written so far."""
    if not (folder / "ledger.csv").exists():
        return ()
    with (folder / "ledger.csv").open(newline="") as lines:
        return read_attempts(lines)


def process_of(folder: Path) -> int | None:
    """Return the pid of the ledger that writes into ``folder``."""
    return process_recording("flametest.ledger.main", folder / "ledger.csv")


def test_every_order_has_a_key_of_its_own_and_is_noted_before_it_is_sent(
    target: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    target.mode = "hang"
    with ledger_of(target.url, tmp_path) as ledger:
        wait_until(lambda: len(target.requests) >= 5)
        during = noted(tmp_path)
        assert len(during) >= 5
        assert {one.outcome for one in during} == {WriteOutcome.UNKNOWN}
        assert {one.done_ns for one in during} == {0}
        target.mode = "ok"
        summary = ledger.stop()
    attempts = noted(tmp_path)
    assert set(target.requests) == {"POST /shop/api/orders"}
    assert summary.writes == len({one.key for one in attempts}) == len(attempts)
    assert all(one.key.startswith(ledger.prefix) for one in attempts)
    assert all(one.done_ns >= one.sent_ns for one in attempts)


@pytest.mark.parametrize(
    ("mode", "known"),
    [
        ("ok", (WriteOutcome.ACKNOWLEDGED, "no id")),
        ("503", (WriteOutcome.UNKNOWN, "status")),
        ("reset", (WriteOutcome.UNKNOWN, "reset")),
        ("refused", (WriteOutcome.FAILED, "refused")),
    ],
)
def test_outcomes_are_what_a_client_can_know(
    target: Any, tmp_path: Path, wait_until: Callable[..., None], mode: str, known: tuple[WriteOutcome, str]
) -> None:
    if mode == "refused":
        target.refuse()
    else:
        target.mode = mode
    with ledger_of(target.url, tmp_path) as ledger:
        wait_until(lambda: len(noted(tmp_path)) >= 5)
        ledger.stop()
    assert {(one.outcome, one.error) for one in noted(tmp_path)} == {known}


def test_some_orders_are_sent_twice_with_one_key(target: Any, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    with ledger_of(target.url, tmp_path, repeat_share=1.0) as ledger:
        wait_until(lambda: len(noted(tmp_path)) >= 20)
        ledger.stop()
    sent = Counter(one.key for one in noted(tmp_path))
    assert set(sent.values()) == {2}


def test_orders_go_out_at_their_time_whatever_became_of_those_before(
    target: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    target.mode = "hang"
    with ledger_of(target.url, tmp_path) as ledger:
        wait_until(lambda: len(target.requests) >= 20)
        target.mode = "ok"
        ledger.stop()
    attempts = noted(tmp_path)
    intended = [one.intended_ns for one in attempts]
    assert {(later - earlier) % 20_000_000 for earlier, later in pairwise(intended)} == {0}
    assert sorted(one.sent_ns - one.intended_ns for one in attempts)[len(attempts) // 2] < 10_000_000


def test_a_ledger_that_was_killed_is_noticed_and_its_rows_are_kept(
    target: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    with ledger_of(target.url, tmp_path) as ledger:
        wait_until(lambda: len(noted(tmp_path)) >= 5)
        pid = process_of(tmp_path)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: process_of(tmp_path) is None)
        with pytest.raises(LoadError, match=r"ended (by itself )?with code -9"):
            ledger.stop()
    assert len(noted(tmp_path)) >= 5


def test_a_ledger_ends_with_whoever_started_it(target: Any, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    program = (
        "import os, pathlib, sys; from flametest.ledger import Ledger, LedgerOptions, read_definition; "
        "definition = read_definition(pathlib.Path(sys.argv[3])); "
        "Ledger(LedgerOptions(sys.argv[1], definition, '7'), pathlib.Path(sys.argv[2])).start(); os._exit(0)"
    )
    arguments = [sys.executable, "-c", program, target.url, str(tmp_path), str(SHOP)]
    subprocess.run(arguments, check=True, timeout=PATIENCE_SECONDS)
    wait_until(lambda: process_of(tmp_path) is None)


def test_keys_never_come_again_whatever_the_seed(tmp_path: Path) -> None:
    assert ledger_of("http://127.0.0.1:1", tmp_path).prefix != ledger_of("http://127.0.0.1:1", tmp_path).prefix


def test_an_earlier_ledger_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "ledger.csv").write_text("key\n")
    with pytest.raises(LoadError, match="exists already"):
        ledger_of("http://127.0.0.1:1", tmp_path).start()


def test_a_ledger_that_was_not_started_cannot_be_stopped(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="not started"):
        ledger_of("http://127.0.0.1:1", tmp_path).stop()
