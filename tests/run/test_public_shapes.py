"""Experiments as people publish them: each ends with a documented exit code and one line, and none with a traceback."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from flametest.cli.ending import guarded
from flametest.cli.main import main as program
from tests.chaos import conftest
from tests.run.shapes import ENVIRONMENT, Shape, shapes

SHAPES = list(shapes())
chaos_run, cluster, pretended = conftest.chaos_run, conftest.cluster, conftest.pretended  # fixtures

Rehearse = Callable[[Sequence[Path]], tuple[int, str, str]]


@pytest.fixture
def rehearse(
    chaos_run: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Rehearse:
    """Return ``flametest run --dry-run`` on a cluster that answers."""
    for name, value in {**chaos_run.environment, **ENVIRONMENT}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    options = [
        "--dry-run",
        "--no-deploy",
        "--cluster",
        "context:pretended",
        "--url",
        chaos_run.environment["FLAMETEST_URL"],
    ]

    def run(files: Sequence[Path]) -> tuple[int, str, str]:
        named = [word for file in files for word in ("--experiment", str(file))]
        code = guarded(lambda: program.main(["run", *options, *named], prog_name="flametest", standalone_mode=False))
        return int(code or 0), *capfd.readouterr()

    return run


def written(folder: Path, some: Sequence[Shape]) -> list[Path]:
    for shape in some:
        (folder / shape.name).write_text(shape.text)
    return [folder / shape.name for shape in some]


def test_there_are_as_many_shapes_as_were_collected_from_the_public_and_each_has_a_name() -> None:
    assert len(SHAPES) >= 151
    assert len({Path(shape.name).stem for shape in SHAPES}) == len(SHAPES) - 1  # file-empty is there in two formats


def test_those_that_are_right_are_shown(rehearse: Rehearse, cluster: Any, tmp_path: Path) -> None:
    right = [shape for shape in SHAPES if not shape.refusal]
    code, shown, told = rehearse(written(tmp_path, right))
    assert code == 0, told
    assert {Path(shape.name).stem for shape in right} <= set(shown.splitlines())
    assert "act: not checked (unguarded)" in shown
    assert "known only in the run, by the configuration x" in shown
    assert cluster.deleted == []


def test_those_that_are_not_end_with_one_line_and_the_code_of_a_set_up_error(
    rehearse: Rehearse,
    cluster: Any,
    tmp_path: Path,
) -> None:
    wrong = [shape for shape in SHAPES if shape.refusal]
    unexpected = {}
    for shape, file in zip(wrong, written(tmp_path, wrong), strict=True):
        code, shown, told = rehearse([file])
        kinds = [line.split(":", maxsplit=1)[0] for line in told.splitlines()]
        in_lines = kinds in (["error"], ["error", "remedy"]) and "Traceback" not in shown + told
        if not (code == 2 and in_lines and shape.refusal in told and shape.name in told):
            unexpected[shape.name] = (code, shape.refusal, told)
    assert unexpected == {}
    assert cluster.deleted == []
