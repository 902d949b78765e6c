"""Experiment files as tests, run on the sandbox and judged by their limits."""

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.pytest_plugin.ending import left_behind
from tests.run.laboratory_run import REPOSITORY

pytestmark = [pytest.mark.sandbox, pytest.mark.measured, pytest.mark.exhaustive]


def test_a_limit_that_is_missed_fails_in_the_words_of_a_run(web: pytest.Pytester) -> None:
    folder = web.mkdir("experiments")
    shipped = (REPOSITORY / "experiments" / "pod-delete-api.json").read_text()
    folder.joinpath("pod-delete-web.json").write_text(shipped.replace("api", "web"))
    folder.joinpath("limits.toml").write_text("[default]\nrecovery_seconds = 0.001\n")
    visitors = (REPOSITORY / "src" / "flametest" / "starter" / "visitors.py").read_text()
    web.mkdir("loadtests").joinpath("locustfile.py").write_text(visitors)
    result = web.runpytest_subprocess("--flametest", "experiments", timeout=PATIENCE_SECONDS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED        pod-delete-web: *limit 0.001 s)", "FAILED: *"])
    assert result.ret == 1
    assert left_behind(web.path / "state") == []
