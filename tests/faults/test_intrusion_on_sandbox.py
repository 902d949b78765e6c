"""An intruder is kept out by the policies, gets in where one is missing, and is gone afterwards."""

import pytest

from flametest.faults.connection import Reach
from flametest.faults.errors import FaultError
from flametest.faults.intrusion import Attempt, Intrusion
from flametest.faults.wrapper import applied
from flametest.kube.resources import NETWORK_POLICIES
from flametest.kube.snapshots import restore, snapshot
from tests.faults.system import System

pytestmark = pytest.mark.sandbox

NAMESPACE = "flametest"
ISOLATED = {"logic": 8080, "postgres": 5432}


def test_an_intruder_gets_in_exactly_where_a_policy_is_missing(system: System) -> None:
    before = system.whole()
    intrusion = Intrusion(NAMESPACE, ISOLATED, ("nginx", 8080))
    path = NETWORK_POLICIES.path(NAMESPACE, "logic")
    policy = snapshot(system.client.api.get(path))
    with applied(intrusion, system.injector()) as proof:
        assert proof.proved, proof.evidence
        kept_out = intrusion.attempts(system.client)
        system.client.api.send("DELETE", path)
        try:
            without = intrusion.attempts(system.client)
        finally:
            restore(system.client.api, NETWORK_POLICIES, policy)
    assert [one.outcome for one in kept_out] == [Reach.FAILED, Reach.FAILED]
    assert without == (Attempt("logic", 8080, Reach.CONNECTED), Attempt("postgres", 5432, Reach.FAILED))
    assert system.specifications() == before


def test_an_intruder_without_a_network_proves_nothing(system: System) -> None:
    intrusion = Intrusion(NAMESPACE, ISOLATED, ("redis", 6379))
    with applied(intrusion, system.injector()) as proof:
        assert not proof.proved
        assert "cannot even connect to port 6379 of redis" in proof.evidence


@pytest.mark.parametrize(
    ("isolated", "told"),
    [
        ({}, "no app is named"),
        ({"logic": 1}, "no pod of namespace 'flametest' is seen to connect to port 1 of logic"),
        ({"logik": 8080}, "holds no workload 'logik'"),
    ],
)
def test_an_intrusion_that_could_prove_nothing_is_refused(system: System, isolated: dict[str, int], told: str) -> None:
    before = system.whole()
    with pytest.raises(FaultError, match=told):
        system.injector().inject(Intrusion(NAMESPACE, isolated, ("nginx", 8080)))
    assert system.specifications() == before
    assert system.left() == 0
