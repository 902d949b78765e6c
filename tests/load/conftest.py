"""A server whose outages are known, because the test makes them."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
_TURNS_TO_CONNECT = 3  # the connection is made, its protocol told, its handler begun


class Target:
    """An HTTP server on loopback, in a thread of its own.

    ``mode`` is what it does to a request: ``ok``, ``503``, ``308`` (leads to ``location``), ``hang`` (no answer),
    ``reset`` (breaks off), ``slow`` (answers after ``delay_seconds``). `refuse` and `listen` close and open its port.
    """

    def __init__(self) -> None:
        self.mode = "ok"
        self.delay_seconds = 0.5
        self.location = ""
        self.connections = 0
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="target")
        self._thread.start()
        self.listen()

    @property
    def url(self) -> str:
        """Return its URL."""
        return f"http://127.0.0.1:{self.port}"

    def listen(self) -> None:
        """Accept connections."""
        self._run(self._listen())

    def refuse(self) -> None:
        """Refuse connections, and break those that are there."""
        self._run(self._refuse())

    def close(self) -> None:
        """End the server and its thread."""
        self.refuse()
        self._run(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            # What is accepted and not yet a connection when its server closes, asyncio forgets without closing it. So
            # nothing more is accepted for the few turns of the loop that what was accepted needs.
            self._loop.remove_reader(self._server.sockets[0].fileno())
            for _ in range(_TURNS_TO_CONNECT):
                await asyncio.sleep(0)
            self._server.close()
            self._server = None
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _end_tasks(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(request.split(" HTTP")[0])
        pairs = (line.split(": ", 1) for line in request.split("\r\n")[1:] if ": " in line)
        self.headers.append({name.lower(): value for name, value in pairs})
        mode = self.mode
        if mode == "reset":
            writer.transport.abort()
            return False
        if mode == "hang":
            await reader.read()
            return False
        if mode == "slow":
            await asyncio.sleep(self.delay_seconds)
        status = {"503": "503 Service Unavailable", "308": "308 Permanent Redirect"}.get(mode, "200 OK")
        headers = f"X-Served-By: target\r\nLocation: {self.location}\r\nContent-Length: 2"
        writer.write(f"HTTP/1.1 {status}\r\n{headers}\r\n\r\nok".encode())
        await writer.drain()
        return "Connection: close" not in request


@pytest.fixture
def target() -> Iterator[Target]:
    """A server that answers well until told otherwise."""
    server = Target()
    yield server
    server.close()


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Return a function that returns when a condition holds, and fails after a time limit."""

    def wait(condition: Callable[[], bool], timeout_seconds: float = 60) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come to hold"
            time.sleep(0.005)

    return wait


@pytest.fixture
def locustfile() -> Path:
    """Return the project's load test."""
    return REPOSITORY / "loadtests" / "locustfile.py"
