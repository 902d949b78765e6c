"""Scenarios on several systems come from one queue, each once, with draws of its own seed, into one folder."""

import dataclasses
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter

from flametest.load import LoadError
from flametest.model.events import Noted, RunEnded, RunStarted
from flametest.model.history import encode
from flametest.run import recording as subject
from flametest.run.chaostoolkit import ChaosOutcome
from flametest.run.experiment import Experiment, load_experiment
from flametest.run.folder import RunFolder, RunInputs, stamp
from flametest.run.halting import Halt
from flametest.run.programs import Programs
from flametest.run.progress import RememberingProgress
from flametest.run.project import Project
from flametest.run.recording import Lanes, Recording, System
from flametest.run.repeats import Repeat, repeats
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

    def run(programs: Programs, *_: object) -> ChaosOutcome:
        ran.append((str(getattr(programs.scene.access, "name", "")), programs.repeat))
        note = encode(Noted(stamp(), programs.experiment.name, "x" * 200))
        (programs.folder / "history.jsonl").write_text(f"{note}\n" * LINES)
        both.wait()
        return ChaosOutcome("completed", False, "")

    monkeypatch.setattr(subject, "run_scenario", run)
    Lanes(recording, experiments).record([system("first"), system("second")])

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

    def run(programs: Programs, *_: object) -> ChaosOutcome:
        ran.append(programs.experiment.name)
        return ChaosOutcome("completed", False, "")

    monkeypatch.setattr(subject, "run_scenario", run)
    monkeypatch.setattr(subject, "side_by_side", lambda jobs, _: [job() for job in jobs.values()])
    Lanes(recording, experiments).record([system("first"), system("second")][:systems])
    assert ran[0] == first
    assert recording.folder.inputs().scenarios == NAMES


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What became of the programs of each scenario, in order; that of Nginx cannot be started ahead."""
    told: list[str] = []

    def prepare(programs: Programs) -> None:
        if programs.experiment.name == "pod-delete-nginx":
            raise LoadError("there is no such load test")
        told.append(f"prepare {programs.repeat.key}")

    def run(programs: Programs, _: object, begun: Callable[[], None]) -> ChaosOutcome:
        told.append(f"begin {programs.repeat.key}")
        begun()
        told.append(f"end {programs.repeat.key}")
        return ChaosOutcome("completed", False, "")

    monkeypatch.setattr(Programs, "prepare", prepare)
    monkeypatch.setattr(Programs, "close", lambda programs: told.append(f"close {programs.repeat.key}"))
    monkeypatch.setattr(subject, "run_scenario", run)
    return told


def test_the_programs_of_the_next_scenario_are_started_while_one_is_watched(
    recording: Recording, experiments: list[Experiment], told: list[str]
) -> None:
    recording.folder.restrict((NAMES[0], NAMES[2], NAMES[1]))
    inputs = dataclasses.replace(recording.folder.inputs(), trials=1)
    (recording.folder.path / "run.json").write_bytes(TypeAdapter(RunInputs).dump_json(inputs))
    Lanes(recording, [experiments[0], experiments[2], experiments[1]]).record([system("first")])
    assert told == [
        "begin pod-delete-api",
        "prepare redis-outage",
        "end pod-delete-api",
        "close pod-delete-api",
        "begin redis-outage",  # Nginx's next, whose error is told when it is due
        "end redis-outage",
        "close redis-outage",
        "begin pod-delete-nginx",
        "end pod-delete-nginx",
        "close pod-delete-nginx",
    ]


def test_what_was_started_before_the_run_is_used_by_it(
    recording: Recording, experiments: list[Experiment], told: list[str]
) -> None:
    lanes, systems = Lanes(recording, [experiments[0], experiments[2]]), [system("first"), system("second")]
    lanes.prepare(systems)
    assert told == ["prepare redis-outage/trial-1", "prepare redis-outage/trial-2"]
    lanes.record(systems)
    assert len(told) == len(set(told)), "nothing is started, run or ended twice"


def test_a_scenario_whose_spread_is_judged_is_begun_before_those_that_are_as_long_else(
    recording: Recording, experiments: list[Experiment], told: list[str]
) -> None:
    """Telling an even spread takes a few seconds more, or many."""
    recording.project.limits_file.parent.mkdir()
    recording.project.limits_file.write_text("[pod-delete-api]\nmax_over_mean = 1.25\n")
    Lanes(recording, [experiments[1], experiments[0]]).prepare([system("first"), system("second")])
    assert told == ["prepare pod-delete-api/trial-1", "prepare pod-delete-api/trial-2"]


def test_what_was_started_for_several_systems_is_ended_where_only_one_is_left(
    recording: Recording, experiments: list[Experiment], told: list[str]
) -> None:
    lanes, first = Lanes(recording, [experiments[0], experiments[2]]), system("first")
    lanes.prepare([first, system("second")])
    lanes.record([first])
    assert told[2:5] == ["close redis-outage/trial-1", "close redis-outage/trial-2", "begin pod-delete-api/trial-1"]
    assert sorted(line for line in told if line.startswith("end")) == [
        *("end pod-delete-api/trial-1", "end pod-delete-api/trial-2"),
        *("end redis-outage/trial-1", "end redis-outage/trial-2"),
    ]


def test_what_was_started_for_a_run_that_does_not_come_ends(
    recording: Recording, experiments: list[Experiment], told: list[str]
) -> None:
    with closing(Lanes(recording, [experiments[0]])) as lanes:
        lanes.prepare([system("first")])
    assert told == ["prepare pod-delete-api/trial-1", "close pod-delete-api/trial-1"]


def test_an_experiment_that_asks_the_system_as_it_is_loaded_is_not_started_ahead(
    recording: Recording, experiments: list[Experiment], told: list[str]
) -> None:
    asking = dataclasses.replace(experiments[2], can_wait=False)
    Lanes(recording, [experiments[0], asking]).record([system("first")])
    assert not [line for line in told if line.startswith("prepare redis")]
    assert [line for line in told if line.startswith("begin redis")]


def test_a_scenario_that_cannot_be_carried_out_stops_the_others(
    recording: Recording, experiments: list[Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def run(programs: Programs, *_: object) -> ChaosOutcome:
        scene = programs.scene
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
        Lanes(recording, experiments).record([system("first"), system("second")])
    assert [one.reason for one in recording.folder.history().of(RunEnded)] == ["the disk is full"]
