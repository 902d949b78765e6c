"""Errors, latency and aborts on a real system: their figures, who can reach what, and no trace after."""

import re
import signal
from typing import Any

import pytest

from flametest.faults.connection import Reach, reach, ready_pods
from flametest.faults.edge import Edge
from flametest.faults.errors import FaultError
from flametest.faults.http_faults import HttpFaults, rules_of
from flametest.faults.protocol import Fault
from flametest.faults.proxy_parts import Front
from flametest.faults.random_errors import RandomErrors
from flametest.faults.switches import read
from flametest.faults.wrapper import applied
from flametest.kube.errors import KubeError
from flametest.kube.resources import PODS, SERVICES
from tests.faults.system import System, wait_until
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

NAMESPACE = "flametest"
# A Service, two policies, its program, a Deployment; its questions and soundings; the Service that is led to it; the
# switch; and one for the proof.
SENDS_OF_PROXY = 11
FRONT = Front(NAMESPACE, "logic")


def proxied(service: str, faults: HttpFaults) -> Edge:
    return Edge(NAMESPACE, service, rules_of(faults), protocol="http")


def pods_of(system: System, app: str) -> list[str]:
    return [
        str(pod["metadata"]["name"])
        for pod in ready_pods(system.client, NAMESPACE)
        if pod["metadata"]["labels"]["app"] == app
    ]


def active(system: System, app: str = "logic") -> list[bool]:
    return [bool(read(system.client, NAMESPACE, pod)["active"]) for pod in pods_of(system, app)]


def is_without_trace(system: System, before: str) -> bool:
    return (
        system.specifications() == before
        and not system.client.api.get(PODS.path(NAMESPACE), {"labelSelector": f"app={FRONT.proxy}"})["items"]
        and not any(active(system))
    )


@pytest.mark.parametrize("fault", ["random-errors", "fault-proxy"])
def test_a_fault_is_shown_proved_by_figures_and_taken_back(system: System, fault: str) -> None:
    before = system.whole()
    done = system.driven(fault, "proved", "end")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nproved: " in done.stdout, done.stdout
    # A sound fault is called unproved less than once in a million times.
    rates = re.findall(r"(\d+) of (\d+) requests \([\d.]+%\) [\w ]+, as a rate of ([\d.]+) gives", done.stdout)
    assert [float(rate) for *_, rate in rates] == {"random-errors": [0.3], "fault-proxy": [0.1, 0.2]}[fault]
    for count, requests, rate in rates:
        assert int(requests) >= 200
        assert float(rate) / 4 < int(count) / int(requests) < float(rate) * 4
    (added_ms,) = re.findall(r"by ([\d.]+) ms of 60 asked for", done.stdout)
    assert float(added_ms) >= 48
    assert is_without_trace(system, before)
    assert (system.left(), system.guardians()) == (0, [])


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(1, SENDS_OF_PROXY + 1))
def test_no_trace_is_left_of_a_proxy_whose_process_is_killed_after_any_request(system: System, number: int) -> None:
    before = system.whole()
    done = system.driven("fault-proxy", f"sent-{number}", "SIGKILL")
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    wait_until(lambda: not system.left() and not system.guardians(), PATIENCE_SECONDS)
    assert is_without_trace(system, before)


@pytest.mark.exhaustive
@pytest.mark.parametrize("step", ["armed", "half", "injected"])
def test_switches_are_off_after_their_process_was_killed(system: System, step: str) -> None:
    before = system.whole()
    done = system.driven("random-errors", step, "SIGKILL")
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    wait_until(lambda: not system.left() and not system.guardians(), PATIENCE_SECONDS)
    assert is_without_trace(system, before)


@pytest.mark.parametrize("fault", ["random-errors", "fault-proxy"])
def test_undo_takes_a_fault_back_when_the_guardian_was_killed_too(system: System, fault: str) -> None:
    before = system.whole()
    system.abandoned(fault)
    assert not is_without_trace(system, before)
    done = system.flametest("undo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("healed: ")
    assert is_without_trace(system, before)


def test_a_pod_that_starts_while_the_fault_lasts_gets_it_too(system: System) -> None:
    system.whole()
    old = pods_of(system, "logic")
    with applied(RandomErrors(NAMESPACE, "logic", HttpFaults(error_rate=0.2)), system.injector()) as proof:
        assert proof.proved, proof.evidence
        system.client.api.send("DELETE", PODS.path(NAMESPACE, old[0]))

        def replaced() -> bool:
            now = set(pods_of(system, "logic"))
            return len(now) == 2 and old[0] not in now and all(active(system))

        wait_until(replaced, 60)
    assert active(system) == [False, False]


def test_the_switches_of_logic_are_shut_to_every_pod(system: System) -> None:
    system.whole()
    address = str(ready_logic(system)["status"]["podIP"])
    frontend, api = pods_of(system, "frontend")[0], pods_of(system, "api")[0]
    assert reach(system.client, (NAMESPACE, frontend), address, 8080) is Reach.CONNECTED
    for pod in (frontend, api):
        assert reach(system.client, (NAMESPACE, pod), address, 9090) is Reach.FAILED


def ready_logic(system: System) -> dict[str, Any]:
    return next(pod for pod in ready_pods(system.client, NAMESPACE) if pod["metadata"]["labels"]["app"] == "logic")


def test_the_proxy_admits_whom_logic_admits_and_nobody_to_its_switch(system: System) -> None:
    system.whole()
    service = str(system.client.api.get(SERVICES.path(NAMESPACE, "logic"))["spec"]["clusterIP"])
    with applied(proxied("logic", HttpFaults(latency_ms=30)), system.injector()) as proof:
        assert proof.proved, proof.evidence
        proxy = system.client.api.get(PODS.path(NAMESPACE, pods_of(system, FRONT.proxy)[0]))["status"]["podIP"]
        frontend, api = pods_of(system, "frontend")[0], pods_of(system, "api")[0]
        assert reach(system.client, (NAMESPACE, frontend), service, 8080) is Reach.CONNECTED
        assert reach(system.client, (NAMESPACE, api), service, 8080) is Reach.FAILED
        for pod in (frontend, api):
            assert reach(system.client, (NAMESPACE, pod), proxy, 9090) is Reach.FAILED


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (RandomErrors(NAMESPACE, "api", HttpFaults(error_rate=0.1)), "has no fault switch at port 9090"),
        (RandomErrors(NAMESPACE, "apii", HttpFaults(error_rate=0.1)), "holds no Deployment 'apii'"),
        (proxied("logics", HttpFaults(error_rate=0.1)), "holds no Service 'logics'"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_and_nothing_is_touched(system: System, fault: Fault, told: str) -> None:
    before = system.whole()
    with pytest.raises((FaultError, KubeError), match=told), applied(fault, system.injector()):
        raise AssertionError("it was injected")
    assert is_without_trace(system, before)


def test_the_same_proxy_again_in_front_of_a_service_is_refused_and_the_first_one_stays(system: System) -> None:
    before = system.whole()
    fault = proxied("logic", HttpFaults(latency_ms=30))
    with applied(fault, system.injector()):
        with pytest.raises(FaultError, match="the same edge is already active"), applied(fault, system.injector()):
            raise AssertionError("it was injected")
        assert FRONT.leads(system.client.api.get(SERVICES.path(NAMESPACE, "logic")))
    assert is_without_trace(system, before)
