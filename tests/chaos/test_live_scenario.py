"""A scenario in the process of a test, against a pretended cluster: recorded, healed and judged on every way out."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flametest.clusters import Access
from flametest.faults.errors import BlastRadiusError
from flametest.faults.pod_deletion import PodDeletion
from flametest.faults.safety import Radius
from flametest.faults.scaling import Scaling
from flametest.faults.selection import PodSelection
from flametest.kube import connect
from flametest.model.errors import FlametestError
from flametest.model.verdict import Verdict
from flametest.run.felt import Felt, FeltError, InconclusiveError, NotRecoveredError
from flametest.run.folder import RunFolder
from flametest.run.livescenario import Described, FaultOptions, Ground, LiveScenario
from flametest.run.project import Project
from tests.chaos.conftest import PretendedCluster, write_kubeconfig
from tests.report.sample_parts import self_test

RADIUS = Radius(frozenset({"flametest"}))
OPTIONS = FaultOptions("api", RADIUS, baseline_seconds=0.3, ledger=False)
DELETION = PodDeletion(PodSelection("flametest", "app=api"))

Begin = Callable[..., LiveScenario]


@pytest.fixture
def begin(tmp_path: Path, pretended: tuple[PretendedCluster, str]) -> Iterator[Begin]:
    """Return a function that gives a new scenario, by default after a self-test that passed."""
    url = pretended[1]
    access = Access(write_kubeconfig(tmp_path, url), "pretended", url)
    with connect(access.kubeconfig, access.context) as client:

        def begun(name: str = "one", tested: Verdict = Verdict.PASSED) -> LiveScenario:
            ground = Ground("sandbox", "", access, client, Project(tmp_path), tmp_path / "home", self_test(tested))
            described = Described(name, "A pod is deleted", "Deletes one pod.", f"pytest {name}", 7)
            return LiveScenario(ground, described, tmp_path / name)

        yield begun


def figures_or_doubts(felt: Felt) -> None:
    """Read a figure; on a machine that could not keep up, its own checks have to say so instead."""
    try:
        assert felt.recovery_seconds >= 0
        assert felt.availability == 1
    except InconclusiveError as error:
        assert "fault took effect" not in error.message  # noqa: PT017


def test_a_deleted_pod_is_measured_into_a_folder_as_that_of_a_run(begin: Begin, tmp_path: Path) -> None:
    scenario = begin()
    with scenario.faulted([DELETION], OPTIONS) as felt:
        felt.wait_recovered(60, hold_seconds=0.5)
    assert not scenario.is_open
    assert felt.result.fault == "pod_deletion"
    assert {check.name: check.verdict for check in felt.result.checks}["fault_proven"] is Verdict.PASSED
    figures_or_doubts(felt)
    result = RunFolder.open(tmp_path / "one").result()
    assert result.scenarios[0].title == "A pod is deleted"
    assert (tmp_path / "one" / "report.html").is_file()


def test_a_pod_that_does_not_come_back_fails_and_its_record_is_kept(
    begin: Begin, pretended: tuple[PretendedCluster, str], tmp_path: Path
) -> None:
    pretended[0].replaces = False
    scenario = begin()
    with (
        pytest.raises(NotRecoveredError, match=r"api had not recovered after 0\.5 s: 2 of 3 pods of api are ready"),
        scenario.faulted([DELETION], OPTIONS) as felt,
    ):
        felt.wait_recovered(0.5)
    assert felt.result.verdict is Verdict.INCONCLUSIVE  # it was not watched to its end
    assert (tmp_path / "one" / "report.html").is_file()


def test_an_api_that_refuses_the_fault_is_an_error(begin: Begin, pretended: tuple[PretendedCluster, str]) -> None:
    pretended[0].refuses_deletion = True
    with pytest.raises(FlametestError, match="may not be deleted"), begin().faulted([DELETION], OPTIONS):
        raise AssertionError("nothing was injected")


def test_what_hits_too_much_is_refused_before_anything_is_touched(
    begin: Begin, pretended: tuple[PretendedCluster, str]
) -> None:
    three = PodDeletion(PodSelection("flametest", "app=api", count=3))
    with pytest.raises(BlastRadiusError), begin().faulted([three], OPTIONS):
        raise AssertionError("nothing was injected")
    assert pretended[0].deleted == []


def test_a_self_test_that_missed_makes_every_figure_an_error(begin: Begin) -> None:
    scenario = begin(tested=Verdict.INCONCLUSIVE)
    with scenario.faulted([DELETION], OPTIONS) as felt:
        felt.wait_recovered(60, hold_seconds=0.5)
    with pytest.raises(InconclusiveError):
        _ = felt.outage_seconds
    with pytest.raises(InconclusiveError):
        felt.check(AssertionError)


def test_a_control_is_measured_as_a_fault_is(begin: Begin, pretended: tuple[PretendedCluster, str]) -> None:
    scenario = begin()
    with scenario.faulted([None], OPTIONS) as felt:
        felt.wait(0.5)
    assert pretended[0].deleted == []
    assert felt.result.fault == "nothing"
    figures_or_doubts(felt)


def test_faults_with_names_are_healed_one_by_one_and_told_apart(
    begin: Begin, pretended: tuple[PretendedCluster, str]
) -> None:
    spec = pretended[0].objects["deployments"]["api"]["spec"]
    faults = [Scaling("flametest", "api", 4), Scaling("flametest", "api", 5)]
    before = spec["replicas"]
    with begin().faulted(faults, replace(OPTIONS, settle_seconds=0.3), ("more", "most")) as felt:
        felt.heal("most")
        assert pretended[0].objects["deployments"]["api"]["spec"]["replicas"] == 4
        felt.wait(0.2)
        felt.heal("more")
        assert pretended[0].objects["deployments"]["api"]["spec"]["replicas"] == before
        with pytest.raises(FlametestError, match="no fault called 'least'"):
            felt.heal("least")
    first, second = felt.result.faults
    assert (first.name, second.name) == ("more", "most")
    assert first.proved
    assert second.healed_seconds is not None
    assert first.healed_seconds is not None
    assert 0 < second.injected_seconds < second.healed_seconds < first.healed_seconds


def test_two_faults_of_one_name_are_refused_before_anything_is_touched(
    begin: Begin, pretended: tuple[PretendedCluster, str]
) -> None:
    with (
        pytest.raises(FlametestError, match="two faults of this experiment are called 'twice'"),
        begin().faulted([DELETION, Scaling("flametest", "api", 4)], OPTIONS, ("twice", "twice")),
    ):
        raise AssertionError("something was injected")
    assert pretended[0].deleted == []


def test_a_scenario_has_one_block_of_faults(begin: Begin) -> None:
    scenario = begin()
    with (
        pytest.raises(FeltError, match="second fault block"),
        scenario.faulted([None], OPTIONS),
        scenario.faulted([None], OPTIONS),
    ):
        raise AssertionError("the second block has begun")


def test_an_interruption_ends_it_at_once_and_its_record_can_be_analysed_later(begin: Begin, tmp_path: Path) -> None:
    scenario = begin()
    with pytest.raises(KeyboardInterrupt), scenario.faulted([DELETION], OPTIONS) as felt:
        raise KeyboardInterrupt
    with pytest.raises(FeltError, match="interrupted"):
        _ = felt.result
    assert not (tmp_path / "one" / "result.json").exists()
    assert RunFolder.open(tmp_path / "one").inputs().scenarios == ("one",)
