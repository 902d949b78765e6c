"""Rules of an edge: what may be said, what survives being written down, and what is decided by them."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.edgeproxy.__main__ import Settings, SettingsError
from flametest.edgeproxy.edge import Edge, Sounding
from flametest.edgeproxy.messages import NotHttpError, answer_of, request_of
from flametest.edgeproxy.passing import Route
from flametest.edgeproxy.rules import Effect, Match, Rule, RuleError, Unit, options, rules_from
from flametest.edgeproxy.shaping import Shape
from flametest.edgeproxy.switch import Switch
from flametest.faults.http_faults import HttpFaults, rules_of
from tests.chance import binomial_range

CALLER = "10.0.0.1"
TEXT = st.text("abcXYZ/*", max_size=6)
EFFECTS = st.builds(
    Effect,
    delay_ms=st.floats(0, 1000),
    bytes_per_second=st.integers(0, 10**6),
    reset=st.booleans(),
    status=st.lists(st.sampled_from([429, 500, 503]), max_size=3).map(tuple),
    direction=st.sampled_from(["request", "response", "both"]),
)
MATCHES = st.builds(
    Match,
    method=st.sampled_from(["", "GET", "POST"]),
    path=TEXT.map(lambda text: f"/{text}"),
    header=st.dictionaries(TEXT, TEXT, max_size=2),
    share=st.floats(0.01, 1),
    first=st.integers(0, 20),
    every=st.integers(0, 20),
)


@given(effect=EFFECTS, match=MATCHES, of_caller=st.booleans())
def test_a_rule_is_read_as_it_was_written(effect: Effect, match: Match, of_caller: bool) -> None:
    rule = Rule(effect, match, of_caller)
    assert rules_from([rule.as_json()]) == (rule,)


@given(match=MATCHES, callers=st.lists(st.booleans(), max_size=60))
def test_counts_are_of_those_that_are_meant_and_soundings_use_up_none(match: Match, callers: list[bool]) -> None:
    match = dataclasses.replace(match, share=1.0, method="", path="", header={})
    edge = Edge(1)
    edge.callers.add(CALLER)
    edge.turn_on([Rule(Effect(reset=True), match, of_caller=True)], 60, 1)
    for _ in range(5):
        edge.decide(Unit(Sounding.of(1).address))
        assert edge.decide(Unit(Sounding.of(1, caller=False).address)) is None
    met = [edge.decide(Unit(CALLER if caller else "10.0.0.2")) is not None for caller in callers]
    numbers = [sum(callers[: index + 1]) for index in range(len(callers))]
    wanted = [
        caller and (not match.first or number <= match.first) and (not match.every or number % match.every == 0)
        for caller, number in zip(callers, numbers, strict=True)
    ]
    assert met == wanted
    assert edge.counts["units"] == len(callers)
    assert edge.counts["affected"] == sum(wanted)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.97])
def test_shares_lie_within_the_range_that_chance_leaves_once_in_ten_million_times(share: float) -> None:
    edge, requests = Edge(1), 4000
    edge.turn_on([Rule(Effect(status=(503,)), Match(share=share))], 60, None)
    met = sum(edge.decide(Unit(CALLER)) is not None for _ in range(requests))
    low, high = binomial_range(requests, share)
    assert low <= met <= high


def test_the_same_seed_draws_the_same_and_time_ends_it() -> None:
    now = [100.0]
    draws = []
    for _ in range(2):
        edge = Edge(1, lambda: now[0])
        effect = Effect(delay_ms=5, jitter_ms=10, status=(500, 503))
        edge.turn_on([Rule(effect, Match(share=0.5))], 5, 7)
        decided = [edge.decide(Unit(CALLER)) for _ in range(50)]
        draws.append((decided, [edge.delay_seconds(effect) for _ in range(9)], [edge.status(effect) for _ in "12"]))
        assert all(0.005 <= seconds <= 0.015 for seconds in draws[-1][1])
    assert draws[0] == draws[1]
    assert edge.active
    now[0] += 5
    assert edge.seconds_left == 0
    assert edge.decide(Unit(CALLER)) is None


def test_edges_stand_one_behind_the_other_and_each_counts_what_comes_to_it() -> None:
    switch = Switch()
    front, behind = switch.edge("front"), switch.edge("behind")
    front.turn_on([Rule(Effect(status=(503,)), Match(path="/a"))], 60, 1)
    behind.turn_on([Rule(Effect(delay_ms=5))], 60, 1)

    def decided(path: str, address: str = CALLER) -> list[Edge]:
        return [one.edge for one in switch.decide(Unit(address, "GET", path), 80, "http")]

    assert [decided(path) for path in ("/a", "/b", "/b")] == [[front], [behind], [behind]]
    assert (front.counts["units"], front.counts["affected"]) == (3, 1)
    assert (behind.counts["units"], behind.counts["affected"]) == (2, 2)
    assert decided("/a", Sounding.of(behind.number).address) == [behind]
    assert decided("/b", Sounding.of(front.number).address) == []
    front.turn_off()
    assert decided("/a") == [behind]


def test_an_edge_is_asked_at_its_ports_and_by_its_protocol_only() -> None:
    switch = Switch()
    edge = switch.edge("")
    edge.ports, edge.protocol = frozenset({81}), "tcp"
    edge.turn_on([Rule(Effect(refuse=True))], 60, 1)
    assert switch.decide(Unit(CALLER), 81, "tcp")
    assert switch.decide(Unit(CALLER), 80, "tcp") == ()
    assert switch.decide(Unit(CALLER), 81, "http") == ()
    assert (switch.refuses(81), switch.refuses(80)) == (True, False)


SHAPED = st.builds(
    Effect,
    bytes_per_second=st.integers(0, 10**6),
    slice_bytes=st.integers(0, 1000),
    slice_delay_ms=st.floats(0, 100),
    close_delay_ms=st.floats(0, 100),
)


@given(effects=st.lists(SHAPED, min_size=1, max_size=3))
def test_limits_that_meet_are_together_as_tight_as_the_tightest(effects: list[Effect]) -> None:
    shape = Shape.of(effects)
    for effect in effects:
        if effect.bytes_per_second:
            assert 0 < shape.bytes_per_second <= effect.bytes_per_second
        if effect.slice_bytes:
            assert 0 < shape.slice_bytes <= effect.slice_bytes
            assert shape.slice_delay_ms / shape.slice_bytes >= effect.slice_delay_ms / effect.slice_bytes * (1 - 1e-9)
    assert shape.close_delay_ms == pytest.approx(sum(effect.close_delay_ms for effect in effects))
    assert Shape.of(effects[:1] * 2).bytes_per_second == effects[0].bytes_per_second


def test_of_limits_of_bytes_the_first_to_be_met_counts() -> None:
    shape = Shape.of([Effect(reset_after_bytes=10), Effect(close_after_bytes=5), Effect(delay_ms=3)])
    assert (shape.limit_bytes, shape.resets) == (5, False)
    shape = Shape.of([Effect(reset_after_bytes=10), Effect(close_after_bytes=50)])
    assert (shape.limit_bytes, shape.resets) == (10, True)


def test_errors_and_aborts_of_http_are_rules_whose_shares_are_those_of_all_requests() -> None:
    aborted, failed, delayed = rules_of(HttpFaults(error_rate=0.2, abort_rate=0.2, latency_ms=5))
    assert (aborted.effect.reset, aborted.match.share) == (True, 0.2)
    assert failed.effect.status == (500,)
    assert (1 - 0.2) * failed.match.share == pytest.approx(0.2)
    assert (delayed.effect, delayed.match) == (Effect(delay_ms=5), Match())
    assert rules_of(HttpFaults(abort_rate=1.0))[0].match.share == 1
    (only,) = rules_of(HttpFaults(error_rate=1.0, error_statuses=(503,)))
    assert (only.effect.status, only.match.share) == ((503,), 1.0)


@pytest.mark.parametrize(
    ("rule", "protocol", "told"),
    [
        (Rule(Effect()), "tcp", "nothing is to be injected"),
        (Rule(Effect(reset=True, silence=True)), "tcp", "reset and silence exclude each other"),
        (Rule(Effect(delay_ms=-1)), "tcp", "delay_ms"),
        (Rule(Effect(delay_ms=1e9)), "tcp", "delay_ms"),
        (Rule(Effect(bytes_per_second=-1)), "tcp", "bytes_per_second"),
        (Rule(Effect(status=(200,))), "http", "statuses from 400 to 599"),
        (Rule(Effect(status=(503,))), "tcp", "the content of a TCP edge is not read"),
        (Rule(Effect(reset=True), Match(method="GET")), "tcp", "method: the content"),
        (Rule(Effect(reset=True), Match(share=0)), "tcp", "share"),
        (Rule(Effect(reset=True), Match(first=-1)), "tcp", "first"),
        (Rule(Effect(reset=True), Match(path="orders")), "http", "begins with /"),
        (Rule(Effect(refuse=True), of_caller=True), "tcp", "use reset"),
        (Rule(Effect(delay_ms=1, direction="up")), "tcp", "direction"),
        (Rule(Effect(delay_ms=1, direction="request")), "http", "delayed as a whole"),
        (Rule(Effect(delay_ms=1, silence_ms=3)), "tcp", "silence_ms needs silence"),
    ],
)
def test_rules_that_make_no_sense_are_refused_by_the_name_of_the_option(rule: Rule, protocol: str, told: str) -> None:
    with pytest.raises(RuleError, match=told):
        rule.check(protocol)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"delay": 3}, "'delay' is no effect: expected one of delay_ms"),
        ({"delay_ms": "3"}, "delay_ms '3': expected float"),
        ({"delay_ms": True}, "expected float"),
        ({"reset": 1}, "reset 1: expected bool"),
        ({"status": "503"}, "expected a status or a list of them"),
        ({"bytes_per_second": 1.5}, "expected int"),
    ],
)
def test_options_of_another_name_or_type_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(RuleError, match=told):
        options(Effect, given)
    assert options(Effect, {"status": 503, "delay_ms": 3}) == Effect(status=(503,), delay_ms=3.0)


def test_heads_are_read_as_far_as_framing_and_rules_need() -> None:
    head = request_of(b"POST http://shop/orders/1?a=b HTTP/1.1\r\nX-User: 7\r\nContent-Length: 5\r\n\r\n")
    unit = head.unit(CALLER)
    assert (unit.method, unit.path, unit.headers["x-user"], head.body_bytes) == ("POST", "/orders/1", "7", 5)
    assert Match(method="post", path="/orders/*", header={"X-USER": "7"}).means(unit)
    assert answer_of(b"HTTP/1.1 200 OK\r\n\r\n", "GET").closes
    assert answer_of(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET").body_bytes == 0
    assert answer_of(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD").body_bytes == 0
    for raw in (b"PRI * HTTP/2.0\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        with pytest.raises(NotHttpError):
            request_of(raw)


def test_routes_are_read_and_broken_ones_named() -> None:
    found = Settings.from_environment({"ROUTES": "10080=10.96.0.7:80/http, 10081=shop:8080/pass"})
    assert found.routes == (Route(10080, "10.96.0.7", 80, "http"), Route(10081, "shop", 8080, "pass"))
    for routes in ("", "80", "80=x/tcp", "0=x:1/tcp", "80=x:70000/tcp", "80=:1/tcp", "80=x:1/udp", "80=x:1"):
        with pytest.raises(SettingsError, match="ROUTES"):
            Settings.from_environment({"ROUTES": routes})
    with pytest.raises(SettingsError, match="DRAIN_SECONDS"):
        Settings.from_environment({"ROUTES": "80=x:1/tcp", "DRAIN_SECONDS": "nan"})
