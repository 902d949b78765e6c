"""NetworkPolicies in the kernel: connections between real pods, in namespaces that each test makes for itself."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given, settings

from flametest.sandbox.network.directory import ENDPOINT_SLICES, SERVICES, Snapshot
from flametest.sandbox.network.nftables import Nftables
from flametest.sandbox.network.pods import NamespacedPodNetwork
from flametest.sandbox.network.policies import PolicedPod, Policing, plan
from flametest.sandbox.network.policyrules import commands, policy_base
from flametest.sandbox.network.services import ServiceRules
from flametest.sandbox.settings import NodeSettings
from tests.network.test_policy_plan import NAMESPACES as SPACES
from tests.network.test_policy_plan import PODS, POLICIES

pytestmark = pytest.mark.sandbox

Object = dict[str, Any]
InNamespaces = Callable[[Callable[[], Any]], Any]

NODES = [NodeSettings(f"sandbox-{number}", f"10.240.0.{number}", f"10.244.{number}.0/24") for number in (1, 2)]
NAMESPACES = {"shop": {"team": "a"}}
SERVICE = "10.96.3.1"

# A pod answers each line with its name; a stranger's line goes to the address and port that it names.
POD = """
import select, socket, sys
name = sys.argv[1]
servers = [socket.create_server(("", port)) for port in (8000, 8001)]
links = {}
print("ready", flush=True)
while True:
    for ready in select.select([*servers, *links, sys.stdin], [], [])[0]:
        if ready in servers:
            link, _ = ready.accept()
            links[link] = True
        elif ready is sys.stdin:
            address, port, keep = sys.stdin.readline().split()
            try:
                if keep not in ("again", "patiently"):
                    outgoing = socket.create_connection((address, int(port)), timeout=0.4)
                if keep == "connect":
                    print("connected", flush=True)
                    continue
                outgoing.settimeout(15 if keep == "patiently" else 0.4)
                outgoing.sendall(b"?")
                print(outgoing.recv(100).decode() or "closed", flush=True)
            except OSError as error:
                print(type(error).__name__, flush=True)
        elif data := ready.recv(100):
            ready.sendall(name.encode())
        else:
            del links[ready]
            ready.close()
"""


class Pod:
    """A pod that listens on ports 8000 and 8001 and connects where it is told to."""

    def __init__(self, name: str, address: str, namespace_path: str) -> None:
        self.name, self.address = name, address
        command = ["nsenter", f"--net={namespace_path}", sys.executable, "-c", POD, name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._read() == "ready"

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def asks(self, address: str, port: int = 8000, how: str = "fresh") -> str:
        """Return the answer or the name of the error.

        "fresh" makes a connection of its own, "again" keeps to the last connection, "patiently" does so for as long as
        TCP may take to send once more what got lost, which is twice as long each time; "connect" only connects.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(f"{address} {port} {how}\n")
        self.process.stdin.flush()
        return self._read()


class World:
    """Three pods, a Service that leads to the pod ``db``, and rules that can be changed."""

    def __init__(self, pods: dict[str, Pod]) -> None:
        self.web, self.api, self.db = (pods[name] for name in ("web", "api", "db"))
        self._pods = [
            PolicedPod("shop", {"app": each.name}, each.address, (("sql", "tcp", 8000),)) for each in pods.values()
        ]
        self._nftables = Nftables()
        self._nftables.run(policy_base())
        self._policing = Policing()

    def enforce(self, *specs: Object) -> float:
        """Put policies into force; returns how long the kernel took, in milliseconds."""
        policies = [
            {"metadata": {"uid": f"uid-{number}", "namespace": "shop"}, "spec": spec}
            for number, spec in enumerate(specs)
        ]
        wanted = plan(policies, self._pods, NAMESPACES)
        began = time.perf_counter()
        self._nftables.run(commands(self._policing, wanted))
        self._policing = wanted
        return (time.perf_counter() - began) * 1000

    def left(self) -> str:
        """Return the table's rules beside its base."""
        self.enforce()
        listing = self._nftables.run("list table ip flametest-policies")
        return "".join(line for line in listing.splitlines(True) if "uid-" in line or "10.244." in line)


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    network = NamespacedPodNetwork(NODES)
    network.prepare()
    pods = {}
    for number, name in enumerate(("web", "api", "db")):
        attached = await network.attach(name, NODES[number % len(NODES)].pod_range)
        pods[name] = Pod(name, attached.ip, attached.namespace_path)
    rules = ServiceRules([node.address for node in NODES])
    found = Snapshot()
    metadata = {"name": "db", "namespace": "shop"}
    ports = [{"port": 80, "protocol": "TCP", "nodePort": 30080}]
    found.put(SERVICES, {"metadata": metadata, "spec": {"clusterIP": SERVICE, "ports": ports}})
    slice_metadata = metadata | {"labels": {"kubernetes.io/service-name": "db"}}
    endpoints = [{"addresses": [pods["db"].address], "conditions": {"ready": True}}]
    found.put(
        ENDPOINT_SLICES,
        {"metadata": slice_metadata, "endpoints": endpoints, "ports": [{"port": 8000, "protocol": "TCP"}]},
    )
    rules.update(found)
    yield World(pods)
    for each in pods.values():
        each.process.kill()
        each.process.wait()
    network.close()


DB = {"matchLabels": {"app": "db"}}
FROM_API = [{"podSelector": {"matchLabels": {"app": "api"}}}]


def only_api_reaches_db() -> Any:
    async def scenario() -> Any:
        async with world() as w:
            before = [w.web.asks(w.db.address), w.web.asks(SERVICE, 80)]
            wanted = {"podSelector": DB, "ingress": [{"from": FROM_API, "ports": [{"port": "sql"}]}]}
            took_ms = min(
                w.enforce(*specs) for specs in [[wanted], [], [wanted], [], [wanted]]
            )  # others want the CPU too
            denied = [w.web.asks(w.db.address), w.web.asks(SERVICE, 80), w.api.asks(w.db.address, 8001)]
            allowed = [
                w.api.asks(w.db.address),
                w.api.asks(SERVICE, 80),
                w.db.asks(w.web.address),
                w.db.asks(SERVICE, 80, "connect"),
            ]
            with socket.create_connection(("10.240.0.1", 30080), timeout=1) as link:
                link.sendall(b"?")
                from_node = link.recv(100).decode()
            return before, denied, allowed, from_node, took_ms, w.left()

    return asyncio.run(scenario())


def test_a_policy_admits_its_peers_only_also_behind_a_service_and_the_node_always(in_namespaces: InNamespaces) -> None:
    before, denied, allowed, from_node, took_ms, left = in_namespaces(only_api_reaches_db)
    assert before == ["db", "db"]
    assert denied == ["TimeoutError"] * 3
    assert allowed == ["db", "db", "web", "connected"]
    assert from_node == "db"
    assert took_ms < 50
    assert left == ""


def egress_rules() -> Any:
    async def scenario() -> Any:
        async with world() as w:
            answers = {}
            w.enforce({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]})
            answers["denied"] = [w.web.asks(w.api.address), w.web.asks(SERVICE, 80), w.web.asks("10.240.0.1", 30080)]
            answers["towards"] = [w.api.asks(w.web.address)]
            block = {"cidr": "10.244.0.0/16", "except": [f"{w.api.address}/32"]}
            egress = [{"to": [{"ipBlock": block}], "ports": [{"port": 7990, "endPort": 8000}]}]
            w.enforce({"podSelector": {"matchLabels": {"app": "web"}}, "egress": egress, "policyTypes": ["Egress"]})
            answers["block"] = [w.web.asks(w.db.address), w.web.asks(w.api.address), w.web.asks(w.db.address, 8001)]
            both = {"podSelector": {"matchLabels": {"app": "web"}}, "egress": egress, "policyTypes": ["Egress"]}
            w.enforce(both, {"podSelector": DB, "policyTypes": ["Ingress"]})
            answers["both sides"] = [w.web.asks(w.db.address)]
            w.enforce(both, {"podSelector": DB, "policyTypes": ["Ingress"]}, {"podSelector": DB, "ingress": [{}]})
            answers["union"] = [w.web.asks(w.db.address)]
            return answers

    return asyncio.run(scenario())


def test_what_leaves_one_pod_still_has_to_be_admitted_by_the_other(in_namespaces: InNamespaces) -> None:
    answers = in_namespaces(egress_rules)
    assert answers["denied"] == ["TimeoutError"] * 3
    assert answers["towards"] == ["web"]
    assert answers["block"] == ["db", "TimeoutError", "TimeoutError"]
    assert answers["both sides"] == ["TimeoutError"]
    assert answers["union"] == ["db"]


def random_changes() -> Any:
    nftables = Nftables()
    nftables.run(policy_base())
    in_force = [Policing()]

    @settings(max_examples=80, deadline=None, database=None, derandomize=True)
    @given(POLICIES, PODS)
    def change(policies: list[Object], pods: list[PolicedPod]) -> None:
        wanted = plan(policies, pods, SPACES)
        nftables.run(commands(in_force[0], wanted))
        in_force[0] = wanted

    change()
    nftables.run(commands(in_force[0], Policing()))
    emptied = nftables.run("list table ip flametest-policies")
    nftables.run("delete table ip flametest-policies\n" + policy_base())
    return emptied == nftables.run("list table ip flametest-policies")


def test_the_kernel_takes_every_change_of_rules_and_keeps_nothing_of_old_ones(in_namespaces: InNamespaces) -> None:
    assert in_namespaces(random_changes)


def open_connections() -> Any:
    async def scenario() -> Any:
        async with world() as w:
            first = w.api.asks(SERVICE, 80)
            w.enforce({"podSelector": DB})
            cut = w.api.asks(SERVICE, 80, "again")
            w.enforce()
            healed = w.api.asks(SERVICE, 80, "patiently")
            return first, cut, healed

    return asyncio.run(scenario())


def test_a_policy_stops_open_connections_and_lets_them_go_on_when_it_goes(in_namespaces: InNamespaces) -> None:
    first, cut, healed = in_namespaces(open_connections)
    assert (first, cut) == ("db", "TimeoutError")
    # What was sent meanwhile is answered too, now or a little later.
    assert healed.startswith("db")
