"""What a test reads of a record: the report's figures, or an error, never a figure that proves nothing."""

from collections.abc import Collection
from pathlib import Path

import pytest

from flametest.model.events import FaultProved
from flametest.model.history import History
from flametest.run.analyse import analyse
from flametest.run.felt import Felt, FeltError, InconclusiveError, NotRecoveredError
from flametest.run.folder import RunFolder
from flametest.run.project import Project
from flametest.run.selftest import SELF_TEST_FILE, broken_self_test, write_self_test
from flametest.run.selftest_plan import SHORT
from tests.measure.conftest import Laboratory
from tests.run.laboratory_run import laboratory_run


class Going:
    """A scenario that goes on, and notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def wait(self, seconds: float) -> None:
        self.asked.append(("wait", seconds))

    def wait_recovered(self, seconds: float, hold_seconds: float | None) -> None:
        self.asked.append(("recovered", seconds, hold_seconds))

    def heal(self, names: Collection[str] | None = None) -> None:
        self.asked.append(("heal", names))


def felt_of(folder: RunFolder) -> Felt:
    felt = Felt(Going(), folder.path)
    felt.measured(analyse(folder, Project(folder.path)))
    return felt


def test_figures_are_those_of_the_report(tmp_path: Path) -> None:
    felt = felt_of(laboratory_run(tmp_path / "run"))
    for name in ("outage_seconds", "recovery_seconds", "steady_seconds", "availability", "p95_ms"):
        criterion = felt.result.criterion(name)
        assert criterion is not None
        assert getattr(felt, name) == criterion.value
    felt.check(AssertionError)


def test_one_fault_has_no_figures_besides_those_of_the_scenario(tmp_path: Path) -> None:
    with pytest.raises(FeltError, match="no figures of a fault called 'slow' by itself"):
        felt_of(laboratory_run(tmp_path / "run")).of("slow")


def test_there_is_no_figure_before_the_end_and_no_waiting_after_it(tmp_path: Path) -> None:
    going = Going()
    felt = Felt(going, tmp_path)
    felt.wait(1)
    felt.wait_recovered(30)
    felt.wait_steady(60)
    felt.heal("slow")
    felt.heal()
    waited = [("wait", 1), ("recovered", 30, 1.0), ("recovered", 60, None)]
    assert going.asked == [*waited, ("heal", ("slow",)), ("heal", None)]
    with pytest.raises(FeltError, match="has not ended"):
        _ = felt.outage_seconds
    felt.unmeasured("interrupted")
    with pytest.raises(FeltError, match="interrupted"):
        _ = felt.outage_seconds
    with pytest.raises(FeltError, match="nothing can be waited for"):
        felt.wait(1)


def test_a_fault_without_proof_has_no_figure(tmp_path: Path) -> None:
    unproved = History([one for one in Laboratory().deletion() if not isinstance(one, FaultProved)])
    felt = felt_of(laboratory_run(tmp_path / "run", history=unproved))
    with pytest.raises(InconclusiveError, match="the fault took effect"):
        _ = felt.outage_seconds
    with pytest.raises(InconclusiveError, match="the fault took effect"):
        felt.check(AssertionError)


def test_a_self_test_that_missed_its_targets_leaves_no_figure(tmp_path: Path) -> None:
    folder = laboratory_run(tmp_path / "run")
    write_self_test(broken_self_test(SHORT, 7, "no server"), folder.path / SELF_TEST_FILE)
    with pytest.raises(InconclusiveError, match="no server"):
        _ = felt_of(folder).availability


def test_a_figure_that_had_not_ended_is_no_number(tmp_path: Path) -> None:
    lab = Laboratory()
    samples = lab.samples()
    cut_ns = samples.sent_ns[0] + int(35e9)
    felt = felt_of(laboratory_run(tmp_path / "run", samples=samples, keep=lambda one: one.sent_ns < cut_ns))
    with pytest.raises(InconclusiveError):
        _ = felt.steady_seconds


def test_a_report_that_says_failed_fails_the_test(tmp_path: Path) -> None:
    felt = felt_of(laboratory_run(tmp_path / "run", limits="[default]\nrecovery_seconds = 0.001\n"))
    with pytest.raises(AssertionError, match=r"report\.html"):
        felt.check(AssertionError)


def test_writes_are_an_error_where_there_were_none(tmp_path: Path) -> None:
    with pytest.raises(FeltError, match="no writes"):
        _ = felt_of(laboratory_run(tmp_path / "run")).writes


def test_a_system_that_does_not_recover_fails_a_test() -> None:
    assert issubclass(NotRecoveredError, AssertionError)
