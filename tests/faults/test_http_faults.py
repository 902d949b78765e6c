"""What HTTP faults are, what shows them, and what the proxy that injects them is made of; without a cluster."""

import copy
import itertools
import random
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.faults.errors import FaultError
from flametest.faults.evidence import Latency, Plan, sounded
from flametest.faults.http_faults import HttpFaults
from flametest.faults.http_proof import Sounding, judge, rate_tests
from flametest.faults.odds import Decision
from flametest.faults.policies import isolating
from flametest.faults.protocol import Proof
from flametest.faults.proxy_parts import Front, Route, address_of, own_name, routes_of
from flametest.faults.random_errors import RandomErrors
from flametest.faults.soundings import proof_of
from flametest.faults.switches import Follower, turn_on
from flametest.kube.errors import ApiRejectedError, ApiUnreachableError
from flametest.kube.resources import NETWORK_POLICIES
from tests.faults.conftest import merge, pod

FRONT = Front("flametest", "logic")


def judged(faults: HttpFaults, before: Latency, seen: Sounding) -> tuple[Decision, str]:
    """Return what the only thing that is looked at says."""
    (check,) = judge(faults, before, seen)
    return check.decision, check.told


def sounding(requests: int, *latencies_ms: float) -> Sounding:
    """Return soundings that found no error, of which each latency is that of a part."""
    return Sounding((404,) * requests, latencies_ms * (requests // len(latencies_ms)))


def failing(requests: int, failed: int) -> Sounding:
    """Return soundings of which some failed."""
    return Sounding((500,) * failed + (404,) * (requests - failed), (2.0,) * requests)


def test_a_rate_that_is_seen_is_proved_and_one_that_is_not_is_told() -> None:
    faults = HttpFaults(error_rate=0.1)
    told = "20 of 200 requests (10.0%) failed as asked for, as a rate of 0.1 gives"
    assert judged(faults, Latency(), failing(200, 20)) == (Decision.SHOWN, told)
    told = "8 of 200 requests (4.0%) failed as asked for, too few requests to tell whether the rate is 0.1"
    assert judged(faults, Latency(), failing(200, 8)) == (Decision.OPEN, told)
    told = "0 of 200 requests (0.0%) failed as asked for, which a rate of 0.1 gives less than once in a million times"
    assert judged(faults, Latency(), failing(200, 0)) == (Decision.REFUTED, told)
    others = Sounding((503,) * 20 + (404,) * 180, (2.0,) * 200)
    assert judged(faults, Latency(), others)[0] is Decision.REFUTED


@given(st.lists(st.floats(0, 500), min_size=20, max_size=200), st.lists(st.floats(0, 500), min_size=200, max_size=200))
def test_a_delay_of_each_request_is_proved_however_long_requests_queue(
    queued_before: list[float], queued: list[float]
) -> None:
    quick = [1.0, 2.0]  # a request in ten meets an empty queue
    before = Latency.of([*quick * (len(queued_before) // 20 + 1), *queued_before])
    seen = Sounding((404,) * len(queued), tuple(100 + waited for waited in queued))
    decision, told = judged(HttpFaults(latency_ms=100), before, seen)
    assert decision is Decision.SHOWN, told


def test_a_delay_that_is_absent_is_not_proved_by_a_queue() -> None:
    before = Latency.of([2.0] * 20)
    busy = Sounding((404,) * 200, (3.0,) * 20 + (200.0,) * 180)
    assert judged(HttpFaults(latency_ms=100, latency_jitter_ms=50), before, busy) == (
        Decision.OPEN,
        "what 95% of 200 requests took at least went from 2.0 to 3.0 ms, by 1.0 ms of 100 asked for",
    )


def test_a_delay_that_only_varies_is_proved_by_how_many_are_late() -> None:
    faults, before = HttpFaults(latency_jitter_ms=50), Latency(10)
    drawn = sounding(60, 12.0, 20.0, 31.0, 42.0, 55.0)
    told = "36 of 60 requests (60.0%) took 30.0 ms or more, as a rate of at least 0.6 gives"
    assert judged(faults, before, drawn) == (Decision.SHOWN, told)
    assert judged(faults, before, sounding(60, 11.0))[0] is Decision.REFUTED
    assert judged(faults, before, sounding(60, 100.0))[0] is Decision.SHOWN


def drawn_soundings(rate: float, seed: int) -> tuple[Callable[[int, int], Sounding], list[int]]:
    """Return what sends requests that fail at a rate, and how many it was asked for each time."""
    draw, asked = random.Random(seed), []

    def send(requests: int, senders: int) -> Sounding:
        asked.append(requests)
        return failing(requests, sum(draw.random() < rate for _ in range(requests)))

    return send, asked


def test_requests_are_sent_until_all_of_them_decide() -> None:
    rounds = [failing(200, 10), failing(100, 9), failing(100, 12)]
    asked = []

    def send(requests: int, senders: int) -> Sounding:
        asked.append((requests, senders))
        return rounds.pop(0)

    proof = proof_of(HttpFaults(error_rate=0.1), Latency(), send)
    assert proof == Proof(True, "31 of 400 requests (7.8%) failed as asked for, as a rate of 0.1 gives")
    assert asked == [(200, 2), (100, 2), (100, 2)]


@pytest.mark.parametrize("seed", range(40))
def test_sound_faults_are_proved_and_absent_or_much_too_rare_ones_are_not(seed: int) -> None:
    for rate in (0.05, 0.1, 0.3):
        send, asked = drawn_soundings(rate, seed)
        assert proof_of(HttpFaults(error_rate=rate), Latency(), send).proved
        for wrong in (0.0, rate / 5, min(1.0, rate * 6)):
            send, asked = drawn_soundings(wrong, seed)
            assert not proof_of(HttpFaults(error_rate=rate), Latency(), send).proved
            assert sum(asked) <= 2000


def test_a_proof_ends_with_its_time_and_says_that_it_is_open() -> None:
    now = itertools.count(0.0, 25.0)
    plan = Plan.of(rate_tests(HttpFaults(error_rate=0.1)), 120)
    proof = sounded(
        plan, lambda _: failing(10, 1), lambda seen: judge(HttpFaults(error_rate=0.1), Latency(), seen), now.__next__
    )
    told = "3 of 30 requests (10.0%) failed as asked for, too few requests to tell whether the rate is 0.1"
    assert proof == Proof(False, told)
    assert proof.lasted_seconds == 100


def test_a_fault_that_lasts_short_or_delays_long_is_looked_at_in_time() -> None:
    tests = rate_tests(HttpFaults(error_rate=0.1, latency_ms=10_000))
    assert Plan.of(tests, 20.0, 10_000, 16) == Plan(24, 961, 10.0)
    assert Plan.of(tests, 300.0) == Plan(200, 961, 60.0)


def test_nothing_sent_proves_nothing() -> None:
    proof = proof_of(HttpFaults(error_rate=0.1), Latency(), lambda *_: Sounding())
    assert proof == Proof(False, "no request could be sent to see it")


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (HttpFaults(), "nothing is to be injected"),
        (HttpFaults(error_rate=1.5), "error_rate"),
        (HttpFaults(error_rate=0.6, abort_rate=0.6), "together"),
        (HttpFaults(error_rate=float("nan")), "error_rate"),
        (HttpFaults(error_rate=0.001), "expected 0, 1, or 0.002 to 0.998"),
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
        ({"clusterIP": ""}, "is an external name"),
        ({"selector": None}, "no selector"),
        (
            {"clusterIP": "None", "ports": [{"port": 80, "targetPort": 9090}]},
            "headless and routes to port 9090, which the proxy uses itself",
        ),
        ({"ports": [{"port": 53, "protocol": "UDP"}]}, "not TCP: 53"),
        ({"ports": [{"port": 80, "targetPort": "grpc"}]}, "routes to port 'grpc'"),
    ],
)
def test_a_service_that_no_proxy_can_stand_in_for_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(FaultError, match=told):
        routes_of(service(**changes), behind())


def named(name: str) -> dict[str, Any]:
    made = behind()
    made["spec"] |= {"hostname": name, "subdomain": "logic"}
    return made


def test_the_proxy_of_a_headless_service_listens_where_the_pods_do_and_takes_over_the_name_of_one() -> None:
    headless = service(clusterIP="None")
    headless["metadata"]["namespace"] = "flametest"
    (route,) = routes_of(headless, behind())
    assert (route.listen, route.number) == (8080, 8080)
    assert (address_of(headless), address_of(service())) == ("logic.flametest.svc", "10.96.0.7")
    assert own_name(headless, [behind(), behind()]) == ""
    assert own_name(headless, [named("logic-0")]) == "logic-0"
    template = FRONT.deployment([route], "10.96.0.9", "image", "logic-0")["spec"]["template"]["spec"]
    assert (template["hostname"], template["subdomain"]) == ("logic-0", "logic")
    assert "hostname" not in FRONT.deployment([route], "10.96.0.9", "image")["spec"]["template"]["spec"]


def test_a_headless_service_of_several_pods_with_names_is_refused() -> None:
    pods = [named("logic-0"), named("logic-1")]
    assert own_name(service(), pods) == ""
    with pytest.raises(FaultError, match=r"2 pods behind it have names of their own, such as logic-0\.logic: a proxy"):
        own_name(service(clusterIP="None"), pods)


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


def test_a_policy_may_name_a_port_as_the_pods_do_and_the_service_does_not() -> None:
    by_number = service(ports=[{"port": 80, "targetPort": 8080}])
    rules = [{"ports": [{"port": "http"}]}, {"ports": [{"port": "other"}]}]
    own, _ = FRONT.policies(by_number, routes_of(by_number, behind()), [policy("logic", ingress=rules)])
    assert own["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": 10080}]}]


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


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        ("error trying to reach service: dial tcp 10.0.0.9:9090: connect: connection refused", FaultError),
        ("the server is currently unable to handle the request", ApiRejectedError),
    ],
)
def test_a_switch_that_nobody_hears_is_told_from_an_api_server_that_refuses(
    answer: str, raised: type[Exception]
) -> None:
    def send(*_: Any) -> None:
        raise ApiRejectedError("503", code=503, told=answer)

    client: Any = SimpleNamespace(api=SimpleNamespace(send=send))
    with pytest.raises(raised):
        turn_on(client, "shop", "web-1", {})


def test_following_ends_by_itself_when_its_time_is_over() -> None:
    pods = Pods()
    follower = Follower(lambda: list(pods.now), pods.switch, time.monotonic() - 1)
    follower.start()
    (thread,) = [one for one in threading.enumerate() if one.name == "fault switches"]
    thread.join(10)
    assert not thread.is_alive()
