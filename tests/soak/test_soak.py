"""A short soak in every run of the tests; ``nox -s soak`` runs the long one."""

import pytest

from flametest.sandbox.launch import Sandbox
from tests.sandbox.conftest import options, sandbox
from tests.soak.soak import soak

pytestmark = [pytest.mark.sandbox, pytest.mark.exhaustive]

__all__ = ["options", "sandbox"]


def test_random_changes_leave_nothing_behind(sandbox: Sandbox) -> None:
    outcome = soak(sandbox, seconds=6, seed=1, filling_events=0)
    assert outcome.leaked == {}
    # Memory is the long soak's to judge: in seconds it does not come to where it stays.
    assert sum(outcome.changes.values()) >= 20
