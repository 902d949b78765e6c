"""Experiment files as tests: which files are collected, and how they are marked."""

import json
from pathlib import Path

import pytest

from tests.run.laboratory_run import REPOSITORY

EXPERIMENT = (REPOSITORY / "experiments" / "pod-delete-api.json").read_text()


@pytest.fixture
def project(web: pytest.Pytester) -> Path:
    """Return the folder of a project with an experiment, and files that are none."""
    folder = web.mkdir("experiments")
    folder.joinpath("pod-delete-web.json").write_text(EXPERIMENT.replace("api", "web"))
    web.path.joinpath("package.json").write_text('{"name": "something else"}')
    web.path.joinpath("values.yaml").write_text("{{ broken")
    return web.path


def test_experiments_are_tests_only_where_they_are_asked_for(pytester: pytest.Pytester, project: Path) -> None:
    assert pytester.runpytest_inprocess("--collect-only", "experiments").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result = pytester.runpytest_inprocess("--flametest", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["experiments/pod-delete-web.json::pod-delete-web", "1 test collected*"])


@pytest.mark.parametrize("content", ["{", "[]", '{"method": []}', EXPERIMENT.replace("chaos.controls", "other")])
def test_what_is_no_experiment_among_experiments_is_an_error(
    pytester: pytest.Pytester, project: Path, content: str
) -> None:
    (project / "experiments" / "broken.json").write_text(content)
    result = pytester.runpytest_inprocess("--flametest", "--collect-only")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*broken.json*", "*remedy: *"])


def test_a_file_that_is_named_has_to_be_an_experiment(pytester: pytest.Pytester, project: Path) -> None:
    result = pytester.runpytest_inprocess("--flametest", "--collect-only", "values.yaml")
    result.assert_outcomes(errors=1)


@pytest.mark.parametrize(("seconds", "is_slow"), [(3, False), (300, True)])
def test_what_waits_for_long_is_marked_slow(
    pytester: pytest.Pytester, project: Path, seconds: float, is_slow: bool
) -> None:
    document = json.loads(EXPERIMENT)
    document["method"] = [
        {
            "type": "action",
            "name": "wait",
            "provider": {"type": "python", "module": "flametest.chaos.actions", "arguments": {"seconds": seconds}},
        }
    ]
    (project / "experiments" / "pod-delete-web.json").write_text(json.dumps(document))
    result = pytester.runpytest_inprocess("--flametest", "--collect-only", "-q", "-m", "flametest_slow")
    assert (result.ret == 0) is is_slow
