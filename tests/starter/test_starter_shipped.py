"""The shipped system as the files of a project."""

import tomllib
from pathlib import Path

import pytest

import flametest
from flametest.run.experiment import suite_files
from flametest.run.project import Project
from flametest.starter import shipped_files, write_project
from flametest.starter.errors import StarterError

INSTALLED = Path(flametest.__file__).parent


def test_what_is_written_can_be_deployed_and_tested(tmp_path: Path) -> None:
    write_project(tmp_path, shipped_files(INSTALLED), force=False)
    project = Project(tmp_path)
    assert project.read().namespace("") == "flametest"
    assert len(suite_files(project, "full")) > 10
    assert project.locustfile.is_file()


def test_every_image_that_is_named_can_be_built_from_what_is_written() -> None:
    files = shipped_files(INSTALLED)
    images = tomllib.loads(files["manifests/images.toml"])["image"]
    assert {one["name"].partition(":")[0] for one in images} >= {
        "flametest/api",
        "flametest/logic",
        "flametest/frontend",
    }
    for image in images:
        assert f"{image['context']}/{image.get('dockerfile', 'Dockerfile')}" in files


def test_caches_and_compiled_modules_are_no_part_of_it() -> None:
    assert not [
        name for name in shipped_files(INSTALLED) if "cache" in name.rpartition("/")[0] or name.endswith(".pyc")
    ]


def test_an_installation_without_a_system_says_so(tmp_path: Path) -> None:
    with pytest.raises(StarterError, match="holds no system"):
        shipped_files(tmp_path / "lib" / "flametest")
