"""The folder of a run: nothing that was recorded is lost, and what is read back is what was written."""

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from flametest.model.events import Noted, Stamp
from flametest.model.history import History, encode
from flametest.model.samples import SAMPLE_COLUMNS
from flametest.run.folder import RunFolder, RunInputs, append_event
from flametest.run.project import ProjectError

HEADER = ",".join(SAMPLE_COLUMNS) + "\n"
INPUTS = RunInputs(
    "r", "sandbox", "", "flametest", "http://127.0.0.1", "core", 7, "flametest run", "", ("one",), (), ()
)


def noted(nanoseconds: int, message: str, scenario: str = "one") -> Noted:
    return Noted(Stamp(nanoseconds, 0.0), scenario, message)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", INPUTS)


def test_events_of_a_run_and_of_its_scenarios_are_one_history(folder: RunFolder) -> None:
    folder.note(noted(1, "begun", ""))
    (folder.scenario("one") / "history.jsonl").write_text(encode(noted(2, "seen")) + "\n")

    folder.fold("one")

    assert folder.history() == History([noted(1, "begun", ""), noted(2, "seen")])


def row(moment: int) -> str:
    return f"load,GET /,{moment},{moment},{moment + 5},ok,200,api-1,,\n"


def moments(folder: RunFolder, scenario: str) -> list[int]:
    return [int(one) for one in folder.samples().of(scenario).sent_ns]


def test_folding_twice_adds_nothing(folder: RunFolder) -> None:
    (folder.scenario("one") / "history.jsonl").write_text(encode(noted(2, "seen")) + "\n")
    (folder.scenario("one") / "samples-prober.csv").write_text(HEADER + row(1))

    folder.fold("one")
    folder.fold("one")

    assert len(folder.history()) == 1
    assert moments(folder, "one") == [1]


def test_samples_come_back_by_scenario(folder: RunFolder) -> None:
    for name in ("one", "two"):
        (folder.scenario(name) / "samples-load.csv").write_text(HEADER + row(len(name)) + row(9))
        folder.fold(name)

    assert moments(folder, "two") == [3, 9]
    assert moments(folder, "none") == []
    assert folder.samples().problem("none") == ""


@pytest.mark.parametrize("name", ["with, comma", 'a "quoted" one', '"', "a b", ",", '","'])
def test_samples_come_back_by_scenario_whatever_its_name(folder: RunFolder, name: str) -> None:
    for one in ("before", name, "behind"):
        (folder.scenario(one) / "samples-load.csv").write_text(HEADER + row(1) + row(9))
        folder.fold(one)

    assert [moments(folder, one) for one in ("before", name, "behind")] == [[1, 9]] * 3
    with gzip.open(folder.path / "samples.csv.gz", "rt", newline="") as lines:
        assert [line[0] for line in csv.reader(lines)][1:] == ["before"] * 2 + [name] * 2 + ["behind"] * 2


@pytest.mark.parametrize(
    "name", ["a,b", 'a "b"', 'a",b', "a b ü", "a\u2028b", "a%s", "'; x", '"', ",", 'a""', "-x", "a\x85b", "a\x0cb"]
)
def test_a_scenario_of_any_name_gets_its_own_samples_and_events_back(folder: RunFolder, name: str) -> None:
    for one in ("one", name):
        (folder.scenario(one) / "samples-load.csv").write_text(HEADER + row(len(one)) + row(99))
        (folder.scenario(one) / "history.jsonl").write_text(encode(noted(2, "seen\u2028\x85", one)) + "\n")
        folder.fold(one)
    assert moments(folder, name) == [len(name), 99]
    assert moments(folder, "one") == [3, 99]
    assert folder.samples().problem(name) == ""
    assert [event.scenario for event in folder.history()] == ["one", name]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.write_text("file"), "is no folder"),
        (lambda path: (path.mkdir(), (path / "x").touch()), "is not empty"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_before_anything_is_started(
    tmp_path: Path, make: Callable[[Path], object], told: str
) -> None:
    make(tmp_path / "out")
    with pytest.raises(ProjectError, match=told):
        RunFolder.check(tmp_path / "out")
    RunFolder.check(tmp_path / "new" / "run")


def test_a_history_on_a_full_disk_is_told_by_its_path() -> None:
    with pytest.raises(ProjectError, match="/dev/full cannot be written: No space left on device"):
        append_event(Path("/dev/full"), noted(1, "x"))


def test_events_of_a_trial_get_its_name(folder: RunFolder) -> None:
    (folder.scenario("one/trial-2") / "history.jsonl").write_text(encode(noted(2, "seen")) + "\n")
    (folder.scenario("one/trial-2") / "samples-load.csv").write_text(HEADER + row(4))

    folder.fold("one/trial-2")

    assert folder.history().scenario("one/trial-2") == History([noted(2, "seen", "one/trial-2")])
    assert moments(folder, "one/trial-2") == [4]


def test_a_row_that_a_crash_cut_off_is_left_out(folder: RunFolder) -> None:
    (folder.scenario("one") / "samples-load.csv").write_text(HEADER + row(1) + "load,GET /")

    folder.fold("one")

    assert moments(folder, "one") == [1]


def test_a_truncated_samples_file_is_told_for_the_scenarios_that_it_cuts(folder: RunFolder) -> None:
    for name in ("one", "two"):
        (folder.scenario(name) / "samples-load.csv").write_text(HEADER + "".join(map(row, range(1000))))
        folder.fold(name)
    path = folder.path / "samples.csv.gz"
    path.write_bytes(path.read_bytes()[:-10])

    samples = folder.samples()

    assert samples.problem("one") == ""
    assert len(samples.of("one")) == 1000
    assert "is cut off" in samples.problem("two")
    assert len(samples.of("two")) == 0
    assert "is cut off" in samples.problem("three")


def test_a_broken_row_is_told_for_its_scenario_only(folder: RunFolder) -> None:
    for name, rows in (("one", "load,GET /,x,1,2,ok,200,api-1,,\n"), ("two", row(1))):
        (folder.scenario(name) / "samples-load.csv").write_text(HEADER + rows + row(7))
        folder.fold(name)

    samples = folder.samples()

    assert "expected the 10 fields" in samples.problem("one")
    assert samples.problem("two") == ""
    assert len(samples.of("two")) == 2


def test_samples_are_readable_by_any_tool(folder: RunFolder) -> None:
    for name in ("one", "two"):
        (folder.scenario(name) / "samples-load.csv").write_text(HEADER + "row\n")
        folder.fold(name)

    assert gzip.decompress((folder.path / "samples.csv.gz").read_bytes()) == (
        f"scenario,{HEADER}one,row\ntwo,row\n".encode()
    )


def test_an_earlier_run_is_never_overwritten(folder: RunFolder) -> None:
    with pytest.raises(ProjectError, match="is not empty"):
        RunFolder.create(folder.path, INPUTS)


def test_inputs_are_read_back(folder: RunFolder) -> None:
    assert RunFolder.open(folder.path).inputs() == INPUTS


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is not the folder of a run"):
        RunFolder.open(tmp_path)


def test_latest_points_at_the_newest_run(tmp_path: Path) -> None:
    for name in ("first", "second"):
        RunFolder.create(tmp_path / name, INPUTS).point_latest(tmp_path)

    assert (tmp_path / "latest").readlink() == Path("second")
