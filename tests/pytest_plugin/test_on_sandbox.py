"""Tests of a user's on the real sandbox: what passes, what fails, what is an error, and that all is healed after it."""

import pytest

from flametest.run.folder import read_result
from tests.pytest_plugin.ending import left_behind

pytestmark = pytest.mark.sandbox

SECONDS_MAX = 400
GOOD = """
    from flametest.pytest_plugin import delete_pods

    def test_a_lost_pod_is_hardly_felt(system):
        with system.load("/", rate=20), system.fault(delete_pods("web", count=1)) as felt:
            felt.wait_recovered(seconds=60)
        assert felt.outage_seconds < 5
        assert 0 < felt.recovery_seconds < 60
"""
OTHERS = """
    import urllib.request

    from flametest.pytest_plugin import delete_pods, remove_service

    def test_fails_while_a_service_is_gone(system):
        with system.fault(remove_service("web"), baseline_seconds=1) as felt:
            felt.wait_recovered(seconds=1)

    def test_users_are_served_again(system):
        with urllib.request.urlopen(system.url, timeout=10) as answer:
            assert answer.status == 200

    def test_hits_too_many(system):
        with system.fault(delete_pods("web", count=2), baseline_seconds=1):
            raise AssertionError("nothing may be injected")

    def test_ends_before_anything_can_be_told(system):
        with system.fault(remove_service("web"), baseline_seconds=1, settle_seconds=0) as felt:
            felt.wait(0.2)
"""


@pytest.mark.exhaustive  # what passes and what a report holds, others show without a sandbox
@pytest.mark.measured
def test_a_good_system_passes_and_its_report_is_attached(web: pytest.Pytester) -> None:
    file = web.makepyfile(test_web=GOOD)
    result = web.runpytest_subprocess("--junitxml=junit.xml", "--flametest-reports=kept", timeout=SECONDS_MAX)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"flametest reports: {web.path / 'kept'}"])
    report = web.path / "kept" / f"{file.stem}-test_a_lost_pod_is_hardly_felt"
    assert read_result(report / "result.json").verdict == "passed"
    assert str(report / "report.html") in (web.path / "junit.xml").read_text()
    assert left_behind(web.path / "state") == []


def test_weak_systems_fail_doubts_are_errors_and_each_test_has_a_healed_system(web: pytest.Pytester) -> None:
    web.makepyfile(OTHERS)
    result = web.runpytest_subprocess("-v", timeout=SECONDS_MAX)
    result.assert_outcomes(passed=1, failed=1, errors=2)
    result.stdout.fnmatch_lines_random(
        [
            "*test_fails_while_a_service_is_gone FAILED*",
            "*test_users_are_served_again PASSED*",
            "*test_hits_too_many SET-UP ERROR*",
            "*test_ends_before_anything_can_be_told INCONCLUSIVE*",
            "*web had not recovered after 1 s: * of the prober's last * requests failed",
            "*2 of 2 pods of one controller, more than the share of 50% that is allowed*",
        ]
    )
    assert result.ret == 1
    assert left_behind(web.path / "state") == []
