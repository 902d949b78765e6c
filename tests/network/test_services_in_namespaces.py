"""Pods' networks, Service addresses and names, for real, in namespaces that each test makes for itself."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from flametest.sandbox.network.directory import ENDPOINT_SLICES, NAMESPACES, SERVICES, Snapshot
from flametest.sandbox.network.dns import Answerer, DnsServer
from flametest.sandbox.network.pods import NamespacedPodNetwork
from flametest.sandbox.network.services import ServiceRules
from flametest.sandbox.settings import NodeSettings

pytestmark = pytest.mark.sandbox

Object = dict[str, Any]
InNamespaces = Callable[[Callable[[], Any]], Any]

NODES = [NodeSettings(f"sandbox-{number}", f"10.240.0.{number}", f"10.244.{number}.0/24") for number in (1, 2)]
HTTP = {"name": "http", "protocol": "TCP", "port": 80}

# What a pod runs here: it answers each connection (or datagram) with its own name.
LISTENER = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[2] == "tcp" else socket.SOCK_DGRAM
server = socket.socket(socket.AF_INET, kind)
server.bind(("", 8000))
if kind == socket.SOCK_STREAM:
    server.listen(64)
print("listening", flush=True)
while True:
    if kind == socket.SOCK_STREAM:
        client, _ = server.accept()
        client.sendall(sys.argv[1].encode())
        client.close()
    else:
        _, client = server.recvfrom(100)
        server.sendto(sys.argv[1].encode(), client)
"""


def start_listener(namespace_path: str, name: str, protocol: str) -> "subprocess.Popen[str]":
    command = ["nsenter", f"--net={namespace_path}", sys.executable, "-c", LISTENER, name, protocol]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "listening\n"
    return process


@contextlib.asynccontextmanager
async def pods(*names: str, protocol: str = "tcp") -> AsyncIterator[tuple[NamespacedPodNetwork, dict[str, str]]]:
    """Run listeners in pods of their own; yields their addresses by name."""
    network = NamespacedPodNetwork(NODES)
    network.prepare()
    addresses, processes = {}, []
    for number, name in enumerate(names):
        pod = await network.attach(name, NODES[number % len(NODES)].pod_range)
        addresses[name] = pod.ip
        processes.append(start_listener(pod.namespace_path, name, protocol))
    yield network, addresses
    for process in processes:
        process.kill()
        process.wait()
    network.close()


def snapshot(addresses: list[str], protocol: str = "TCP", *, exists: bool = True) -> Snapshot:
    found = Snapshot()
    found.put(NAMESPACES, {"metadata": {"name": "flametest"}})
    metadata = {"name": "api", "namespace": "flametest"}
    port = HTTP | {"protocol": protocol}
    if exists:
        spec = {"clusterIP": "10.96.3.1", "ports": [port | {"nodePort": 30080}]}
        found.put(SERVICES, {"metadata": metadata, "spec": spec})
    labels = {"kubernetes.io/service-name": "api"}
    endpoints = [{"addresses": [address], "conditions": {"ready": True}} for address in addresses]
    found.put(
        ENDPOINT_SLICES,
        {"metadata": metadata | {"labels": labels}, "endpoints": endpoints, "ports": [port | {"port": 8000}]},
    )
    return found


def ask(address: str, port: int = 80) -> str:
    """Return what a connection is answered, or the name of the error."""
    try:
        with socket.create_connection((address, port), timeout=2) as connection:
            return connection.recv(100).decode()
    except OSError as error:
        return type(error).__name__


def ask_from(namespace_path: str, address: str, port: int = 80) -> str:
    code = f"import runpy; print(runpy.run_path({__file__!r})['ask']({address!r}, {port}))"
    command = ["nsenter", f"--net={namespace_path}", sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout.strip()


def spread_over_three_pods() -> Any:
    async def scenario() -> Any:
        async with pods("one", "two", "three") as (_, addresses):
            rules = ServiceRules([node.address for node in NODES])
            rules.update(snapshot(list(addresses.values())))
            by_service = Counter(ask("10.96.3.1") for _ in range(90))
            by_node_port = {ask("10.240.0.2", 30080) for _ in range(60)}
            rules.update(snapshot([addresses["two"]]))
            return by_service, sorted(by_node_port), {ask("10.96.3.1") for _ in range(10)} == {"two"}

    return asyncio.run(scenario())


def test_a_service_spreads_connections_over_its_pods_and_follows_their_change(in_namespaces: InNamespaces) -> None:
    by_service, by_node_port, followed = in_namespaces(spread_over_three_pods)
    assert set(by_service) == {"one", "two", "three"}
    # By the binomial tail, one of three pods gets over 55 of 90 connections with a probability under one in a million;
    # 60 miss one of three with a probability of 3 · (2/3)^60, under one in 10^10.
    assert max(by_service.values()) <= 55
    assert by_node_port == ["one", "three", "two"]
    assert followed


def refusal() -> Any:
    async def scenario() -> Any:
        async with pods("one", "two") as (network, addresses):
            rules = ServiceRules([node.address for node in NODES])
            rules.update(snapshot([]))
            inside = (await network.attach("client", NODES[0].pod_range)).namespace_path
            empty = [ask("10.96.3.1"), ask_from(inside, "10.96.3.1"), ask("10.240.0.1", 30080)]
            rules.update(snapshot([addresses["one"]]))
            filled = [ask("10.96.3.1"), ask_from(inside, "10.96.3.1"), ask_from(inside, "10.240.0.1", 30080)]
            other_port = [ask("10.96.3.1", 81), ask_from(inside, "10.96.3.1", 81)]
            return empty, filled, other_port

    return asyncio.run(scenario())


def test_a_service_without_endpoints_refuses_at_once_from_node_and_pod(in_namespaces: InNamespaces) -> None:
    empty, filled, other_port = in_namespaces(refusal)
    assert empty == ["ConnectionRefusedError"] * 3
    assert filled == ["one"] * 3
    assert other_port == ["ConnectionRefusedError"] * 2


def hairpin() -> Any:
    async def scenario() -> Any:
        async with pods("one") as (network, addresses):
            rules = ServiceRules([node.address for node in NODES])
            rules.update(snapshot([addresses["one"]]))
            own = (await network.attach("one", NODES[0].pod_range)).namespace_path
            return ask_from(own, "10.96.3.1")

    return asyncio.run(scenario())


def test_a_pod_reaches_itself_through_its_service(in_namespaces: InNamespaces) -> None:
    assert in_namespaces(hairpin) == "one"


def open_connections() -> Any:
    async def scenario() -> Any:
        async with pods("one", "two", protocol="udp") as (_, addresses):
            rules = ServiceRules([node.address for node in NODES])
            rules.update(snapshot([addresses["one"]], "UDP"))
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.settimeout(2)
            client.connect(("10.96.3.1", 80))
            client.send(b"?")
            before = client.recv(100).decode()
            rules.update(snapshot([addresses["two"]], "UDP"))
            await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("forget")))
            client.send(b"?")
            after = client.recv(100).decode()
            client.close()
            return before, after

    return asyncio.run(scenario())


def test_a_udp_client_moves_on_when_its_endpoint_goes(in_namespaces: InNamespaces) -> None:
    assert in_namespaces(open_connections) == ["one", "two"]


def names() -> Any:
    async def scenario() -> Any:
        network = NamespacedPodNetwork(NODES)
        network.prepare()
        answerer = Answerer()
        answerer.update(snapshot(["10.244.1.2"]))
        ready = asyncio.get_running_loop().create_future()
        server = asyncio.create_task(DnsServer(answerer, "10.240.0.1").run(ready))
        await ready
        code = (
            "from dnslib import DNSRecord\n"
            "query = DNSRecord.question('api.flametest.svc.cluster.local')\n"
            "for tcp in (False, True):\n"
            "    print(DNSRecord.parse(query.send('10.240.0.1', 53, tcp=tcp, timeout=5)).short())\n"
        )
        pod = await network.attach("client", NODES[0].pod_range)
        command = ["nsenter", f"--net={pod.namespace_path}", sys.executable, "-c", code]
        asked = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        output, _ = await asked.communicate()
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
        network.close()
        return output.decode().split()

    return asyncio.run(scenario())


def test_a_pod_asks_the_name_server_over_udp_and_tcp(in_namespaces: InNamespaces) -> None:
    assert in_namespaces(names) == ["10.96.3.1", "10.96.3.1"]


def attachments() -> Any:
    async def scenario() -> Any:
        network = NamespacedPodNetwork(NODES)
        network.prepare()
        first = await network.attach("a", NODES[0].pod_range)
        again = await network.attach("a", NODES[0].pod_range)
        await network.detach("a")
        await network.detach("a")
        gone = not os.path.exists(first.namespace_path)  # noqa: ASYNC240
        second = await network.attach("b", NODES[0].pod_range)
        other_node = await network.attach("c", NODES[1].pod_range)
        links = sorted(name for _, name in socket.if_nameindex() if name.startswith("pod"))
        network.close()
        return first == again, gone, [first.ip, second.ip, other_node.ip], links, second.namespace_path

    return asyncio.run(scenario())


def test_attaching_is_idempotent_and_neither_name_nor_address_comes_again_soon(in_namespaces: InNamespaces) -> None:
    same, gone, addresses, links, second_path = in_namespaces(attachments)
    assert same
    assert gone
    assert addresses == ["10.244.1.2", "10.244.1.3", "10.244.2.2"]
    assert links == ["pod2", "pod3"]
    assert second_path == "/run/netns/pod-2"


def churn() -> Any:
    async def scenario() -> Any:
        network = NamespacedPodNetwork(NODES)
        network.prepare()
        for _ in range(3):
            uids = [f"pod-{number}" for number in range(10)]
            await asyncio.gather(*(network.attach(uid, NODES[0].pod_range) for uid in uids))
            await asyncio.gather(*(network.detach(uid) for uid in uids))
        left = [name for _, name in socket.if_nameindex() if name.startswith("pod")]
        network.close()
        return left, os.listdir("/run/netns")

    return asyncio.run(scenario())


def test_pods_that_come_and_go_leave_nothing(in_namespaces: InNamespaces) -> None:
    assert in_namespaces(churn) == [[], []]
