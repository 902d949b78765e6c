"""NodePorts on the host: the forwarder passes bytes, half-closes and resets on, and refuses when nobody serves."""

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from flametest.sandbox.errors import SandboxError
from flametest.sandbox.network.directory import ENDPOINT_SLICES, SERVICES, Snapshot
from flametest.sandbox.network.nodeports import NodePorts, plan_node_ports
from tests.addresses import own_address

Object = dict[str, Any]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

# The forwarder needs no namespaces: the host is one loopback address here, the cluster another.
HOST, CLUSTER = own_address("host"), own_address("cluster")
# Generous: on a busy machine the forwarder alone takes seconds to start.
SECONDS_MAX = 60


@dataclass
class Recorder:
    """Takes the events that would go to the API."""

    warnings: list[tuple[str, str]] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def warning(self, about: Object, reason: str, message: str, field_path: str = "") -> None:
        self.warnings.append((reason, message))
        self.told.set()


async def listen(port: int) -> int:
    """Do what the supervisor does."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
        listener.shutdown(socket.SHUT_RD)
        return os.dup(listener.fileno())


def snapshot(port: int, *, served: bool, protocol: str = "TCP") -> Snapshot:
    found = Snapshot()
    metadata = {"name": "nginx", "namespace": "flametest", "uid": "1"}
    ports = [{"name": "http", "port": 80, "protocol": protocol, "nodePort": port}]
    found.put(SERVICES, {"metadata": metadata, "spec": {"type": "NodePort", "clusterIP": "10.96.3.1", "ports": ports}})
    endpoints = [{"addresses": ["10.244.1.2"], "conditions": {"ready": served}}]
    labels = {"kubernetes.io/service-name": "nginx"}
    found.put(
        ENDPOINT_SLICES,
        {
            "metadata": metadata | {"labels": labels},
            "endpoints": endpoints,
            "ports": [{"name": "http", "port": 8080, "protocol": protocol}],
        },
    )
    return found


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def forwarding(handler: Handler) -> AsyncIterator[tuple[NodePorts, int, Recorder, asyncio.Task[None]]]:
    """Run NodePorts that lead to a server; yields them, the port, what was recorded, and the task."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await handler(reader, writer)
        await close(writer)

    server = await asyncio.start_server(handle, CLUSTER, 0)
    port = server.sockets[0].getsockname()[1]
    recorder = Recorder()
    node_ports = NodePorts(listen, recorder, HOST, CLUSTER)  # type: ignore[arg-type]
    task = asyncio.create_task(node_ports.run())
    try:
        yield node_ports, port, recorder, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # The forwarder is gone, and with it the other end of every connection. Some may just have been accepted, so
        # that their handlers begin only now: there is rest when no task is left but this one. Only then the server is
        # closed, for what is accepted but not yet a connection when it closes, asyncio forgets without closing it.
        async with asyncio.timeout(SECONDS_MAX):
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.gather(*others)
        server.close()
        await server.wait_closed()


async def until_served(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection as soon as the port takes one."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                return await asyncio.open_connection(HOST, port)


async def until_refused(port: int) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                continue  # it waited to be accepted when the port began to refuse
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def test_bytes_go_both_ways_and_a_half_close_is_kept() -> None:
    async with forwarding(echo) as (node_ports, port, _, _):
        node_ports.update(snapshot(port, served=True))
        reader, writer = await until_served(port)
        sent = os.urandom(3_000_000)
        receive = asyncio.create_task(reader.read(-1))
        writer.write(sent)
        writer.write_eof()
        assert await asyncio.wait_for(receive, SECONDS_MAX) == sent
        await close(writer)


async def test_many_connections_at_once_get_their_own_answers() -> None:
    async with forwarding(echo) as (node_ports, port, _, _):
        node_ports.update(snapshot(port, served=True))
        _, first = await until_served(port)

        async def ask(number: int) -> bool:
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(f"{number}\n".encode())
            answer = await reader.readline()
            await close(writer)
            return answer == f"{number}\n".encode()

        assert all(await asyncio.gather(*(ask(number) for number in range(200))))
        await close(first)


async def test_a_reset_by_the_server_reaches_the_client_as_a_reset() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with forwarding(reset) as (node_ports, port, _, _):
        node_ports.update(snapshot(port, served=True))
        reader, writer = await until_served(port)
        writer.write(b"?")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), SECONDS_MAX)
        await close(writer)


async def test_a_reset_by_the_client_reaches_the_server_as_a_reset() -> None:
    ends: asyncio.Queue[str] = asyncio.Queue()

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(1)
            writer.write(b"!")
            await reader.read()
            ends.put_nowait("closed")
        except ConnectionResetError:
            ends.put_nowait("reset")
        await close(writer)

    async with forwarding(read) as (node_ports, port, _, _):
        node_ports.update(snapshot(port, served=True))
        reader, writer = await until_served(port)
        writer.write(b"?")
        await reader.readexactly(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        assert await asyncio.wait_for(ends.get(), SECONDS_MAX) == "reset"


async def test_a_service_without_endpoints_refuses_and_serves_again() -> None:
    async with forwarding(echo) as (node_ports, port, _, _):
        for _ in range(2):
            node_ports.update(snapshot(port, served=True))
            _, writer = await until_served(port)
            await close(writer)
            node_ports.update(snapshot(port, served=False))
            await until_refused(port)
        with socket.socket() as other, pytest.raises(OSError, match="in use") as caught:
            other.bind((HOST, port))
        assert caught.value.errno == errno.EADDRINUSE


async def test_a_service_that_is_removed_gives_its_port_back() -> None:
    async with forwarding(echo) as (node_ports, port, _, _):
        node_ports.update(snapshot(port, served=True))
        _, writer = await until_served(port)
        node_ports.update(Snapshot())
        await until_refused(port)
        await close(writer)


async def test_an_open_connection_outlives_the_endpoints() -> None:
    async with forwarding(echo) as (node_ports, port, _, _):
        node_ports.update(snapshot(port, served=True))
        reader, writer = await until_served(port)
        writer.write(b"here\n")  # before that, it may only wait to be accepted
        assert await asyncio.wait_for(reader.readline(), SECONDS_MAX) == b"here\n"
        node_ports.update(snapshot(port, served=False))
        await until_refused(port)
        writer.write(b"still here\n")
        assert await asyncio.wait_for(reader.readline(), SECONDS_MAX) == b"still here\n"
        await close(writer)


async def test_a_server_that_is_gone_means_a_reset_not_a_hang() -> None:
    async with forwarding(echo) as (node_ports, port, _, _):
        node_ports.update(snapshot(port, served=True))
        _, first = await until_served(port)
        await close(first)
    with socket.socket() as closed:
        closed.bind((CLUSTER, 0))
        port = closed.getsockname()[1]
        node_ports = NodePorts(listen, Recorder(), HOST, CLUSTER)  # type: ignore[arg-type]
        task = asyncio.create_task(node_ports.run())
        node_ports.update(snapshot(port, served=True))
        with contextlib.suppress(ConnectionResetError):
            reader, writer = await until_served(port)
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(1), SECONDS_MAX)
            await close(writer)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_port_that_another_program_has_is_told_once_and_taken_when_it_is_free() -> None:
    async with forwarding(echo) as (node_ports, port, recorder, _):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((HOST, port))
            other.listen()
            node_ports.update(snapshot(port, served=True))
            await asyncio.wait_for(recorder.told.wait(), SECONDS_MAX)
        ((reason, message),) = recorder.warnings
        assert reason == "NodePortUnavailable"
        assert f"{HOST}:{port}" in message
        _, writer = await until_served(port)
        await close(writer)


async def test_a_port_that_is_taken_while_it_refuses_is_told_and_served_when_it_is_free() -> None:
    async with forwarding(echo) as (node_ports, port, recorder, _):
        node_ports.update(snapshot(port, served=True))
        _, writer = await until_served(port)
        await close(writer)
        node_ports.update(snapshot(port, served=False))
        await until_refused(port)
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((HOST, port))
            other.listen()
            node_ports.update(snapshot(port, served=True))
            await asyncio.wait_for(recorder.told.wait(), SECONDS_MAX)
        assert [reason for reason, _ in recorder.warnings] == ["NodePortUnavailable"]
        _, writer = await until_served(port)
        await close(writer)


async def test_a_udp_node_port_is_told_not_ignored() -> None:
    async with forwarding(echo) as (node_ports, port, recorder, _):
        node_ports.update(snapshot(port, served=True, protocol="UDP"))
        await asyncio.wait_for(recorder.told.wait(), SECONDS_MAX)
        assert [reason for reason, _ in recorder.warnings] == ["NodePortNotForwarded"]


async def test_the_end_of_the_forwarder_ends_the_node_ports() -> None:
    async with forwarding(echo) as (node_ports, port, _, task):
        node_ports.update(snapshot(port, served=True))
        _, writer = await until_served(port)
        os.kill(node_ports.forwarder_pid, 9)
        with pytest.raises(SandboxError, match="forwarder ended"):
            await asyncio.wait_for(task, SECONDS_MAX)
        await close(writer)


def test_only_services_that_ask_for_them_have_node_ports() -> None:
    found = snapshot(30080, served=True)
    cluster_only = next(iter(found.services))
    assert set(plan_node_ports(found.services, found.slices)) == {30080}
    cluster_only["spec"]["type"] = "ClusterIP"
    assert plan_node_ports(found.services, found.slices) == {}
