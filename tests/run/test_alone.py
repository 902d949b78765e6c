"""What is inconclusive beside others for a reason of the machine is repeated alone, once, and the report says so."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flametest.measure.samples import Samples
from flametest.model.events import FaultProved, ProberEnded, ScenarioEnded
from flametest.model.result import Check, Result
from flametest.model.verdict import Verdict
from flametest.run import recording as subject
from flametest.run.alone import machine_doubt
from flametest.run.analyse import analyse
from flametest.run.chaostoolkit import ChaosOutcome
from flametest.run.experiment import load_experiment
from flametest.run.folder import RunFolder, RunInputs
from flametest.run.halting import Halt
from flametest.run.programs import Programs
from flametest.run.progress import RememberingProgress
from flametest.run.project import Project
from flametest.run.recording import Lanes, Recording
from flametest.run.repeats import Repeat
from tests.measure.conftest import Laboratory
from tests.report.sample_result import scenario
from tests.run.laboratory_run import LIMITS, REPOSITORY, SCENARIO, write_raw
from tests.run.test_recording import system
from tests.run.test_rehearsal import Told

DROPPED = "alongside other scenarios it was inconclusive (the prober kept its schedule: "


class Recorded:
    """Scenarios whose record is the laboratory's; ``spoil`` makes that of the attempt of so much."""

    def __init__(self, spoil: Any) -> None:
        self.spoil = spoil
        self.ran: list[Repeat] = []

    def run(self, programs: Programs, *_: object) -> ChaosOutcome:
        """Leave what a scenario leaves."""
        repeat = programs.repeat
        self.ran.append(repeat)
        laboratory = Laboratory()
        samples: Samples = laboratory.samples()
        events = [self.spoil(event, repeat) for event in laboratory.deletion()]
        write_raw(programs.folder, events, [samples.row(row) for row in range(len(samples))])
        return ChaosOutcome("completed", False, "")


def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Any, *, systems: int = 2) -> tuple[Recorded, Result]:
    monkeypatch.setattr(subject, "heal_leftovers", lambda *_: SimpleNamespace(healings=()))
    recorded = Recorded(spoil)
    monkeypatch.setattr(subject, "run_scenario", recorded.run)
    inputs = RunInputs("r", "sandbox", "", "shop", "http://127.0.0.1", "core", 7, "flametest", "", (SCENARIO,), (), ())
    folder = RunFolder.create(tmp_path / "run", inputs)
    (folder.path / "limits.toml").write_text(LIMITS)
    load: Any = None
    recording = Recording(folder, Project(tmp_path), load, RememberingProgress(Told()), Halt())
    experiments = [load_experiment(REPOSITORY / "experiments" / f"{SCENARIO}.json")]
    Lanes(recording, experiments).record([system(str(number)) for number in range(systems)])
    return recorded, analyse(folder, Project(tmp_path))


def dropping(event: Any, repeat: Repeat) -> Any:
    """Have the prober of the attempt beside others drop two samples of a hundred."""
    if isinstance(event, ProberEnded) and not repeat.is_alone:
        return dataclasses.replace(event, dropped=event.sent // 50)
    return event


def test_samples_that_the_prober_dropped_beside_others_are_taken_again_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded, result = ran(tmp_path, monkeypatch, dropping)

    assert [(one.key, one.seed, one.is_alone) for one in recorded.ran] == [
        (SCENARIO, 7, False),
        (f"{SCENARIO}/alone", 7, True),
    ]
    (found,) = result.scenarios
    assert result.verdict is found.verdict is Verdict.PASSED, result.headline
    assert found.first_attempt is not None
    assert found.first_attempt.reason.startswith("the prober kept its schedule: ")
    assert found.first_attempt.sentence.startswith("in doubt (the prober kept its schedule")
    assert (tmp_path / "run" / found.first_attempt.folder / f"{SCENARIO}.json").is_file()
    assert [note for note in result.notes if note.startswith(f"{SCENARIO} was repeated alone: {DROPPED}")]
    for name in ("summary.md", "junit.xml", "report.html"):
        text = (tmp_path / "run" / name).read_text()
        assert text.replace("Repeated", "repeated").count(f"repeated alone: {DROPPED}") >= 2, name
    assert json.loads((tmp_path / "run" / "result.json").read_text())["scenarios"][0]["first_attempt"]


def test_an_analysis_later_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, result = ran(tmp_path, monkeypatch, dropping)
    assert analyse(RunFolder.open(tmp_path / "run"), Project(tmp_path)) == result


def test_what_is_in_doubt_alone_too_stays_inconclusive_and_is_not_repeated_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def always(event: Any, _: Repeat) -> Any:
        return dataclasses.replace(event, dropped=event.sent // 50) if isinstance(event, ProberEnded) else event

    recorded, result = ran(tmp_path, monkeypatch, always)
    assert len(recorded.ran) == 2
    assert result.verdict is Verdict.INCONCLUSIVE


def refuted(event: Any, _: Repeat) -> Any:
    """Have the fault's effect be missing, which is no matter of the machine."""
    return dataclasses.replace(event, proved=False, evidence="as before") if isinstance(event, FaultProved) else event


def as_it_is(event: Any, _: Repeat) -> Any:
    """Change nothing."""
    return event


def stopped(event: Any, _: Repeat) -> Any:
    """Have the experiment end before its time."""
    return dataclasses.replace(event, status="failed") if isinstance(event, ScenarioEnded) else event


@pytest.mark.parametrize(("spoil", "systems"), [(refuted, 2), (as_it_is, 2), (stopped, 2), (dropping, 1)])
def test_nothing_else_is_repeated(spoil: Any, systems: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded, result = ran(tmp_path, monkeypatch, spoil, systems=systems)
    assert [one.key for one in recorded.ran] == [SCENARIO]
    assert result.scenarios[0].first_attempt is None


def doubted(verdict: Verdict) -> Check:
    return Check("load_achieved", "The offered load was sent", verdict, "baseline 71 %")


def test_a_missed_limit_is_a_weakness_that_was_found_whatever_the_machine_was_like() -> None:
    base = dataclasses.replace(scenario(), checks=(doubted(Verdict.INCONCLUSIVE),))
    assert machine_doubt(dataclasses.replace(base, verdict=Verdict.FAILED)) == ""
    inconclusive = dataclasses.replace(base, verdict=Verdict.INCONCLUSIVE)
    assert machine_doubt(inconclusive) == "the offered load was sent: baseline 71 %"


def test_a_system_that_was_ill_before_its_fault_may_have_lacked_the_machine_and_a_refused_fault_has_not() -> None:
    ill = "the system was not healthy before the fault: p95 was 278 ms; nothing was injected"
    nothing = dataclasses.replace(
        scenario(), fault="", verdict=Verdict.INCONCLUSIVE, checks=(doubted(Verdict.INCONCLUSIVE),)
    )
    assert machine_doubt(dataclasses.replace(nothing, sentence=ill)) == ill
    assert machine_doubt(dataclasses.replace(nothing, sentence="refused: 2 of 3 pods; nothing was injected")) == ""
