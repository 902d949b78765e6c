"""The plan of Service rules: which endpoints serve, and that a change is exactly the way from one state to the next."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.network.rules import Ruleset, commands, plan, udp_addresses_changed

Object = dict[str, Any]

HTTP = {"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8000}
HTTP_OF_PODS = {"name": "http", "protocol": "TCP", "port": 8000}


def service(name: str = "api", address: str = "10.96.3.1", ports: list[Object] | None = None, **spec: Any) -> Object:
    metadata = {"name": name, "namespace": "flametest"}
    return {"metadata": metadata, "spec": {"clusterIP": address, "ports": ports or [HTTP], **spec}}


def endpoint(address: str, *, ready: bool | None = True, serving: bool = True, terminating: bool = False) -> Object:
    return {
        "addresses": [address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
    }


def slice_of(endpoints: list[Object], name: str = "api", ports: list[Object] | None = None) -> Object:
    metadata = {"name": f"{name}-x", "namespace": "flametest", "labels": {"kubernetes.io/service-name": name}}
    return {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": ports or [HTTP_OF_PODS]}


def test_a_service_leads_to_the_target_port_of_its_ready_endpoints() -> None:
    ruleset = plan([service()], [slice_of([endpoint("10.244.1.2"), endpoint("10.244.2.2", ready=False)])])
    assert ruleset.services == {"10.96.3.1 . tcp . 80": "service/flametest/api/tcp/80"}
    assert ruleset.chains == {"service/flametest/api/tcp/80": "meta l4proto tcp dnat to 10.244.1.2:8000"}


def test_several_endpoints_are_chosen_at_random() -> None:
    ruleset = plan([service()], [slice_of([endpoint("10.244.1.2"), endpoint("10.244.2.2")])])
    assert list(ruleset.chains.values()) == [
        "meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.244.1.2 . 8000, 1 : 10.244.2.2 . 8000 }"
    ]


def test_a_client_keeps_its_endpoint_with_session_affinity() -> None:
    sticky = service(sessionAffinity="ClientIP")
    ruleset = plan([sticky], [slice_of([endpoint("10.244.1.2"), endpoint("10.244.2.2")])])
    assert "jhash ip saddr mod 2" in ruleset.chains["service/flametest/api/tcp/80"]


def test_an_ending_endpoint_serves_only_while_none_is_ready() -> None:
    ending = endpoint("10.244.1.2", ready=False, serving=True, terminating=True)
    alone = plan([service()], [slice_of([ending])])
    beside = plan([service()], [slice_of([ending, endpoint("10.244.2.2")])])
    assert alone.pod_addresses == {"10.244.1.2"}
    assert beside.pod_addresses == {"10.244.2.2"}


def test_an_endpoint_of_unknown_readiness_counts_as_ready() -> None:
    assert plan([service()], [slice_of([endpoint("10.244.1.2", ready=None)])]).pod_addresses == {"10.244.1.2"}


def test_a_service_without_endpoints_keeps_its_address_so_that_it_refuses() -> None:
    ruleset = plan([service()], [])
    assert ruleset.cluster_addresses == {"10.96.3.1"}
    assert not ruleset.services
    assert not ruleset.chains


def test_headless_and_external_services_have_no_rules() -> None:
    headless = service(name="redis", address="None")
    external = service(name="elsewhere", address="", type="ExternalName")
    assert plan([headless, external], [slice_of([endpoint("10.244.1.2")], name="redis")]) == Ruleset()


def test_a_port_is_matched_by_its_name() -> None:
    metrics = {"name": "metrics", "port": 9090, "protocol": "TCP"}
    ruleset = plan([service(ports=[HTTP, metrics])], [slice_of([endpoint("10.244.1.2")])])
    assert list(ruleset.services) == ["10.96.3.1 . tcp . 80"]


def test_a_node_port_leads_to_the_same_chain() -> None:
    ruleset = plan([service(ports=[HTTP | {"nodePort": 30080}])], [slice_of([endpoint("10.244.1.2")])])
    assert ruleset.node_ports == {"tcp . 30080": "service/flametest/api/tcp/80"}


def test_a_udp_service_that_lost_an_endpoint_is_told() -> None:
    port = {"name": "dns", "protocol": "UDP", "port": 53}
    both = plan([service(ports=[port])], [slice_of([endpoint("10.244.1.2"), endpoint("10.244.1.3")], ports=[port])])
    one = plan([service(ports=[port])], [slice_of([endpoint("10.244.1.3")], ports=[port])])
    assert udp_addresses_changed(both, one) == {("10.96.3.1", 53)}
    assert udp_addresses_changed(one, both) == set()
    assert udp_addresses_changed(both, Ruleset()) == {("10.96.3.1", 53)}


_states = st.fixed_dictionaries(
    {
        name: st.fixed_dictionaries(
            {
                "exists": st.booleans(),
                "address": st.sampled_from([f"10.96.7.{number}", f"10.96.8.{number}"]),
                "node_port": st.sampled_from([0, 30000 + number, 30100 + number]),
                "endpoints": st.sets(st.integers(2, 6), max_size=4),
            }
        )
        for number, name in enumerate(("api", "nginx", "redis"), start=1)
    }
)


def _planned(state: dict[str, Any]) -> Ruleset:
    services, slices = [], []
    for name, one in state.items():
        port = HTTP | ({"nodePort": one["node_port"]} if one["node_port"] else {})
        if one["exists"]:
            services.append(service(name, one["address"], [port]))
        slices.append(slice_of([endpoint(f"10.244.1.{number}") for number in one["endpoints"]], name))
    return plan(services, slices)


class _Kernel:
    """Understands the commands as nftables does, and refuses what nftables refuses."""

    def __init__(self) -> None:
        self.chains: dict[str, list[str]] = {}
        self.elements: dict[str, dict[str, str]] = {}

    def run(self, text: str) -> None:
        for line in text.splitlines():
            verb, kind, _, _, name, *rest = line.split(" ")
            if kind == "chain":
                self._chain(verb, name)
            elif kind == "rule":
                assert verb == "add"
                self.chains[name].append(" ".join(rest))
            else:
                for element in re.split(", (?=[0-9a-z])", " ".join(rest)[2:-2]):
                    self._element(verb, self.elements.setdefault(name, {}), *element.split(" : "))

    def _chain(self, verb: str, name: str) -> None:
        if verb == "add":
            assert name not in self.chains
            self.chains[name] = []
        elif verb == "flush":
            self.chains[name].clear()
        else:
            assert self.chains.pop(name) == []
            assert all(f"goto {name}" not in values.values() for values in self.elements.values())

    def _element(self, verb: str, values: dict[str, str], key: str, value: str = "") -> None:
        if verb == "add":
            assert key not in values
            assert not value or value.removeprefix("goto ") in self.chains
            values[key] = value
        else:
            assert values.pop(key) == value


@given(st.lists(_states, min_size=1, max_size=5))
def test_commands_lead_from_each_state_to_the_next(states: list[dict[str, Any]]) -> None:
    kernel, now = _Kernel(), Ruleset()
    for state in states:
        wanted = _planned(state)
        kernel.run(commands(now, wanted))
        now = wanted
        assert kernel.chains == {chain: [rule] for chain, rule in now.chains.items()}
        held = kernel.elements
        assert held.get("services", {}) == {key: f"goto {chain}" for key, chain in now.services.items()}
        assert held.get("node-ports", {}) == {key: f"goto {chain}" for key, chain in now.node_ports.items()}
        assert set(held.get("cluster-addresses", {})) == now.cluster_addresses
        assert set(held.get("hairpins", {})) == {f"{address} . {address}" for address in now.pod_addresses}


@given(_states)
def test_nothing_is_run_when_nothing_changed(state: dict[str, Any]) -> None:
    assert commands(_planned(state), _planned(state)) == ""
