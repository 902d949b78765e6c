"""Scenarios on several systems come from one queue, each once, with draws of its own seed, into one folder."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flametest.model.events import Noted, RunEnded, RunStarted
from flametest.model.history import encode
from flametest.run import recording as subject
from flametest.run.chaostoolkit import ChaosOutcome
from flametest.run.experiment import Experiment, load_experiment
from flametest.run.folder import RunFolder, RunInputs, stamp
from flametest.run.halting import Halt
from flametest.run.progress import RememberingProgress
from flametest.run.project import Project
from flametest.run.recording import Recording, System, record
from flametest.run.repeats import Repeat, repeats
from flametest.run.scenario import Scene
from tests.run.laboratory_run import REPOSITORY
from tests.run.test_rehearsal import Told

NAMES = ("pod-delete-api", "pod-delete-nginx", "redis-outage")
LINES = 200  # more than a buffer holds


@pytest.fixture
def experiments() -> list[Experiment]:
    return [load_experiment(REPOSITORY / "experiments" / f"{name}.json") for name in NAMES]


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recording:
    monkeypatch.setattr(subject, "heal_leftovers", lambda *_: SimpleNamespace(healings=()))
    inputs = RunInputs("r", "sandbox", "", "shop", "http://127.0.0.1", "core", 7, "flametest run", "", NAMES, (), (), 2)
    load: Any = None
    folder = RunFolder.create(tmp_path / "run", inputs)
    return Recording(folder, Project(tmp_path), load, RememberingProgress(Told()), Halt())


def system(name: str) -> System:
    client = SimpleNamespace(
        wait_ready=lambda *_, **__: None, collect_logs=lambda _, folder: folder.mkdir(parents=True)
    )
    parts: Any = (None, SimpleNamespace(namespace="shop", name=name), client, SimpleNamespace(has_written=False))
    return System(*parts)


def test_each_trial_runs_once_on_whichever_system_is_free_and_the_history_is_whole(
    recording: Recording, experiments: list[Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=60)  # two scenarios are under way whenever one ends
    ran: list[tuple[str, Repeat]] = []

    def run(experiment: Experiment, scene: Scene, repeat: Repeat, folder: Path, saw: object) -> ChaosOutcome:
        ran.append((str(getattr(scene.access, "name", "")), repeat))
        note = encode(Noted(stamp(), experiment.name, "x" * 200))
        (folder / "history.jsonl").write_text(f"{note}\n" * LINES)
        both.wait()
        return ChaosOutcome("completed", False, "")

    monkeypatch.setattr(subject, "run_scenario", run)
    record(recording, [system("first"), system("second")], experiments)

    wanted = [one for name in NAMES for one in repeats(name, 2, 7)]
    assert sorted(one.key for _, one in ran) == sorted(one.key for one in wanted)
    assert {one.key: one for _, one in ran} == {one.key: one for one in wanted}, "draws do not depend on the system"
    assert {name for name, _ in ran} == {"first", "second"}
    history = recording.folder.history()
    assert {one.key: len(history.scenario(one.key)) for one in wanted} == dict.fromkeys((o.key for o in wanted), LINES)
    assert [one.parallel for one in history.of(RunStarted)] == [2]
    assert (recording.folder.path / "logs" / "sandbox-2").is_dir()


@pytest.mark.parametrize(("systems", "first"), [(1, "pod-delete-api"), (2, "redis-outage")])
def test_several_systems_begin_with_the_longest_and_one_keeps_the_order(
    recording: Recording, experiments: list[Experiment], monkeypatch: pytest.MonkeyPatch, systems: int, first: str
) -> None:
    ran: list[str] = []

    def run(experiment: Experiment, *_: object) -> ChaosOutcome:
        ran.append(experiment.name)
        return ChaosOutcome("completed", False, "")

    monkeypatch.setattr(subject, "run_scenario", run)
    monkeypatch.setattr(subject, "side_by_side", lambda jobs, _: [job() for job in jobs.values()])
    record(recording, [system("first"), system("second")][:systems], experiments)
    assert ran[0] == first
    assert recording.folder.inputs().scenarios == NAMES


def test_a_scenario_that_cannot_be_carried_out_stops_the_others(
    recording: Recording, experiments: list[Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def run(_: Experiment, scene: Scene, repeat: Repeat, __: Path, ___: object) -> ChaosOutcome:
        if getattr(scene.access, "name", "") == "first":
            assert begun.wait(60)
            raise OSError("the disk is full")
        released = threading.Event()
        with scene.halt.ending(released.set):
            begun.set()
            assert released.wait(60)
        return ChaosOutcome("completed", False, "")

    monkeypatch.setattr(subject, "run_scenario", run)
    with pytest.raises(OSError, match="the disk is full"):
        record(recording, [system("first"), system("second")], experiments)
    assert [one.reason for one in recording.folder.history().of(RunEnded)] == ["the disk is full"]
