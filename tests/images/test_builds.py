"""What a build needs to know of a Dockerfile, and what is remembered of builds."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.images.builds import read_builds, write_builds
from flametest.sandbox.images.dockerfile import DockerfileError, base_images


def bases_of(folder: Path, text: str) -> tuple[str, ...]:
    (folder / "Dockerfile").write_text(text)
    return tuple(dict.fromkeys(base_images(folder / "Dockerfile").values()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM scratch\nCOPY a /a\n", ()),
        ("FROM python:3.13-slim\n", ("python:3.13-slim",)),
        ("ARG TAG=3\nARG BASE=python:$TAG\nFROM ${BASE}-slim\n", ("python:3-slim",)),
        ("FROM --platform=linux/amd64 a:1 AS Build\nFROM build\nFROM b:2\n", ("a:1", "b:2")),
        ("FROM a\nCOPY --from=0 /x /y\nCOPY --chown=1:1 --from=reg.example:5/b:1 /x /y\n", ("a", "reg.example:5/b:1")),
        ("FROM a AS one\nRUN --mount=type=bind,from=one,target=/x id\nRUN --mount=from=uv,target=/u id\n", ("a", "uv")),
        ("FROM a\nRUN pip install --from=1 && echo --from=none\n", ("a",)),
    ],
)
def test_the_bases_of_a_dockerfile(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    assert bases_of(tmp_path, text) == expected


def test_a_dockerfile_without_a_base_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DockerfileError, match="no FROM"):
        bases_of(tmp_path, "RUN id\n")
    with pytest.raises(DockerfileError, match="cannot read"):
        base_images(tmp_path / "none")


@given(
    stages=st.lists(st.sampled_from(("a:1", "b:2", "scratch", "stage0", "stage1", "stage2")), min_size=1, max_size=6)
)
def test_no_stage_counts_as_a_base(stages: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    text = "".join(f"FROM {base} AS stage{number}\n" for number, base in enumerate(stages))
    earlier = {"scratch"}
    expected: list[str] = []
    for number, base in enumerate(stages):
        if base not in earlier and base not in expected:
            expected.append(base)
        earlier.add(f"stage{number}")
    assert bases_of(tmp_path_factory.mktemp("d"), text) == tuple(expected)


def test_a_record_of_builds_is_added_to(tmp_path: Path) -> None:
    file = tmp_path / "builds.json"
    assert read_builds(file) == {}
    write_builds(file, {"test/a": "sha256:1", "docker.io/test/b:2": "sha256:2"})
    write_builds(file, {"test/a:latest": "", "test/c:1": "sha256:3"})
    assert read_builds(file) == {"test/b:2": "sha256:2", "test/c:1": "sha256:3"}
    file.write_text("half")
    assert read_builds(file) == {}
