"""The folder is a project that a run accepts, and writing it loses nothing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.run.experiment import load_experiment, read_limits, suite_files
from flametest.run.project import ProjectError, find_project
from flametest.starter.errors import StarterError
from flametest.starter.plan import make_plan
from flametest.starter.project import project_files, write_project
from flametest.starter.rules import find_weaknesses
from flametest.starter.topology import Topology
from tests.starter.systems import container, service, topology_of, workload


def files_of(topology: Topology, *paths: str) -> dict[str, str]:
    plan = make_plan(topology, "http://shop.example", paths or topology.paths)
    return project_files(plan, find_weaknesses(topology), "context:staging")


@pytest.fixture
def files() -> dict[str, str]:
    return files_of(topology_of(workload("web", "Deployment", container(livenessProbe=None)), service()))


def test_the_folder_is_found_as_a_project_from_within_and_its_suites_hold_readable_experiments(
    files: dict[str, str], tmp_path: Path
) -> None:
    write_project(tmp_path, files, force=False)
    project = find_project(tmp_path / "experiments", tmp_path / "nowhere")
    assert project.root == tmp_path
    assert [load_experiment(file).name for file in suite_files(project, "core")] == [
        "pod-delete-web",
        "rolling-restart-web",
    ]
    assert "control" in read_limits(project.limits_file).scenarios()


def test_a_folder_with_manifests_and_images_is_a_project_before_it_has_experiments(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    with pytest.raises(ProjectError):
        find_project(tmp_path, tmp_path)
    (tmp_path / "manifests" / "images.toml").touch()
    assert find_project(tmp_path, tmp_path).root == tmp_path


def test_the_readme_tells_the_commands_of_this_cluster_and_the_weaknesses(files: dict[str, str]) -> None:
    told = files["README.md"]
    where = "--cluster context:staging --no-deploy --namespace shop --url http://shop.example"
    assert f"flametest run {where} --suite core" in told
    assert "kubectl label namespace shop flametest.dev/faults=allowed" in told
    assert "no-liveness-probe" in told


def test_writing_again_changes_nothing(files: dict[str, str], tmp_path: Path) -> None:
    assert set(write_project(tmp_path, files, force=False).files) == files.keys()
    assert write_project(tmp_path, files, force=False).files == ()


def test_nothing_is_written_where_another_version_is(files: dict[str, str], tmp_path: Path) -> None:
    limits = tmp_path / "experiments" / "limits.toml"
    limits.parent.mkdir()
    limits.write_text("[default]\noutage_seconds = 1\n")
    with pytest.raises(StarterError, match=r"other versions of experiments/limits\.toml; nothing was written"):
        write_project(tmp_path, files, force=False)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [limits]


def test_by_force_every_former_version_is_kept(files: dict[str, str], tmp_path: Path) -> None:
    limits = tmp_path / "experiments" / "limits.toml"
    own = tmp_path / "experiments" / "my-own.json"
    write_project(tmp_path, files, force=False)
    own.write_text("{}")
    for version in ("first", "second"):
        limits.write_text(version)
        written = write_project(tmp_path, files, force=True)
        assert written.files == ("experiments/limits.toml",)
    assert (limits.with_name("limits.toml.~1~")).read_text() == "first"
    assert (limits.with_name("limits.toml.~2~")).read_text() == "second"
    assert limits.read_text() == files["experiments/limits.toml"]
    assert own.read_text() == "{}"


def test_a_folder_that_cannot_be_written_is_told_with_a_remedy(files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StarterError, match="cannot be written") as told:
        write_project(tmp_path / "taken", files, force=False)
    assert told.value.remedy == "name another folder with --out"


@given(st.lists(st.from_regex(r"/[\w/ \"'{}éß-]{0,12}", fullmatch=True), min_size=1, max_size=4, unique=True))
def test_the_load_test_asks_for_the_paths_whatever_characters_they_have(paths: list[str]) -> None:
    text = files_of(topology_of(workload(), service()), *paths)["loadtests/locustfile.py"]
    line = next(one for one in text.splitlines() if one.startswith("PATHS = "))
    scope: dict[str, dict[str, int]] = {}
    exec(line, scope)
    assert list(scope["PATHS"]) == paths
    compile(text, "locustfile.py", "exec")


def test_the_load_test_that_is_written_is_the_one_that_was_checked() -> None:
    text = files_of(topology_of(workload(), service()), "/")["loadtests/locustfile.py"]
    from flametest import starter  # noqa: PLC0415

    assert text == Path(starter.__file__).with_name("visitors.py").read_text()
