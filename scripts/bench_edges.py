"""Measure what passing through an edge's proxy costs: the same requests directly and through it, in turn, in one run.

    python -m scripts.bench_edges [--requests 4000]

Client, service and proxy share this machine. The service answers at once, so that what is seen is the proxy's.
"""

import argparse
import asyncio
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Measured", "Paced", "measure", "measure_limits"]

PROGRAM = Path(__file__).parents[1] / "src" / "flametest"
CONNECTIONS = 16
LIMITS = (20_000, 100_000, 1_000_000)  # bytes a second
START_SECONDS = 30.0
REQUEST = b"GET / HTTP/1.1\r\nHost: service\r\nAccept: */*\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
SERVICE = f"""
import asyncio, sys
class Service(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write({ANSWER!r} * data.count(b"\\r\\n\\r\\n"))
async def main():
    server = await asyncio.get_running_loop().create_server(Service, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()
asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Requests of one way: their rate with 16 connections, and the median of their latency with one."""

    way: str
    fresh: bool
    per_second: float
    median_ms: float


def measure(requests: int) -> Iterator[Measured]:
    """Yield what was measured: directly, through a TCP edge, and through an HTTP edge; on kept and on fresh ones."""
    service = _free_port()
    ways = {"directly": service}
    with ExitStack() as stack:
        stack.enter_context(_running([sys.executable, "-c", SERVICE, str(service)]))
        for protocol in ("tcp", "http"):
            port, admin = _free_port(), _free_port()
            own = {
                "ROUTES": f"{port}=127.0.0.1:{service}/{protocol}",
                "HOST": "127.0.0.1",
                "ADMIN_PORT": str(admin),
                "DRAIN_SECONDS": "0.1",
            }
            stack.enter_context(_running([sys.executable, "-m", "edgeproxy"], own))
            ways[f"through {protocol} edge"] = port
        for port in ways.values():
            _await_listener(port)
        for fresh in (False, True):
            for way, port in ways.items():
                _, median_ms = asyncio.run(_ask(port, requests // 4, 1, fresh))
                per_second, _ = asyncio.run(_ask(port, requests, CONNECTIONS, fresh))
                yield Measured(way, fresh, per_second, median_ms)


@dataclass(frozen=True, slots=True)
class Paced:
    """What came through an edge with a limit, in bytes a second, as the proxy's own sounding saw it."""

    limit: int
    came: float


def measure_limits(seconds: float = 3.0) -> Iterator[Paced]:
    """Yield how limits of bandwidth were met, each by an answer that takes so long."""
    service, port, admin = _free_port(), _free_port(), _free_port()
    own = {"ROUTES": f"{port}=127.0.0.1:{service}/http", "HOST": "127.0.0.1", "ADMIN_PORT": str(admin)}
    with ExitStack() as stack:
        stack.enter_context(_running([sys.executable, "-c", SERVICE, str(service)]))
        stack.enter_context(_running([sys.executable, "-m", "edgeproxy"], own | {"DRAIN_SECONDS": "0.1"}))
        for one in (service, port, admin):
            _await_listener(one)
        for limit in LIMITS:
            rule = {"effect": {"bytes_per_second": limit}}
            _tell(admin, "POST", "/faults", {"rules": [rule], "expires_seconds": 20 * seconds, "seed": 1})
            order = {"volume_bytes": int(limit * seconds), "answer_seconds": 20 * seconds}
            _tell(admin, "POST", "/soundings", order)
            while not (told := _tell(admin, "GET", "/soundings"))["done"]:
                time.sleep(0.05)
            yield Paced(limit, told["received_bytes"] / told["seconds"])


def _tell(port: int, method: str, path: str, body: object = None) -> dict[str, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body))
        found: dict[str, Any] = json.loads(connection.getresponse().read())
        return found


async def _ask(port: int, requests: int, connections: int, fresh: bool) -> tuple[float, float]:
    """Return requests a second and the median latency; by bare sockets, since the client shares the machine."""
    latencies_ms: list[float] = []

    async def client() -> None:
        opened = None
        for _ in range(requests // connections):
            begin = time.perf_counter()
            connection = opened or await _connected(port)
            await _exchange(connection)
            latencies_ms.append((time.perf_counter() - begin) * 1000)
            opened = None if fresh else connection
            if fresh:
                connection.close()
        if opened:
            opened.close()

    begin = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return len(latencies_ms) / (time.perf_counter() - begin), statistics.median(latencies_ms)


async def _connected(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    return connection


async def _exchange(connection: socket.socket) -> None:
    loop, received = asyncio.get_running_loop(), 0
    await loop.sock_sendall(connection, REQUEST)
    while received < len(ANSWER):
        piece = await loop.sock_recv(connection, 65536)
        if not piece:
            raise ConnectionError(f"closed after {received} of {len(ANSWER)} bytes")
        received += len(piece)


@contextmanager
def _running(command: list[str], own: dict[str, str] | None = None) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=PROGRAM, env=os.environ | (own or {}))
    try:
        yield
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _await_listener(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens at port {port} after {START_SECONDS:g} s")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=4000, help="of each way (default 4000)")
    for one in measure(parser.parse_args().requests):
        kind = "fresh" if one.fresh else "kept"
        print(f"{one.way:18} {kind:6} {one.per_second:8,.0f} / s  {one.median_ms:6.3f} ms")
    for paced in measure_limits():
        print(f"limit of {paced.limit:9,} bytes/s {paced.came:9,.0f} bytes/s came, {paced.came / paced.limit:.1%}")


if __name__ == "__main__":
    main()
