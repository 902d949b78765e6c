"""The example of the documentation, on the system that Flametest ships: load, a lost pod, and the ledger of writes."""

import shlex

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.pytest_plugin.ending import left_behind
from tests.run.laboratory_run import REPOSITORY

pytestmark = [pytest.mark.sandbox, pytest.mark.measured, pytest.mark.exhaustive]

EXAMPLE = """
from flametest.pytest_plugin import delete_pods

def test_checkout_survives_a_lost_pod(system):
    with system.load("/shop/api/events", rate=50), system.fault(delete_pods("api", count=1)) as felt:
        felt.wait_recovered(seconds=30)
    assert felt.outage_seconds < 1
    assert felt.writes.lost == 0
    assert felt.writes.acknowledged > 0
"""


def test_the_example_passes(pytester: pytest.Pytester) -> None:
    pytester.makeini(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
        f"flametest_manifests = {shlex.quote(str(REPOSITORY / 'manifests'))}\n"
    )
    pytester.makepyfile(EXAMPLE)
    result = pytester.runpytest_subprocess("--durations=0", timeout=PATIENCE_SECONDS)
    result.assert_outcomes(passed=1)
    assert left_behind(pytester.path / "state") == []
