"""How the ground-truth server ends."""

import asyncio
import json
import time
from typing import Any

import pytest

from flametest.load import truth_main


async def test_it_accepts_nobody_any_more_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, told, tracks = asyncio.StreamReader(), asyncio.Queue[Any](), []

    async def fed() -> asyncio.StreamReader:
        return lines

    def kept(*arguments: Any) -> Any:
        tracks.append(track(*arguments))
        return tracks[-1]

    track = truth_main._track
    monkeypatch.setattr(truth_main, "_lines", fed)
    monkeypatch.setattr(truth_main, "_track", kept)
    monkeypatch.setattr(truth_main, "_say", told.put_nowait)
    window = {"kind": "refused", "start_seconds": 60, "seconds": 5}
    lines.feed_data(json.dumps({"tracks": [[], [window]], "seed": 1, "interval_seconds": 0.05}).encode() + b"\n")
    serving = asyncio.create_task(truth_main._serve())
    ports = await told.get()
    reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    lines.feed_data(f"{time.monotonic_ns()}\nend\n".encode())
    assert await serving == 0
    assert await told.get() == [[], []]
    assert not any(one.server and one.server.is_serving() for one in tracks)
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read() == b"ok"
    writer.close()
    await writer.wait_closed()
    assert asyncio.all_tasks() == {asyncio.current_task()}
