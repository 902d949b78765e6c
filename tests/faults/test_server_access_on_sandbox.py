"""Switches of pods that policies shut the API server out of, on a real system whose pod proxy obeys such policies."""

from typing import Any

import pytest

from flametest.faults.errors import FaultError, HealError
from flametest.faults.http_faults import HttpFaults
from flametest.faults.random_errors import RandomErrors
from flametest.faults.switches import read, turn_off, turn_on
from flametest.faults.wrapper import applied
from flametest.kube.api import Api
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import ENDPOINT_SLICES, NETWORK_POLICIES, Object
from flametest.kube.snapshots import find
from tests.faults.system import System
from tests.faults.test_http_faults_on_sandbox import active, pods_of

pytestmark = pytest.mark.sandbox

NAMESPACE = "flametest"
POLICY = "flametest-api-server-logic"
FAULT = RandomErrors(NAMESPACE, "logic", HttpFaults(error_rate=0.3))


def policy(system: System) -> Object | None:
    return find(system.client.api, NETWORK_POLICIES, NAMESPACE, POLICY)


# Most networks drop what no policy admits; kube-router refuses it.
@pytest.fixture(params=["i/o timeout", "connect: connection refused"])
def shut_out(system: System, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Shut the API server out of logic; return how its requests end."""
    shut(system, monkeypatch, str(request.param))
    return str(request.param)


def shut(system: System | None, monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    """Have the API server reach no pod of logic, unless the policy is there; without a system, not even then.

    The sandbox's API server is on every pod's node, and so is always let in.
    """
    passed_on = Api._read

    def asked(api: Api, request: Any) -> bytes:
        is_meant = "/pods/logic-" in request.path and "/proxy/" in request.path
        if is_meant and (system is None or policy(system) is None):
            told = f"error trying to reach service: dial tcp 10.244.0.5:9090: {ends}"
            raise ApiRejectedError(told, code=503, told=told)
        return passed_on(api, request)

    monkeypatch.setattr(Api, "_read", asked)


@pytest.mark.usefixtures("shut_out")
def test_the_api_server_is_admitted_for_as_long_as_the_fault_lasts(system: System) -> None:
    before = system.whole()
    with applied(FAULT, system.injector()) as proof:
        assert proof.proved, proof.evidence
        assert active(system) == [True, True]
        made = policy(system)
        assert made is not None
        slices = system.client.api.listed(ENDPOINT_SLICES.path("default")).items
        addresses = {one for piece in slices for each in piece["endpoints"] for one in each["addresses"]}
        assert made["spec"]["ingress"] == [
            {
                "from": [{"ipBlock": {"cidr": f"{address}/32"}} for address in sorted(addresses)],
                "ports": [{"protocol": "TCP", "port": 9090}, {"protocol": "TCP", "port": 8080}],
            }
        ]
        assert made["spec"]["podSelector"] == {"matchLabels": {"app": "logic"}}
    assert system.specifications() == before
    assert system.left() == 0


def test_switches_are_turned_off_though_somebody_has_removed_the_policy(system: System, shut_out: str) -> None:
    before = system.whole()
    with applied(FAULT, system.injector()):
        system.client.api.send("DELETE", NETWORK_POLICIES.path(NAMESPACE, POLICY))
    assert system.specifications() == before
    assert system.left() == 0
    for pod in pods_of(system, "logic"):
        with pytest.raises(ApiRejectedError, match=shut_out):
            read(system.client, NAMESPACE, pod)


def test_a_refused_connection_is_no_proof_that_a_switch_is_off(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies may refuse it, while the switch is on."""
    (pod, *_) = pods_of(system, "logic")
    turn_on(system.client, NAMESPACE, pod, {"latency_ms": 1, "expires_seconds": 120})
    shut(None, monkeypatch, "connect: connection refused")
    monkeypatch.setattr("flametest.faults.switches.OFF_SECONDS_MAX", 1.0)
    with pytest.raises(HealError, match=r"cannot be turned off: .* connection refused"):
        turn_off(system.client, NAMESPACE, pod)
    monkeypatch.undo()
    assert read(system.client, NAMESPACE, pod)["active"]
    turn_off(system.client, NAMESPACE, pod)
    assert not read(system.client, NAMESPACE, pod)["active"]


def test_a_switch_that_is_on_by_somebody_else_stays_on(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    before = system.whole()
    (pod, *_) = pods_of(system, "logic")
    turn_on(system.client, NAMESPACE, pod, {"latency_ms": 1, "expires_seconds": 120})
    try:
        shut(system, monkeypatch, "i/o timeout")
        with (
            pytest.raises(FaultError, match=f"the fault switch of pod {pod} is on already"),
            applied(FAULT, system.injector()),
        ):
            pytest.fail("it was injected")
        monkeypatch.undo()
        assert read(system.client, NAMESPACE, pod)["active"]
        assert system.specifications() == before
    finally:
        turn_off(system.client, NAMESPACE, pod)


@pytest.mark.usefixtures("shut_out")
@pytest.mark.parametrize(
    ("unreadable", "told"),
    [
        (ENDPOINT_SLICES.path("default"), "shut out the API server from logic"),
        (NETWORK_POLICIES.path(NAMESPACE), "does not reach logic, and whether policies shut it out is not known"),
    ],
)
def test_what_a_user_may_not_read_is_told_with_the_remedy(
    system: System, monkeypatch: pytest.MonkeyPatch, unreadable: str, told: str
) -> None:
    before = system.whole()
    passed_on = Api._read

    def asked(api: Api, request: Any) -> bytes:
        if request.path == unreadable:
            raise ApiRejectedError("it is forbidden", code=403)
        return passed_on(api, request)

    with monkeypatch.context() as reading:
        reading.setattr(Api, "_read", asked)
        with pytest.raises(FaultError, match=told) as error, applied(FAULT, system.injector()):
            pytest.fail("it was injected")
    assert "to ports 9090 and 8080 of logic" in error.value.remedy
    assert system.specifications() == before
    assert system.left() == 0
