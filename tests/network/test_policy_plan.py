"""What NetworkPolicies let through: the planned rule set against a plain reading of the specification."""

import ipaddress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.labels import selector_matches
from flametest.sandbox.network.policies import (
    Allowance,
    Block,
    PolicedPod,
    Policing,
    PortRange,
    Socket,
    plan,
    policed_pod,
)

Object = dict[str, Any]

NAMESPACES = {"shop": {"team": "a"}, "other": {"team": "b"}}
STRANGERS = ("192.0.2.1", "198.51.100.7")


def pod(namespace: str, address: str, app: str, tier: str = "", port: int = 80) -> PolicedPod:
    labels = {"app": app} | ({"tier": tier} if tier else {})
    return PolicedPod(namespace, labels, address, (("http", "tcp", port), ("dns", "udp", 53)))


def allows(policing: Policing, source: str, target: str, protocol: str, port: int) -> bool:
    """Read the rule set as the kernel does."""

    def through(isolated: dict[str, Any], own: str, far: str) -> bool:
        isolation = isolated.get(own)
        if isolation is None or own == far:
            return True
        return any(match(each, far) for name in isolation.policies for each in policing.allowances[name])

    def match(allowance: Allowance, far: str) -> bool:
        return match_peer(allowance.peer, far) and match_port(allowance.port)

    def match_peer(peer: str | Block | None, far: str) -> bool:
        if isinstance(peer, str):
            return far in policing.peers[peer]
        return peer is None or (within(far, peer.network) and not any(within(far, each) for each in peer.but))

    def match_port(wanted: str | PortRange | None) -> bool:
        if isinstance(wanted, str):
            return (target, protocol, port) in policing.sockets[wanted]
        return wanted is None or (wanted.protocol == protocol and wanted.first <= port <= wanted.last)

    return through(policing.egress, source, target) and through(policing.ingress, target, source)


def within(address: str, network: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


class Reference:
    """The specification, read word by word: slow, and about one connection at a time."""

    def __init__(self, policies: list[Object], pods: list[PolicedPod]) -> None:
        self.policies = policies
        self.pods = {each.address: each for each in pods}

    def allows(self, source: str, target: str, protocol: str, port: int) -> bool:
        if source == target:
            return True
        socket = (target, protocol, port)
        return self._side("Egress", source, target, socket) and self._side("Ingress", target, source, socket)

    def _side(self, kind: str, own: str, far: str, socket: Socket) -> bool:
        pod = self.pods.get(own)
        if pod is None:
            return True
        selecting = [each for each in self.policies if self._selects(each, pod, kind)]
        if not selecting:
            return True
        return any(
            self._rule(policy, rule, rule.get("from" if kind == "Ingress" else "to"), far, socket)
            for policy in selecting
            for rule in policy["spec"].get(kind.lower(), [])
        )

    @staticmethod
    def _selects(policy: Object, pod: PolicedPod, kind: str) -> bool:
        spec = policy["spec"]
        if policy["metadata"]["namespace"] != pod.namespace or not selector_matches(spec["podSelector"], pod.labels):
            return False
        if "policyTypes" in spec:
            return kind in spec["policyTypes"]
        return kind == "Ingress" or bool(spec.get("egress"))

    def _rule(self, policy: Object, rule: Object, peers: Any, far: str, socket: Socket) -> bool:
        if peers and not any(self._peer(policy, peer, far) for peer in peers):
            return False
        ports = rule.get("ports")
        return not ports or any(self._port(each, *socket) for each in ports)

    def _peer(self, policy: Object, peer: Object, far: str) -> bool:
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            return within(far, block["cidr"]) and not any(within(far, each) for each in block.get("except", []))
        pod = self.pods.get(far)
        if pod is None:
            return False
        if "namespaceSelector" in peer:
            if not selector_matches(peer["namespaceSelector"], NAMESPACES[pod.namespace]):
                return False
        elif pod.namespace != policy["metadata"]["namespace"]:
            return False
        return "podSelector" not in peer or selector_matches(peer["podSelector"], pod.labels)

    def _port(self, wanted: Object, target: str, protocol: str, port: int) -> bool:
        if wanted.get("protocol", "TCP").lower() != protocol:
            return False
        number = wanted.get("port")
        if number is None:
            return True
        if isinstance(number, str):
            pod = self.pods.get(target)
            return pod is not None and (number, protocol, port) in pod.ports
        last: Any = wanted.get("endPort", number)
        return bool(number <= port <= last)


APPS = st.sampled_from(["web", "api", "db"])
SELECTORS = st.one_of(
    st.just({}),
    st.builds(lambda app: {"matchLabels": {"app": app}}, APPS),
    st.builds(
        lambda operator, app: {"matchExpressions": [{"key": "app", "operator": operator, "values": [app]}]},
        st.sampled_from(["In", "NotIn"]),
        APPS,
    ),
    st.just({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}),
)
NAMESPACE_SELECTORS = st.sampled_from([{}, {"matchLabels": {"team": "a"}}, {"matchLabels": {"team": "none"}}])
BLOCKS = st.sampled_from(
    [
        {"cidr": "0.0.0.0/0"},
        {"cidr": "0.0.0.0/0", "except": ["10.244.0.0/16", "10.244.1.0/24"]},
        {"cidr": "10.244.1.0/24", "except": ["10.244.1.2/32"]},
        {"cidr": "192.0.2.0/24"},
    ]
)
PEERS = st.one_of(
    st.builds(lambda pods: {"podSelector": pods}, SELECTORS),
    st.builds(lambda spaces: {"namespaceSelector": spaces}, NAMESPACE_SELECTORS),
    st.builds(lambda pods, spaces: {"podSelector": pods, "namespaceSelector": spaces}, SELECTORS, NAMESPACE_SELECTORS),
    st.builds(lambda block: {"ipBlock": block}, BLOCKS),
)
PORTS = st.sampled_from(
    [
        {"port": 80},
        {"port": 70, "endPort": 90, "protocol": "TCP"},
        {"port": "http"},
        {"port": "dns", "protocol": "UDP"},
        {"protocol": "UDP"},
        {"port": 8000, "endPort": 9000},
        {"port": 80, "protocol": "SCTP"},
    ]
)


def rules(side: str) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries({}, optional={side: st.lists(PEERS, max_size=3), "ports": st.lists(PORTS, max_size=2)})


SPECS = st.fixed_dictionaries(
    {"podSelector": SELECTORS},
    optional={
        "ingress": st.lists(rules("from"), max_size=3),
        "egress": st.lists(rules("to"), max_size=3),
        "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
    },
)
POLICIES = st.lists(
    st.builds(lambda space, spec: {"space": space, "spec": spec}, st.sampled_from(["shop", "other"]), SPECS), max_size=4
).map(
    lambda made: [
        {"metadata": {"uid": f"uid-{number}", "namespace": each["space"]}, "spec": each["spec"]}
        for number, each in enumerate(made)
    ]
)
PODS = st.lists(
    st.builds(
        lambda space, app, tier, port: (space, app, tier, port),
        st.sampled_from(["shop", "other"]),
        APPS,
        st.sampled_from(["", "back"]),
        st.sampled_from([80, 8080]),
    ),
    min_size=1,
    max_size=5,
).map(
    lambda made: [
        pod(space, f"10.244.{1 + n % 2}.{2 + n}", app, tier, port) for n, (space, app, tier, port) in enumerate(made)
    ]
)


@given(POLICIES, PODS)
def test_the_rule_set_lets_through_what_the_specification_says_and_nothing_else(
    policies: list[Object], pods: list[PolicedPod]
) -> None:
    policing = plan(policies, pods, NAMESPACES)
    reference = Reference(policies, pods)
    addresses = [each.address for each in pods]
    for source in (*addresses, *STRANGERS):
        for target in (*addresses, *STRANGERS):
            for protocol, port in (("tcp", 80), ("tcp", 8080), ("udp", 53), ("tcp", 9001)):
                connection = (source, target, protocol, port)
                assert allows(policing, *connection) == reference.allows(*connection), connection


WEB, API, DB = pod("shop", "10.244.1.2", "web"), pod("shop", "10.244.1.3", "api"), pod("shop", "10.244.2.2", "db")


def policy(**spec: Any) -> Object:
    return {"metadata": {"uid": "uid", "namespace": "shop"}, "spec": {"podSelector": {}, **spec}}


def test_without_a_policy_everything_is_open_and_there_is_no_rule() -> None:
    assert plan([], [WEB, API], NAMESPACES) == Policing()


def test_an_empty_policy_denies_what_comes_in_and_leaves_open_what_goes_out() -> None:
    policing = plan([policy(podSelector={"matchLabels": {"app": "db"}})], [WEB, DB], NAMESPACES)
    assert not allows(policing, WEB.address, DB.address, "tcp", 80)
    assert allows(policing, DB.address, WEB.address, "tcp", 80)


def test_a_policy_that_selects_no_pod_costs_no_rule() -> None:
    assert plan([policy(podSelector={"matchLabels": {"app": "none"}})], [WEB], NAMESPACES) == Policing()


def test_pods_that_ended_and_pods_of_the_nodes_network_are_left_out() -> None:
    def api_pod(status: Object, **spec: Any) -> Object:
        ports = [{"name": "http", "containerPort": 8000}, {"containerPort": 9000}]
        return {
            "metadata": {"namespace": "shop", "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "ports": ports}], **spec},
            "status": status,
        }

    assert policed_pod(api_pod({"phase": "Pending"})) is None
    assert policed_pod(api_pod({"phase": "Failed", "podIP": "10.244.1.2"})) is None
    assert policed_pod(api_pod({"phase": "Running", "podIP": "10.240.0.1"}, hostNetwork=True)) is None
    assert policed_pod(api_pod({"phase": "Pending"}), "10.244.1.2") == PolicedPod(
        "shop", {"app": "web"}, "10.244.1.2", (("http", "tcp", 8000),)
    )
