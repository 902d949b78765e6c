"""What an earlier process has left behind: healed, forgotten with its sandbox, or left to the one who still lives."""

import time
from pathlib import Path
from typing import Any

import pytest

from flametest.faults.owner import Owner, ProcessName, own_name
from flametest.faults.undo import Place, UndoJournal, UndoRecord
from flametest.model.events import Target
from flametest.run.leftovers import forget, heal_leftovers

ME = own_name()
DEAD = ProcessName(ME.pid, ME.start_ticks + 1, ME.boot)


class EndedCluster:
    """A provider whose one cluster has ended."""

    def __init__(self, kubeconfig: str) -> None:
        self._kubeconfig = kubeconfig

    def has_ended(self, kubeconfig: str) -> bool:
        """Return whether it is that one."""
        return kubeconfig == self._kubeconfig


def put(home: Path, number: int, owner: Owner, lease_seconds: float = 60.0) -> UndoRecord:
    target = Target("Deployment", "flametest", "api", "uid")
    place = Place(str(home / "kubeconfig"), "sandbox", "")
    lease = time.time() + lease_seconds
    record = UndoRecord(f"{number}", "scaling", f"fault {number}", (target,), {}, place, owner, lease)
    UndoJournal(home).write(record)
    return record


def heal(home: Path, ended: str = "", **options: Any) -> Any:
    clusters: Any = [EndedCluster(ended)]
    return heal_leftovers(home, clusters, **options)


def test_without_a_journal_there_is_nothing_to_heal(tmp_path: Path) -> None:
    found = heal(tmp_path / "nowhere")
    assert (found.healings, found.living, found.unhealed) == ((), (), ())


def test_what_a_living_experiment_has_injected_is_its_own_to_heal(tmp_path: Path) -> None:
    record = put(tmp_path, 1, Owner(ME, None))
    found = heal(tmp_path)
    assert (found.healings, found.living) == ((), (record,))


@pytest.mark.parametrize(("owner", "lease_seconds"), [(Owner(DEAD, None), 60.0), (Owner(ME, None), -1.0)])
def test_a_fault_whose_owner_or_lease_has_ended_is_healed_or_the_reason_is_told(
    tmp_path: Path, owner: Owner, lease_seconds: float
) -> None:
    put(tmp_path, 1, owner, lease_seconds)
    (unhealed,) = heal(tmp_path).unhealed
    assert unhealed.title == "fault 1"
    assert "kubeconfig" in unhealed.evidence
    assert unhealed.remedy
    assert len(UndoJournal(tmp_path).records()[0]) == 1


def test_what_was_in_a_sandbox_that_has_ended_is_gone_with_it(tmp_path: Path) -> None:
    put(tmp_path, 1, Owner(DEAD, None))
    (healing,) = heal(tmp_path, ended=str(tmp_path / "kubeconfig")).healings
    assert healing.healed
    assert "its sandbox has ended" in healing.evidence
    assert UndoJournal(tmp_path).records() == ((), ())


def test_an_experiment_whose_run_has_died_is_given_time_to_heal_by_itself(tmp_path: Path) -> None:
    record = put(tmp_path, 1, Owner(ME, DEAD))
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds
        if now[0] > 3:
            UndoJournal(tmp_path).remove(record)

    found = heal(tmp_path, clock=lambda: now[0], pause=pause)
    assert now[0] >= 15
    assert (found.healings, found.living) == ((), ())


def test_a_record_that_cannot_be_read_is_told_and_not_healed(tmp_path: Path) -> None:
    put(tmp_path, 1, Owner(ME, None))
    (tmp_path / "undo" / "0.json").write_text("{")
    (unreadable,) = heal(tmp_path).unhealed
    assert "0.json cannot be read" in unreadable.evidence


def test_what_cannot_be_healed_can_be_forgotten_but_not_what_still_runs(tmp_path: Path) -> None:
    put(tmp_path, 1, Owner(DEAD, None))
    living = put(tmp_path, 2, Owner(ME, None))
    assert [one.title for one in forget(tmp_path)] == ["fault 1"]
    assert UndoJournal(tmp_path).records() == ((living,), ())
