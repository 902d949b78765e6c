"""What soundings of an edge prove, and what they do not; who calls, by addresses; without a cluster."""

from typing import Any

import pytest

from flametest.edgeproxy.rules import Effect, Match, Rule
from flametest.faults.callers import addresses_of, callers_of, check_told_apart
from flametest.faults.connection import Reach, Reached
from flametest.faults.edge import Edge
from flametest.faults.edge_proof import (
    Seen,
    Volume,
    judge,
    judge_in_order,
    judge_untouched,
    judge_volume,
    rate_tests,
    soundings_in_order,
)
from flametest.faults.errors import FaultError
from flametest.faults.evidence import Plan
from flametest.faults.odds import Decision
from flametest.faults.proxy_parts import Front, program, routes_of
from flametest.kube.resources import DEPLOYMENTS, PODS, REPLICA_SETS, SERVICES
from tests.faults.conftest import pod

BEFORE = Seen(("404",) * 20, (2.0,) * 20)
SLOW = Rule(Effect(delay_ms=100))


def seen(*ends: tuple[str, int], latency_ms: float = 3.0) -> Seen:
    listed = tuple(end for end, count in ends for _ in range(count))
    return Seen(listed, (latency_ms,) * len(listed))


SHOWN, OPEN, REFUTED = Decision.SHOWN, Decision.OPEN, Decision.REFUTED


def decided(rules: list[Rule], found: Seen) -> Decision:
    """Return what all checks of soundings say together."""
    decisions = [check.decision for check in judge(rules, BEFORE, found)]
    assert decisions
    return next(one for one in (REFUTED, OPEN, SHOWN) if one in decisions)


@pytest.mark.parametrize(
    ("rules", "found", "decision"),
    [
        ([Rule(Effect(reset=True))], seen(("reset", 20)), SHOWN),
        ([Rule(Effect(reset=True))], seen(("reset", 19), ("404", 1)), REFUTED),
        ([Rule(Effect(reset=True))], seen(("reset", 19), ("silent", 1)), OPEN),
        ([Rule(Effect(reset=True))], seen(("reset", 59), ("silent", 1)), SHOWN),
        ([Rule(Effect(reset=True))], seen(("silent", 20)), OPEN),
        ([Rule(Effect(silence=True))], seen(("silent", 20)), SHOWN),
        ([Rule(Effect(silence=True))], seen(("404", 20)), REFUTED),
        ([Rule(Effect(refuse=True))], seen(("refused", 20)), SHOWN),
        ([Rule(Effect(status=(500, 503)), Match(share=0.1))], seen(("500", 10), ("503", 10), ("404", 180)), SHOWN),
        ([Rule(Effect(status=(500, 503)), Match(share=0.1))], seen(("500", 2), ("404", 198)), OPEN),
        ([Rule(Effect(status=(500, 503)), Match(share=0.1))], seen(("404", 200)), REFUTED),
        ([Rule(Effect(status=(503,)), Match(share=0.1))], seen(("503", 20), ("reset", 5), ("404", 175)), OPEN),
        ([SLOW], seen(("404", 20), latency_ms=103), SHOWN),
        ([SLOW], seen(("404", 20), latency_ms=60), OPEN),
        ([Rule(Effect(jitter_ms=50))], seen(("404", 40), latency_ms=30), SHOWN),
        ([Rule(Effect(jitter_ms=50))], seen(("404", 40), latency_ms=3), REFUTED),
        (
            [Rule(Effect(reset=True), Match(share=0.2)), Rule(Effect(status=(500,)), Match(share=0.5))],
            seen(("reset", 40), ("500", 80), ("404", 80)),
            SHOWN,
        ),
    ],
)
def test_ends_and_delays_are_judged(rules: list[Rule], found: Seen, decision: Decision) -> None:
    assert decided(rules, found) is decision


@pytest.mark.parametrize("effect", [Effect(delay_ms=100), Effect(jitter_ms=100)])
def test_half_of_the_requests_delayed_is_told_from_all_and_none(effect: Effect) -> None:
    rule = Rule(effect, Match(share=0.5))
    half = 100 if effect.delay_ms else 60  # two in five of what is drawn from 0 to 100 ms are no later than 40 ms
    for late, decision in ((0, REFUTED), (half, SHOWN), (200, REFUTED)):
        found = Seen(("404",) * 200, (103.0,) * late + (3.0,) * (200 - late))
        assert decided([rule], found) is decision


def test_counted_rules_are_judged_sounding_by_sounding() -> None:
    first = Rule(Effect(status=(503,)), Match(first=3))
    assert judge_in_order([first], BEFORE, seen(("503", 3), ("404", 17))).proved
    for wrong in (seen(("503", 4), ("404", 16)), seen(("503", 2), ("404", 18)), seen(("404", 17), ("503", 3))):
        assert not judge_in_order([first], BEFORE, wrong).proved
    every = Rule(Effect(reset=True), Match(every=2))
    assert judge_in_order([every], BEFORE, Seen(("404", "reset") * 4, (2.0,) * 8)).proved
    assert not judge_in_order([every], BEFORE, Seen(("reset", "404") * 4, (2.0,) * 8)).proved


def test_a_delay_of_the_first_is_proved_though_a_busy_machine_delays_some_of_the_others() -> None:
    first = Rule(Effect(delay_ms=50), Match(first=3))

    def delayed(*late: int) -> Seen:
        return Seen(("404",) * 20, tuple(60.0 if number in late else 3.0 for number in range(1, 21)))

    for others in ((), (7,), (5, 6, 7, 8, 9, 12, 19, 20)):
        assert judge_in_order([first], BEFORE, delayed(1, 2, 3, *others)).proved
    for late in ((), (1, 2), (5, 6, 7), tuple(range(1, 21)), tuple(range(1, 13))):
        assert not judge_in_order([first], BEFORE, delayed(*late)).proved
    both = Rule(Effect(status=(503,), delay_ms=50), Match(first=3))
    hit = Seen(("503",) * 3 + ("404",) * 17, (60.0,) * 4 + (3.0,) * 16)
    assert judge_in_order([both], BEFORE, hit).proved
    assert not judge_in_order([both], BEFORE, Seen(hit.ends, (3.0,) * 20)).proved
    assert not judge_in_order([both], BEFORE, Seen(("503",) * 4 + ("404",) * 16, hit.latencies_ms)).proved


def test_a_rule_that_means_no_sounding_is_not_proved_by_its_silence() -> None:
    never = Rule(Effect(reset=True), Match(first=3, every=5))
    assert not judge_in_order([never], BEFORE, seen(("404", 20))).proved
    assert not judge_in_order([never], BEFORE, Seen((), ())).proved


def test_enough_soundings_are_sent() -> None:
    assert soundings_in_order([Rule(Effect(reset=True), Match(first=30))]) == 35
    assert soundings_in_order([Rule(Effect(reset=True), Match(every=10))]) == 40
    assert soundings_in_order([Rule(Effect(reset=True), Match(every=700))]) == 700
    assert Plan.of(rate_tests([SLOW]), 120) == Plan(20, 200, 60)
    assert Plan.of(rate_tests([Rule(Effect(reset=True), Match(share=0.1))]), 120) == Plan(200, 961, 60)
    two = [Rule(Effect(reset=True), Match(share=0.01)), Rule(Effect(status=(503,)), Match(share=0.2))]
    assert Plan.of(rate_tests(two), 20).first == 1000


@pytest.mark.parametrize("effect", [Effect(jitter_ms=50), Effect(slice_bytes=10, slice_delay_ms=5)])
def test_what_no_single_sounding_shows_is_refused_where_single_ones_count(client: Any, effect: Effect) -> None:
    told = "the few requests that first or every affect cannot distinguish this from chance"
    with pytest.raises(FaultError, match=told):
        Edge("flametest", "api", (Rule(effect, Match(first=3)),)).targets(client)


@pytest.mark.parametrize("shares", [(0.001,), (0.9995,), (0.5, 0.002)])
def test_a_share_that_no_soundings_can_show_is_refused(client: Any, shares: tuple[float, ...]) -> None:
    effects = (Effect(reset=True), Effect(status=(503,)))
    rules = tuple(Rule(effect, Match(share=share)) for effect, share in zip(effects, shares, strict=False))
    with pytest.raises(FaultError, match="takes more requests to be proved than are sent"):
        Edge("flametest", "api", rules, protocol="http").targets(client)


def test_others_are_untouched_or_it_is_told() -> None:
    assert judge_untouched([SLOW], BEFORE, BEFORE).proved
    assert not judge_untouched([SLOW], BEFORE, seen(("404", 19), ("503", 1))).proved
    assert not judge_untouched([SLOW], BEFORE, seen(("404", 20), latency_ms=110)).proved


@pytest.mark.parametrize(
    ("effect", "volume", "proved"),
    [
        (Effect(bytes_per_second=1000), Volume(2000, 2.1, "open"), True),
        (Effect(bytes_per_second=1000), Volume(2000, 1.0, "open"), False),
        (Effect(bytes_per_second=1000), Volume(0, 2.0, "silent"), False),
        (Effect(reset_after_bytes=500), Volume(500, 0.1, "reset"), True),
        (Effect(reset_after_bytes=500), Volume(400, 0.1, "reset"), False),
        (Effect(reset_after_bytes=500), Volume(500, 0.1, "closed"), False),
        (Effect(close_after_bytes=500), Volume(500, 0.1, "closed"), True),
        (Effect(reset_after_ms=300), Volume(999, 0.31, "reset"), True),
        (Effect(reset_after_ms=300), Volume(999, 0.1, "reset"), False),
    ],
)
def test_limits_are_judged_by_an_answer_at_length(effect: Effect, volume: Volume, proved: bool) -> None:
    assert judge_volume(effect, volume).proved is proved


def service(*ports: dict[str, Any]) -> dict[str, Any]:
    spec = {"selector": {"app": "api"}, "clusterIP": "10.96.0.7", "ports": list(ports)}
    return {"metadata": {"name": "api"}, "spec": spec}


def test_only_the_port_that_is_named_is_disturbed() -> None:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "metrics", "port": 9000, "targetPort": 9000}]
    for port in (80, "http"):
        routes = routes_of(service(*ports), pod("api-1", "api"), port, "http")
        assert [(route.port, route.protocol) for route in routes] == [(80, "http"), (9000, "pass")]
    assert {route.protocol for route in routes_of(service(*ports), pod("api-1", "api"))} == {"http"}
    with pytest.raises(FaultError, match=r"has no port 81") as refused:
        routes_of(service(*ports), pod("api-1", "api"), 81, "http")
    assert "80 (http), 9000 (metrics)" in refused.value.remedy


def test_the_proxy_is_a_stock_image_with_its_program_in_a_config_map() -> None:
    front = Front("flametest", "api")
    routes = routes_of(service({"port": 80, "targetPort": 8080}), pod("api-1", "api"), 0, "tcp")
    spec = front.deployment(routes, "10.96.0.8", "python:3.13-slim")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "python:3.13-slim"
    assert {"name": "ROUTES", "value": "10080=10.96.0.8:80/tcp"} in container["env"]
    assert spec["volumes"] == [{"name": "program", "configMap": {"name": front.proxy}}]
    data = front.program()["data"]
    assert data == program()
    assert {"__main__.py", "rules.py", "switch.py"} <= set(data)
    assert sum(map(len, data.values())) < 500_000  # a ConfigMap holds 1 MiB


def test_callers_are_pods_of_a_workload_or_of_a_selector(client: Any) -> None:
    client.api.put(DEPLOYMENTS, {"metadata": {"name": "api"}, "spec": {}})
    uid = client.api.objects[DEPLOYMENTS.path("flametest", "api")]["metadata"]["uid"]
    owner = {"kind": "Deployment", "name": "api", "uid": uid, "controller": True}
    sets = client.api.put(REPLICA_SETS, {"metadata": {"name": "rs", "ownerReferences": [owner]}})
    for obj in client.api.objects.values():
        for reference in obj["metadata"].get("ownerReferences") or []:
            if reference["kind"] == "ReplicaSet":
                reference["uid"] = sets["metadata"]["uid"]
    client.api.put(PODS, pod("other", "api", controller="elsewhere"))
    names = {one["metadata"]["name"] for one in callers_of(client, "flametest", "api")}
    assert names == {"api-0", "api-1", "api-2"}
    assert len(callers_of(client, "flametest", "app=api")) == 4
    assert addresses_of(callers_of(client, "flametest", "api")) == ["10.0.0.1"]
    with pytest.raises(FaultError, match="holds no Deployment or StatefulSet 'apii'"):
        callers_of(client, "flametest", "apii")


def test_a_port_that_says_that_it_is_encrypted_is_not_read(client: Any) -> None:
    client.api.put(SERVICES, service({"name": "https", "port": 443, "targetPort": 8443}))
    fault = Edge("flametest", "api", (Rule(Effect(status=(503,))),), 443, "http")
    with pytest.raises(FaultError, match="port 443 speaks TLS: methods, paths, headers and statuses are encrypted"):
        fault.record(client, fault.targets(client))
    assert client.api.sent == []


@pytest.mark.parametrize(
    ("reached", "seen_from", "told"),
    [
        (Reached(Reach.CONNECTED), {"10.0.0.1": 1}, ""),
        (Reached(Reach.CONNECTED), {"192.168.0.1": 1}, "the network masquerades addresses"),
        (Reached(Reach.UNKNOWN, "no shell"), {"10.0.0.1": 3}, ""),
        (Reached(Reach.UNKNOWN, "no shell"), {"192.168.0.1": 3}, "is open: no shell; the proxy saw 192.168.0.1"),
        (Reached(Reach.UNKNOWN, "no shell"), {}, "the proxy saw nobody"),
    ],
)
def test_a_caller_that_cannot_be_told_apart_is_refused(
    client: Any, monkeypatch: pytest.MonkeyPatch, reached: Reached, seen_from: dict[str, int], told: str
) -> None:
    monkeypatch.setattr("flametest.faults.callers.try_to_reach", lambda *_: reached)
    monkeypatch.setattr("flametest.faults.callers.SEEN_SECONDS_MAX", 0.0)
    pods = client.api.get(PODS.path("flametest"))["items"]
    if not told:
        check_told_apart(client, pods, ("10.96.0.7", 80), lambda: seen_from)
        return
    with pytest.raises(FaultError, match=told):
        check_told_apart(client, pods, ("10.96.0.7", 80), lambda: seen_from)
