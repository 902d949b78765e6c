"""Whose files a command means: the user's own, wherever there are some, and never in silence those that are shipped."""

from pathlib import Path

import pytest

from flametest.run.project import Project, ProjectError, find_project, nearest_project
from flametest.run.systems import DeployedSystem, forget, recall, remember

WEB = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {}\n"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The package's folder of an editable installation, whose checkout could be deployed."""
    checkout = tmp_path / "checkout"
    (checkout / "src" / "flametest").mkdir(parents=True)
    (checkout / "manifests").mkdir()
    (checkout / "manifests" / "images.toml").touch()
    return checkout / "src" / "flametest"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


def write(path: Path, text: str = WEB) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("name", ["web.yaml", "web.json", "deep/er/web.yml"])
def test_a_folder_of_manifests_without_images_is_a_project(own: Path, installed: Path, name: str) -> None:
    write(own / "manifests" / name)
    (own / "elsewhere").mkdir()
    project = find_project(own / "elsewhere", installed)
    assert (project.root, project.is_shipped, project.images_file) == (own, False, None)


def test_what_is_shipped_is_taken_only_where_there_is_nothing_and_is_marked(own: Path, installed: Path) -> None:
    project = find_project(own, installed)
    assert (project.root, project.is_shipped) == (installed.parents[1], True)
    assert find_project(installed, installed).is_shipped is False


@pytest.mark.parametrize("name", ["web.yaml", "k8s/web.yaml", "deploy/web.json"])
def test_manifests_elsewhere_are_never_passed_over(own: Path, installed: Path, name: str) -> None:
    write(own / name, '{"apiVersion": "v1",\n "kind": "Pod"}' if name.endswith("json") else WEB)
    with pytest.raises(ProjectError, match=rf"{name} holds manifests") as raised:
        find_project(own, installed)
    assert f"flametest up {Path(name).parent}" in raised.value.remedy


def test_experiments_without_a_load_test_are_never_passed_over(own: Path, installed: Path) -> None:
    (own / "experiments").mkdir()
    with pytest.raises(ProjectError, match="has experiments/, but neither"):
        find_project(own, installed)


def test_other_yaml_does_not_matter(own: Path, installed: Path) -> None:
    write(own / "docker-compose.yaml", "services: {}\n")
    write(own / "package.json", '{"name": "x"}')
    assert find_project(own, installed).is_shipped


def test_what_needs_no_project_works_in_any_folder(own: Path) -> None:
    assert nearest_project(own).root == own


def test_without_a_checkout_the_remedy_names_what_to_do(own: Path) -> None:
    with pytest.raises(ProjectError) as raised:
        find_project(own, own / "lib" / "flametest")
    assert "flametest new DIR" in raised.value.remedy


def test_images_are_looked_for_beside_and_above_what_was_named(own: Path) -> None:
    write(own / "manifests" / "images.toml", "")
    write(own / "manifests" / "overlays" / "test" / "web.yaml")
    expected = own / "manifests" / "images.toml"
    overlay = own / "manifests" / "overlays" / "test"
    assert Project(own, (own / "manifests",)).images_file == expected
    assert Project(own, (overlay / "web.yaml",)).images_file == expected
    assert Project(own, (), overlay).images_file == expected
    assert Project(own, (own,)).images_file == expected


def test_a_project_without_manifests_says_how_to_test_what_is_deployed(own: Path) -> None:
    with pytest.raises(ProjectError) as raised:
        Project(own).read()
    assert "--no-deploy" in raised.value.remedy


def test_what_was_deployed_is_remembered_until_it_is_ended(tmp_path: Path) -> None:
    home, system = tmp_path / "state", DeployedSystem("shop", "http://127.0.0.1:31000")
    assert recall(home, "sandbox") is None
    remember(home, "sandbox", system)
    remember(home, "minikube", DeployedSystem("other", ""))
    assert recall(home, "sandbox") == system
    forget(home, "sandbox")
    assert recall(home, "sandbox") is None
    assert recall(home, "minikube") == DeployedSystem("other", "")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"sandbox": 3}', '{"sandbox": {"namespace": ""}}'])
def test_a_broken_memory_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "systems.json").write_text(text)
    assert recall(tmp_path, "sandbox") is None
    remember(tmp_path, "sandbox", DeployedSystem("shop", ""))
    assert recall(tmp_path, "sandbox") == DeployedSystem("shop", "")
