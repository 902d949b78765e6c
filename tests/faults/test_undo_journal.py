"""The undo journal: on disk before a fault, gone after its healing, and never the reason that another is not healed."""

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from flametest.faults.errors import UndoError
from flametest.faults.guardian import due
from flametest.faults.owner import Owner, ProcessName, own_name
from flametest.faults.undo import Place, UndoJournal, UndoRecord, identifier, state_home
from flametest.model.events import Target


def record(number: int = 1, **changes: Any) -> UndoRecord:
    fields: dict[str, Any] = {
        "identifier": identifier(number, 7, "service_removal"),
        "fault": "service_removal",
        "title": "remove Service logic",
        "targets": (Target("Service", "flametest", "logic", "uid-1"),),
        "state": {"service": {"metadata": {"name": "logic"}}, "port": 80},
        "place": Place("/some/kubeconfig", "sandbox", "uid-of-kube-system"),
        "owner": Owner(own_name(), None),
        "lease_until_wall_s": 12.5,
    }
    return UndoRecord(**fields | changes)


def test_what_is_written_is_read_back_equal_the_newest_first(tmp_path: Path) -> None:
    journal = UndoJournal(tmp_path)
    first, second = record(1), record(2, owner=Owner(own_name(), ProcessName(1, 2, "boot")))
    journal.write(first)
    journal.write(second)
    assert journal.records() == ((second, first), ())
    journal.remove(first)
    journal.remove(first)
    assert journal.records() == ((second,), ())
    assert journal.has(second)
    assert not journal.has(first)


def test_records_are_for_their_owner_only(tmp_path: Path) -> None:
    UndoJournal(tmp_path).write(record())
    (file,) = (tmp_path / "undo").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_file_and_folder_are_synced_before_writing_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    UndoJournal(tmp_path).write(record())
    assert synced == [False, True]


@pytest.mark.parametrize("failing", ["open", "fsync"])
def test_a_full_disk_is_told_and_leaves_no_half_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    journal = UndoJournal(tmp_path)
    journal.write(record(1))
    monkeypatch.setattr(os, failing, full)
    with pytest.raises(UndoError, match=r"cannot be written to .*No space left on device; nothing was injected"):
        journal.write(record(2))
    monkeypatch.undo()
    assert [one.name for one in (tmp_path / "undo").iterdir()] == [f"{record(1).identifier}.json"]


def test_a_broken_record_is_told_and_keeps_no_other_from_being_read(tmp_path: Path) -> None:
    journal = UndoJournal(tmp_path)
    journal.write(record())
    (tmp_path / "undo" / "0-broken.json").write_text("{")
    (tmp_path / "undo" / "1-newer.json").write_text(json.dumps({"format": 99}))
    records, errors = journal.records()
    assert records == (record(),)
    assert len(errors) == 2
    assert "heal by hand" in errors[0].remedy


def test_one_process_at_a_time_heals(tmp_path: Path) -> None:
    journal = UndoJournal(tmp_path)
    order: list[str] = []
    waiting = threading.Event()

    def other() -> None:
        waiting.set()
        with journal.locked():
            order.append("other")

    with journal.locked():
        thread = threading.Thread(target=other)
        thread.start()
        waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "other"]


def test_the_state_folder_is_the_one_named_or_that_of_the_user(tmp_path: Path) -> None:
    assert state_home({"FLAMETEST_HOME": str(tmp_path)}) == tmp_path
    assert state_home({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "flametest"
    assert state_home({}) == Path.home() / ".local" / "state" / "flametest"


def test_a_process_is_known_by_more_than_its_number() -> None:
    me = own_name()
    assert me.lives()
    assert ProcessName.parse(str(me)) == me
    assert not ProcessName(me.pid, me.start_ticks + 1, me.boot).lives()
    assert not ProcessName(me.pid, me.start_ticks, "another-boot").lives()
    assert ProcessName.parse("") is None


def test_a_process_that_cannot_be_asked_after_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    me = own_name()

    def exhausted(*_: object, **__: object) -> str:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Path, "read_text", exhausted)
    assert me.lives()


def test_a_process_that_has_ended_does_not_live_even_if_nobody_has_asked_how() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = ProcessName(process.pid, own_start(process.pid), own_name().boot)
        assert name.lives()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not name.lives()


def own_start(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def test_an_owner_is_abandoned_when_its_run_has_died() -> None:
    me = own_name()
    dead = ProcessName(me.pid, me.start_ticks + 1, me.boot)
    assert Owner(me, None).lives()
    assert Owner(me, me).lives()
    assert Owner(me, dead).abandoned()
    assert not Owner(me, dead).lives()


@pytest.mark.parametrize(("lives", "wall_s", "expected"), [(True, 12.4, False), (True, 12.5, True), (False, 0, True)])
def test_the_guardian_heals_what_has_lost_its_owner_or_its_lease(lives: bool, wall_s: float, expected: bool) -> None:
    assert due(record(), owner_lives=lives, wall_s=wall_s) is expected
