"""Experiments are left out by name; one that is not there, or leaving out all of them, is refused with the names."""

from pathlib import Path

import pytest

from flametest.run.choice import choose
from flametest.run.experiment import ExperimentError
from flametest.run.project import Project

NAMES = ("one", "two", "three")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "experiments"
    folder.mkdir()
    (folder / "suites.toml").write_text(f"[core]\nexperiments = {list(NAMES)}\n")
    for name in NAMES:
        (folder / f"{name}.json").write_text("not read")
    return Project(tmp_path)


def names(files: tuple[Path, ...]) -> tuple[str, ...]:
    return tuple(file.stem for file in files)


def test_nothing_is_left_out_unasked(project: Project) -> None:
    choice = choose(project, "core")
    assert (names(choice.files), choice.left_out) == (NAMES, ())


@pytest.mark.parametrize("skipped", [("two",), ("two.json",), ("two", "two")])
def test_what_is_named_is_left_out_unread(project: Project, skipped: tuple[str, ...]) -> None:
    choice = choose(project, "core", skipped=skipped)
    assert (names(choice.files), choice.left_out) == (("one", "three"), ("two",))


def test_files_that_are_named_can_be_left_out_too(project: Project, tmp_path: Path) -> None:
    files = (tmp_path / "a.json", tmp_path / "b.json")
    assert names(choose(project, "none", files, ("a",)).files) == ("b",)


def test_an_experiment_is_named_by_its_file_or_as_in_a_suite(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two").mkdir()  # a folder is no experiment
    other = tmp_path / "other.yaml"

    assert choose(project, "core", [Path("two"), other]).files == (project.experiments / "two.json", other)
    with pytest.raises(ExperimentError, match="no experiment is called 'four'") as caught:
        choose(project, "core", [Path("four")])
    assert caught.value.remedy == "name a file, or one of: one, three, two"


def test_an_unknown_name_is_refused_with_those_that_there_are(project: Project) -> None:
    with pytest.raises(ExperimentError, match="--skip four, five: no such experiment in suite 'core'") as caught:
        choose(project, "core", skipped=("one", "four", "five"))
    assert caught.value.remedy == "leave out some of: one, two, three"


def test_leaving_out_everything_is_refused(project: Project) -> None:
    with pytest.raises(ExperimentError, match="--skip leaves out every experiment of suite 'core'"):
        choose(project, "core", skipped=NAMES)


@pytest.mark.parametrize("name", ["two\nlines", "no text \udcff"])
def test_a_name_that_no_report_can_hold_is_refused(project: Project, tmp_path: Path, name: str) -> None:
    with pytest.raises(ExperimentError, match="the name of experiment"):
        choose(project, "core", (tmp_path / f"{name}.json",))
