"""A control in which nothing is injected passes, and an old folder is analysed and rendered again byte for byte."""

import dataclasses
from pathlib import Path

import pytest

from flametest.measure.samples import Samples
from flametest.model.events import NO_FAULT, FaultInjected, FaultProved, Noted
from flametest.model.history import History
from flametest.model.samples import Lane
from flametest.model.verdict import Verdict
from flametest.run.analyse import analyse, measure_trials, render
from flametest.run.folder import RunFolder
from flametest.run.project import Project
from flametest.run.repeats import repeats
from tests.measure.conftest import SCENARIO, Laboratory, stamp
from tests.run.laboratory_run import laboratory_run

RENDERED = ("result.json", "report.html", "junit.xml", "summary.md", "metrics.prom")
LANES = ((Lane.FRESH, 0.05), (Lane.LOAD, 0.025))
CONTROL_LIMITS = "[default]\noutage_seconds = 0\nrecovery_seconds = 0\nsteady_seconds = 1\navailability = 0.999\n"


def test_a_run_in_which_nothing_is_injected_passes_without_an_outage(tmp_path: Path) -> None:
    lab = Laboratory()
    nothing = dataclasses.replace(lab.injected(), fault=NO_FAULT, targets=())
    proof = FaultProved(stamp(30.03), SCENARIO, NO_FAULT, True, "nothing was done")
    assert isinstance(nothing, FaultInjected)
    history = History([*lab.before(), nothing, proof, *lab.ending()])
    fresh, load = (lab.requests(lane, lambda _: False, interval=seconds) for lane, seconds in LANES)
    samples = Samples.of(fresh + load)
    run = laboratory_run(tmp_path / "run", history=history, samples=samples, limits=CONTROL_LIMITS)
    result = analyse(run, Project(tmp_path))
    assert result.verdict is Verdict.PASSED, result.headline
    assert "a control without a fault was not felt by users" in result.headline
    assert result.scenarios[0].findings == ()


def test_an_old_folder_gives_the_same_bytes_again(tmp_path: Path) -> None:
    folder = laboratory_run(tmp_path / "run", trials=2)
    analyse(folder, Project(tmp_path))
    first = {name: (folder.path / name).read_bytes() for name in RENDERED}
    again = RunFolder.open(folder.path)
    analyse(again, Project(tmp_path))
    assert {name: (folder.path / name).read_bytes() for name in RENDERED} == first
    render(again)
    assert {name: (folder.path / name).read_bytes() for name in RENDERED} == first


def test_what_was_measured_before_the_end_of_a_run_is_not_measured_again_and_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = laboratory_run(tmp_path / "run", trials=2)
    analyse(folder, Project(tmp_path))
    first = {name: (folder.path / name).read_bytes() for name in RENDERED}
    known = measure_trials(folder, repeats(SCENARIO, 2, folder.inputs().seed))

    def again(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr("flametest.run.analyse.measure_scenario", again)
    analyse(folder, Project(tmp_path), known)
    assert {name: (folder.path / name).read_bytes() for name in RENDERED} == first


def test_a_run_that_was_killed_is_reported_with_the_scenarios_that_it_did_not_begin(tmp_path: Path) -> None:
    folder = laboratory_run(tmp_path / "run")
    folder.restrict((SCENARIO, "pod-delete-nginx"))  # the second has left nothing behind
    result = analyse(folder, Project(tmp_path))
    first, second = result.scenarios
    assert (first.verdict, second.verdict) == (Verdict.PASSED, Verdict.INCONCLUSIVE)
    assert second.sentence == "not begun before the run ended"
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "pod-delete-nginx" in (folder.path / "report.html").read_text()


def test_what_a_run_skipped_stands_in_every_rendering(tmp_path: Path) -> None:
    folder = laboratory_run(tmp_path / "run")
    folder.note(Noted(stamp(1), "", "skipped: resolve the targets: api 2/3"))
    folder.note(Noted(stamp(1), "pod-delete-api", "a remark on a scenario"))
    result = analyse(folder, Project(tmp_path))
    assert result.notes == ("skipped: resolve the targets: api 2/3",)
    for name in ("report.html", "summary.md", "junit.xml"):
        assert "kipped: resolve the targets: api 2/3" in (folder.path / name).read_text(), name
