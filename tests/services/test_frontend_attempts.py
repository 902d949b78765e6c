"""Attempts at the logic service: what is counted is what was sent, so that the retry budget holds for all of it."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from frontend_service.logic_client import LogicAwayError, LogicClient

ATTEMPTS_MAX = 4


class Breaking:
    """A server that reads each request and closes its connection without an answer."""

    def __init__(self) -> None:
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests += bool(head)
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_broken_connection_is_one_attempt_and_every_request_sent_is_counted(method: str) -> None:
    breaking, registry = Breaking(), CollectorRegistry()
    server = await asyncio.start_server(breaking.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = LogicClient(f"http://127.0.0.1:{port}", 1.0, 5.0, registry)
    asked = client.get("/events") if method == "get" else client.post("/orders", b"{}", "key")
    with pytest.raises(LogicAwayError):
        await asked
    await client.close()
    server.close()
    await server.wait_closed()
    assert breaking.requests == ATTEMPTS_MAX
    assert registry.get_sample_value("logic_attempts_total", {"outcome": "broken"}) == ATTEMPTS_MAX
    assert registry.get_sample_value("logic_retries_total") == ATTEMPTS_MAX - 1
