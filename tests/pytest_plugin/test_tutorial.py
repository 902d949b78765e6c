"""The tutorial of docs/pytest.md, as it is written: the weakness is found, and gone when it is fixed as told."""

import re

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.run.laboratory_run import REPOSITORY

pytestmark = [pytest.mark.sandbox, pytest.mark.measured, pytest.mark.exhaustive]


def block(page: str, language: str, number: int) -> str:
    """Return one of a page's blocks of code."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return found[number]


def test_the_tutorial_finds_a_weakness_and_mends_it(pytester: pytest.Pytester) -> None:
    page = (REPOSITORY / "docs" / "pytest.md").read_text()
    manifest, fixed = block(page, "yaml", 0), block(page, "yaml", 1)
    file = pytester.mkdir("manifests") / "web.yaml"
    file.write_text(manifest)
    pytester.makepyfile(block(page, "python", 0))
    weak = pytester.runpytest_subprocess(timeout=PATIENCE_SECONDS)
    weak.assert_outcomes(failed=1)
    weak.stdout.fnmatch_lines([">*assert felt.outage_seconds < 0.5"])
    probe = next(line for line in manifest.splitlines(keepends=True) if "readinessProbe" in line)
    file.write_text(manifest.replace("replicas: 1", "replicas: 2").replace(probe, probe + fixed))
    pytester.runpytest_subprocess(timeout=PATIENCE_SECONDS).assert_outcomes(passed=1)
