"""Which Dockerfile an image is built from, found by Compose files, by names, or since there is no other."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.manifests import find_contexts, images_of, parse_manifests

DOCKERFILE = "FROM python:3.13-slim\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project of its own: nothing above it is looked at."""
    project = tmp_path / "my project ü"
    (project / ".git").mkdir(parents=True)
    (project / "k8s").mkdir()
    return project


def write(folder: Path, *paths: str, **files: str) -> None:
    for path, text in {**dict.fromkeys(paths, DOCKERFILE), **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def found(folder: Path, *images: str, source: str = "k8s") -> dict[str, str]:
    """Return the Dockerfile of each image, as a path from the project."""
    return {one.image: str(one.dockerfile.relative_to(folder)) for one in find_contexts(images, [folder / source])}


@pytest.mark.parametrize(
    ("image", "dockerfile"),
    [
        ("api:latest", "api/Dockerfile"),
        ("shop/api:1", "services/api/Dockerfile"),
        ("docker.io/somebody/shop-api", "api/Dockerfile"),
        ("localhost:5000/shop_api:v2", "shop-api/Dockerfile"),
        ("api-service:1", "api/Dockerfile"),
        ("api:1", "api-service/Dockerfile"),
        ("services-api:1", "services/api/Dockerfile"),
        ("api:1", "Dockerfile.api"),
        ("api:1", "docker/api.Dockerfile"),
        ("my-project:1", "Dockerfile"),
    ],
)
def test_names_that_agree_belong_together(folder: Path, image: str, dockerfile: str) -> None:
    write(folder, dockerfile, "other/Dockerfile")
    assert found(folder, image, "elsewhere:1", "another:1") == {image: dockerfile}


def test_the_only_dockerfile_is_that_of_the_only_image_without_one(folder: Path) -> None:
    write(folder, "src/Dockerfile")
    assert found(folder, "shop:1", "shop:2", "redis:7", "docker.io/library/postgres") == dict.fromkeys(
        ("shop:1", "shop:2"), "src/Dockerfile"
    )
    assert found(folder, "shop:1", "bank:1") == {}


def test_what_can_be_read_in_two_ways_is_left_alone(folder: Path) -> None:
    write(folder, "api/Dockerfile", "old/api/Dockerfile")
    assert found(folder, "api:1") == {}


def test_a_compose_file_is_believed(folder: Path) -> None:
    compose = """
name: shop
services:
  front: {image: "team/web:dev", build: ./ui}
  api: {build: {context: ., dockerfile: docker/Dockerfile.server}}
  redis: {image: redis}
  broken: 5
"""
    write(folder, "ui/Dockerfile", "web/Dockerfile", "docker/Dockerfile.server", **{"compose.yaml": compose})
    assert found(folder, "team/web:1", "shop-api:latest") == {
        "team/web:1": "ui/Dockerfile",
        "shop-api:latest": "docker/Dockerfile.server",
    }
    (api,) = find_contexts(["shop-api:latest"], [folder / "k8s"])
    assert api.context == folder


def test_official_images_digests_and_an_image_that_would_build_itself_are_none(folder: Path) -> None:
    write(
        folder, "mongo/Dockerfile", **{"grafana/Dockerfile": "FROM --platform=linux/amd64 grafana/grafana:10 AS base"}
    )
    digest = "@sha256:" + "0" * 64
    assert found(folder, "mongo:6", "docker.io/library/mongo", "grafana/grafana:11", f"shop/mongo{digest}") == {}


def test_nothing_above_the_project_is_looked_at(folder: Path) -> None:
    write(folder.parent, "api/Dockerfile")
    assert find_contexts(["api:1"], [folder / "k8s"]) == []
    (folder / ".git").rmdir()
    assert find_contexts(["api:1"], [folder / "k8s"]) == []
    # Without a repository around them, folders of manifests belong to the first one that is called otherwise.
    write(folder, "api/Dockerfile", "deploy/k8s/base/web.yaml")
    assert found(folder, "api:1", source="deploy/k8s/base/web.yaml") == {"api:1": "api/Dockerfile"}


def test_hidden_and_foreign_folders_are_passed_over(folder: Path) -> None:
    write(folder, ".cache/api/Dockerfile", "node_modules/api/Dockerfile", "a/b/c/d/e/api/Dockerfile")
    assert found(folder, "api:1") == {}


def test_images_are_those_of_all_pods_each_once() -> None:
    text = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: a}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: "a:1"}, {image: "b:1"}]}}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: b}
spec: {initContainers: [{image: "c:1"}], containers: [{image: "a:1"}, {name: none}]}
---
apiVersion: example.com/v1
kind: Thing
metadata: {name: c}
spec: {containers: [{image: "d:1"}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
"""
    assert images_of(parse_manifests(text, "x.yaml")) == ["a:1", "b:1", "c:1"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("api:1", False),
        ("shop/api", False),
        ("docker.io/shop/api:2", False),
        ("localhost/api", True),
        ("localhost:5000/api:1", True),
        ("registry.example/shop/api:1", True),
    ],
)
def test_whether_a_name_says_its_registry(folder: Path, image: str, expected: bool) -> None:
    write(folder, "api/Dockerfile")
    (one,) = find_contexts([image], [folder / "k8s"])
    assert one.has_registry is expected


@given(st.text(max_size=200), st.text(max_size=20))
def test_no_compose_file_and_no_name_is_too_odd(tmp_path_factory: pytest.TempPathFactory, text: str, name: str) -> None:
    project = tmp_path_factory.mktemp("odd")
    (project / ".git").mkdir()
    (project / "compose.yaml").write_text(f"services:\n  web: {text}", "utf-8", "surrogatepass")
    assert find_contexts([name, "web:1"], [project]) == []
