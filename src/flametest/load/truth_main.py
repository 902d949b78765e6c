"""The ground-truth server's process: ``python -m flametest.load.truth_main``, told by lines on its standard input.

1. in: the plan, JSON; out: the ports, JSON, once it listens on all of them
2. in: the monotonic moment in nanoseconds from which the windows count
3. in: ``end``; out: what was made, JSON: for each track [kind, start_ns, end_ns]

A request is judged at the moment at which the server has read it, so a window's edges are exact whatever else the
machine does. Refusals are made by closing the port: their edges are stamped when that was done. It ends with its
input, so it cannot outlive who started it. Standard library only.
"""

import asyncio
import contextlib
import gc
import json
import os
import random
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from flametest.load.truth import OutageKind

__all__ = ["main"]

_BACKLOG = 256
_BROWN_OUT_SHARE = 0.3
_REQUEST_BYTES_MAX = 65_536
_GOOD = b"HTTP/1.1 200 OK\r\nX-Served-By: truth\r\nContent-Length: 2\r\n\r\nok"
_BAD = b"HTTP/1.1 503 Service Unavailable\r\nX-Served-By: truth\r\nContent-Length: 2\r\n\r\nno"
# A late request is still the last of a brown-out when the next one is due within the interval and this share of it.
_LAST_MARGIN = 1.1


@dataclass(slots=True)
class _Window:
    """One window; ``start_ns`` and ``end_ns`` become absolute when the server is told where they count from."""

    kind: OutageKind
    start_ns: int
    end_ns: int
    begun: bool = False


@dataclass(slots=True)
class _Track:
    """A port with its windows."""

    windows: list[_Window]
    chance: random.Random
    interval_ns: int
    made: list[tuple[str, int, int]] = field(default_factory=list)
    open: set[asyncio.Transport] = field(default_factory=set)
    server: asyncio.Server | None = None
    port: int = 0

    async def listen(self, listener: socket.socket) -> None:
        """Accept connections on a bound socket."""
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: _Connection(self), sock=listener, backlog=_BACKLOG)

    def refuse(self) -> socket.socket:
        """Stop listening; return a socket that holds the port without listening, so that nobody else takes it."""
        self.end()
        return _bound(self.port)

    def end(self) -> None:
        """Accept no more connections, and break those that are there.

        What is accepted while the event loop is being closed would be a task that nobody cancels.
        """
        if self.server is not None:
            self.server.close()
        for transport in tuple(self.open):
            transport.abort()

    def answer(self, request: bytes) -> bytes | None:
        """Return the answer to a request that was read now; None for one that is never answered."""
        now_ns = time.monotonic_ns()
        window = next((one for one in self.windows if one.start_ns <= now_ns < one.end_ns), None)
        if window is None or window.kind is OutageKind.REFUSED:
            return _GOOD
        if window.kind is OutageKind.HANGING:
            return None
        if window.kind is OutageKind.STATUS_503:
            return _BAD
        return _BAD if self._fails(window, now_ns, b"Connection: close" in request) else _GOOD

    def _fails(self, window: _Window, now_ns: int, is_fresh: bool) -> bool:
        """Draw whether a request of a brown-out fails.

        The first and the last one over a fresh connection do for certain, so that its edges are a matter of
        measurement and not of chance.
        """
        chosen = self.chance.random() < _BROWN_OUT_SHARE
        if not is_fresh:
            return chosen
        is_first, window.begun = not window.begun, True
        return is_first or chosen or now_ns + _LAST_MARGIN * self.interval_ns >= window.end_ns


class _Connection(asyncio.Protocol):
    """One connection; requests follow one another without a body."""

    def __init__(self, track: _Track) -> None:
        self._track = track
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._track.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._track.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        request, end, self._received = self._received.partition(b"\r\n\r\n")
        if not end:
            self._received = request
            if len(request) > _REQUEST_BYTES_MAX:
                self._transport.abort()
            return
        answer = self._track.answer(request)
        if answer is not None:
            self._transport.write(answer)


def main() -> int:
    """Serve until told to end; return the exit code."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    gc.collect()
    gc.freeze()
    return asyncio.run(_serve())


async def _serve() -> int:
    lines = await _lines()
    planned = await lines.readline()
    if not planned:  # whoever started it has gone
        return 0
    plan = json.loads(planned)
    tracks = [_track(windows, plan, number) for number, windows in enumerate(plan["tracks"])]
    try:
        return await _serve_tracks(tracks, lines)
    finally:
        for track in tracks:
            track.end()


async def _serve_tracks(tracks: list[_Track], lines: asyncio.StreamReader) -> int:
    for track in tracks:
        listener = _bound(0)
        track.port = listener.getsockname()[1]
        await track.listen(listener)
    _say([track.port for track in tracks])
    begin = await lines.readline()
    if not begin:
        return 0
    refusing = [
        asyncio.create_task(_refuse_in_turn(track), name=f"refusals of port {track.port}")
        for track in tracks
        if _count_from(track, int(begin))
    ]
    ending = await lines.readline()
    end_ns = time.monotonic_ns()
    for task in refusing:
        task.cancel()
    await asyncio.gather(*refusing, return_exceptions=True)
    if ending:
        _say([_made(track, end_ns) for track in tracks])
    return 0


def _count_from(track: _Track, zero_ns: int) -> bool:
    """Make the windows of a track absolute; return whether it refuses in one of them."""
    for window in track.windows:
        window.start_ns += zero_ns
        window.end_ns += zero_ns
    return any(window.kind is OutageKind.REFUSED for window in track.windows)


async def _refuse_in_turn(track: _Track) -> None:
    for window in [one for one in track.windows if one.kind is OutageKind.REFUSED]:
        await _until(window.start_ns)
        before_ns = time.monotonic_ns()
        listener = track.refuse()
        start_ns = (before_ns + time.monotonic_ns()) // 2
        end_ns = window.end_ns
        try:
            await _until(window.end_ns)
            before_ns = time.monotonic_ns()
            await track.listen(listener)
            end_ns = before_ns
        except asyncio.CancelledError:
            listener.close()
            end_ns = time.monotonic_ns()
            raise
        finally:
            track.made.append((window.kind.value, start_ns, end_ns))


async def _until(moment_ns: int) -> None:
    await asyncio.sleep(max(0, moment_ns - time.monotonic_ns()) / 1e9)


def _made(track: _Track, now_ns: int) -> list[tuple[str, int, int]]:
    """Return what was made, earliest first; a window that was under way ends now."""
    judged = [
        (window.kind.value, window.start_ns, min(window.end_ns, now_ns))
        for window in track.windows
        if window.kind is not OutageKind.REFUSED and window.start_ns < now_ns
    ]
    return sorted(judged + track.made, key=lambda one: one[1])


def _track(windows: list[dict[str, Any]], plan: dict[str, Any], number: int) -> _Track:
    return _Track(
        windows=[
            _Window(
                OutageKind(one["kind"]),
                round(one["start_seconds"] * 1e9),
                round((one["start_seconds"] + one["seconds"]) * 1e9),
            )
            for one in windows
        ],
        chance=random.Random(f"{plan['seed']} {number}"),  # noqa: S311 (chance that can be repeated)
        interval_ns=round(plan["interval_seconds"] * 1e9),
    )


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.setblocking(False)
    return listener


async def _lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _say(what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    sys.exit(main())
