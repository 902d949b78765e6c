"""What HTTP faults are, what shows them, and what the proxy that injects them is made of; without a cluster."""

import copy
import math
import threading
import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.faults.errors import FaultError
from flametest.faults.http_faults import HttpFaults, Latency, Sounding, judge
from flametest.faults.odds import binomial_range, requests_needed
from flametest.faults.policies import isolating
from flametest.faults.proxy_parts import Front, Route, routes_of
from flametest.faults.random_errors import RandomErrors
from flametest.faults.soundings import proof_of
from flametest.faults.switches import Follower
from flametest.kube.errors import ApiUnreachableError
from flametest.kube.resources import NETWORK_POLICIES
from tests.faults.conftest import merge, pod

FRONT = Front("flametest", "logic")


def exact_tail(requests: int, rate: Fraction, counts: range) -> Fraction:
    """Return the probability of these counts, in whole numbers."""
    return sum(
        (math.comb(requests, count) * rate**count * (1 - rate) ** (requests - count) for count in counts), Fraction(0)
    )


@given(requests=st.integers(0, 120), percent=st.integers(0, 100))
def test_the_range_leaves_at_most_half_a_percent_on_either_side_and_is_the_narrowest(
    requests: int, percent: int
) -> None:
    rate, tail = Fraction(percent, 100), Fraction(1, 200)
    low, high = binomial_range(requests, float(rate))
    assert 0 <= low <= high <= requests
    assert exact_tail(requests, rate, range(low)) <= tail
    assert exact_tail(requests, rate, range(high + 1, requests + 1)) <= tail
    if 0 < rate < 1:
        assert exact_tail(requests, rate, range(low + 1)) > tail
        assert exact_tail(requests, rate, range(high, requests + 1)) > tail


def test_ranges_of_some_rates_are_known() -> None:
    assert binomial_range(200, 0.1) == (10, 32)
    assert binomial_range(10, 0.5) == (1, 9)
    assert binomial_range(1000, 0) == (0, 0)
    assert binomial_range(1000, 1) == (1000, 1000)
    with pytest.raises(ValueError, match="rate from 0 to 1"):
        binomial_range(10, 1.5)


@given(st.floats(0.004, 1))
def test_enough_requests_are_sent_for_an_absent_fault_to_show(rate: float) -> None:
    assert binomial_range(requests_needed(rate), rate)[0] > 0


def test_a_rate_that_is_seen_is_proved_and_one_that_is_not_is_told() -> None:
    faults = HttpFaults(error_rate=0.1, abort_rate=0.1)
    seen = judge(faults, Latency(), Sounding({404: 160, 500: 20, 0: 20}))
    assert seen.proved
    assert "20 of 200 requests (10.0%) failed as asked for, inside the 99% binomial interval of 0.1: 10 to 32" in str(
        seen
    )
    assert not judge(faults, Latency(), Sounding({404: 180, 500: 20})).proved
    assert not judge(faults, Latency(), Sounding({404: 160, 503: 20, 0: 20})).proved
    assert not judge(faults, Latency(), Sounding({})).proved


@given(st.lists(st.floats(0, 500), min_size=20, max_size=200), st.lists(st.floats(0, 500), min_size=200, max_size=200))
def test_a_delay_of_each_request_is_proved_however_long_requests_queue(
    queued_before: list[float], queued: list[float]
) -> None:
    quick = [1.0, 2.0]  # a request in ten meets an empty queue
    before = Latency.of([*quick * (len(queued_before) // 20 + 1), *queued_before])
    seen = Sounding({404: len(queued)}, Latency.of(100 + waited for waited in queued))
    proof = judge(HttpFaults(latency_ms=100), before, seen)
    assert proof.proved, proof.evidence


def test_a_delay_that_is_absent_is_not_proved_by_a_queue() -> None:
    before = Latency.of([2.0] * 20)
    busy = Sounding({404: 200}, Latency.of([3.0] * 20 + [200.0] * 180))
    proof = judge(HttpFaults(latency_ms=100, latency_jitter_ms=50), before, busy)
    assert not proof.proved
    assert proof.evidence == (
        "what 95% of 200 requests took at least went from 2.0 to 3.0 ms, by 1.0 ms of 100 asked for"
    )


def test_a_delay_that_only_varies_is_proved_by_the_median() -> None:
    faults = HttpFaults(latency_jitter_ms=50)
    assert judge(faults, Latency(10), Sounding({404: 20}, Latency(34))).proved
    missed = judge(faults, Latency(10), Sounding({404: 20}, Latency(25)))
    assert not missed.proved
    assert "by 15.0 ms of 25 asked for" in missed.evidence


def test_a_rate_that_is_missed_by_chance_is_looked_at_once_more() -> None:
    rounds = [Sounding({404: 195, 500: 5}), Sounding({404: 180, 500: 20})]
    proof = proof_of(HttpFaults(error_rate=0.1), Latency(), lambda *_: rounds.pop(0))
    assert proof.proved
    assert "OUTSIDE" in proof.evidence
    assert "asked again" in proof.evidence
    absent = proof_of(HttpFaults(error_rate=0.1), Latency(), lambda *_: Sounding({404: 200}))
    assert not absent.proved


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (HttpFaults(), "nothing is to be injected"),
        (HttpFaults(error_rate=1.5), "error_rate"),
        (HttpFaults(error_rate=0.6, abort_rate=0.6), "together"),
        (HttpFaults(error_rate=float("nan")), "error_rate"),
        (HttpFaults(latency_ms=-1), "latency_ms"),
        (HttpFaults(latency_ms=1e6), "latency_ms"),
        (HttpFaults(error_rate=0.1, seconds_max=0), "seconds_max"),
        (HttpFaults(error_rate=0.1, error_statuses=(200,)), "error_statuses"),
    ],
)
def test_faults_that_make_no_sense_are_refused_by_the_name_of_the_option(
    client: Any, faults: HttpFaults, told: str
) -> None:
    with pytest.raises(FaultError, match=told):
        RandomErrors("flametest", "api", faults).targets(client)
    assert client.api.sent == []


def test_what_only_the_proxy_can_do_is_refused_for_a_switch(client: Any) -> None:
    with pytest.raises(FaultError, match="own switch"):
        RandomErrors("flametest", "api", HttpFaults(abort_rate=0.1)).targets(client)


def service(**changes: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "http", "nodePort": 30081, "protocol": "TCP"}]
    spec = {"selector": {"app": "logic", "tier": "back"}, "clusterIP": "10.96.0.7", "ports": ports}
    return {"metadata": {"name": "logic"}, "spec": spec | changes}


def behind() -> dict[str, Any]:
    made: dict[str, Any] = pod("logic-1", "logic")
    made["spec"]["containers"] = [{"ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9090}]}]
    return made


def test_a_service_is_led_to_the_proxy_and_back_exactly() -> None:
    before = service()
    (route,) = routes_of(before, behind())
    assert route == Route("http", 80, 10080, "http", 8080)
    after = copy.deepcopy(before)
    merge(after, FRONT.repointed(before, (route,)))
    assert FRONT.leads(after)
    assert after["spec"]["ports"] == [before["spec"]["ports"][0] | {"targetPort": 10080}]
    merge(after, FRONT.restored(before))
    assert after == before
    assert not FRONT.leads(after)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"clusterIP": "None"}, "address of its own"),
        ({"selector": None}, "no selector"),
        ({"ports": [{"port": 53, "protocol": "UDP"}]}, "not TCP: 53"),
        ({"ports": [{"port": 80, "targetPort": "grpc"}]}, "leads to port 'grpc'"),
    ],
)
def test_a_service_that_no_proxy_can_stand_in_for_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(FaultError, match=told):
        routes_of(service(**changes), behind())


def policy(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"podSelector": {"matchLabels": {"app": "logic"}}} | spec}


def test_whoever_may_connect_to_the_pods_may_connect_to_the_proxy_and_nobody_else() -> None:
    frontend = {"podSelector": {"matchLabels": {"app": "frontend"}}}
    rules = [
        {"from": [frontend], "ports": [{"protocol": "TCP", "port": "http"}]},
        {"from": [frontend], "ports": [{"port": 8000, "endPort": 8100}]},
        {"from": [frontend], "ports": [{"port": 9090}, {"port": "http", "protocol": "UDP"}]},
        {"from": [frontend]},
    ]
    routes = routes_of(service(), behind())
    own, admitting = FRONT.policies(service(), routes, [policy("logic", ingress=rules)])
    admitted = {"from": [frontend], "ports": [{"protocol": "TCP", "port": 10080}]}
    assert own["spec"]["ingress"] == [admitted] * 3
    assert own["spec"]["podSelector"] == {"matchLabels": FRONT.labels}
    assert own["spec"]["egress"] == [{}]
    assert admitting["spec"]["podSelector"] == {"matchLabels": {"app": "logic", "tier": "back"}}
    (rule,) = admitting["spec"]["ingress"]
    assert rule == {
        "from": [{"podSelector": {"matchLabels": FRONT.labels}}],
        "ports": [{"protocol": "TCP", "port": "http"}],
    }


def test_pods_that_nothing_isolates_stay_open_and_the_switch_of_the_proxy_is_shut_all_the_same() -> None:
    (own,) = FRONT.policies(service(), routes_of(service(), behind()), [])
    assert own["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": 10080}]}]


def test_policies_isolate_in_the_directions_that_they_name(client: Any) -> None:
    client.api.put(NETWORK_POLICIES, policy("in", podSelector={"matchLabels": {"app": "api"}}, ingress=[]))
    client.api.put(NETWORK_POLICIES, policy("both", podSelector={}, policyTypes=["Ingress", "Egress"]))
    client.api.put(NETWORK_POLICIES, policy("others", podSelector={"matchLabels": {"app": "none"}}, egress=[{}]))

    def names(direction: str) -> list[str]:
        return [one["metadata"]["name"] for one in isolating(client, "flametest", None, direction)]

    assert names("Ingress") == ["both", "in"]
    assert names("Egress") == ["both"]


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(FaultError, match="63 characters"):
        Front("flametest", "x" * 50).check()


class Pods:
    """Pods that come, restart, and do not listen at first."""

    def __init__(self) -> None:
        self.now: list[dict[str, Any]] = [self.made("a", "1")]
        self.refusing: set[str] = set()
        self.switched: list[str] = []
        self.changed = threading.Condition()

    @staticmethod
    def made(name: str, container: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "uid": name}, "status": {"containerStatuses": [{"containerID": container}]}}

    def switch(self, one: dict[str, Any]) -> None:
        with self.changed:
            name = one["metadata"]["name"]
            if name in self.refusing:
                self.refusing.remove(name)
                raise ApiUnreachableError("does not listen yet")
            self.switched.append(name)
            self.changed.notify_all()

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.switched) >= count, 10)


def test_pods_and_containers_that_start_later_are_switched_once_each_until_the_end() -> None:
    pods = Pods()
    follower = Follower(lambda: list(pods.now), pods.switch, time.monotonic() + 60)
    follower.start()
    assert pods.switched == ["a"]
    pods.refusing.add("b")
    pods.now = [pods.made("a", "1"), pods.made("b", "2")]
    pods.wait(2)
    assert follower.missed in ({}, {"b": "does not listen yet"})
    pods.now = [pods.made("a", "3"), pods.made("b", "2")]
    pods.wait(3)
    follower.stop()
    follower.stop()
    pods.now = [pods.made("c", "4")]
    assert pods.switched == ["a", "b", "a"]
    assert follower.missed == {}
    assert not [one for one in threading.enumerate() if one.name == "fault switches"]


def test_following_ends_by_itself_when_its_time_is_over() -> None:
    pods = Pods()
    follower = Follower(lambda: list(pods.now), pods.switch, time.monotonic() - 1)
    follower.start()
    (thread,) = [one for one in threading.enumerate() if one.name == "fault switches"]
    thread.join(10)
    assert not thread.is_alive()
