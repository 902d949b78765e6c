"""One client's connection, passed on as TCP; `exchange` does so request by request.

Each connection of a client is one connection to the Service's pods, opened when it is needed; what is passed on is not
changed. A Service that cannot be reached is a reset. Differences to no proxy at all: who reads addresses sees the
proxy's, and a connection that the service closes while it idles is opened again when the client uses it again.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from .edge import Applied, Edge, sounding_of
from .piping import PipedEnd, connect_piped, pipe
from .rules import Unit
from .shaping import PIECE_BYTES, CutError, Lane, reset
from .switch import Switch

__all__ = ["HEAD_BYTES_MAX", "Connection", "Route", "Streams", "TcpConnection", "ended"]

CONNECT_SECONDS_MAX = 5.0
HEAD_BYTES_MAX = 64 * 1024

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Route:
    """What comes in at ``port`` goes to ``host`` and ``upstream_port``.

    ``protocol`` is ``tcp`` or ``http``; ``pass`` is TCP to which nothing is done: another port of the Service.
    """

    port: int
    host: str
    upstream_port: int
    protocol: str = "tcp"


class Connection:
    """What both kinds have in common: two streams, effects, and an end."""

    protocol: ClassVar[str]

    def __init__(self, switch: Switch, route: Route, client: Streams) -> None:
        self.switch = switch
        self.route = route
        self.reader, self.writer = client
        peer = self.writer.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self.upstream: Streams | None = None
        self.over = False
        self._timer: asyncio.TimerHandle | None = None
        self._applied: tuple[Applied, ...] = ()

    def applied(self) -> Sequence[Applied]:
        """Return what is in force."""
        return [one for one in self._applied if one.edge.active] if self._applied else ()

    async def run(self) -> None:
        """Pass it on until its end.

        Raises:
            ExceptionGroup, OSError: it broke, or was cut; see `ended`.
        """
        raise NotImplementedError

    def rejudge(self, edge: Edge) -> None:
        """Take note that an edge was turned on or off."""

    def abort(self) -> None:
        """Reset it, towards both sides."""
        self.over = True
        self.stop_timer()
        reset(self.writer)
        if self.upstream is not None:
            reset(self.upstream[1])

    def close(self) -> None:
        """Close it in order, towards both sides."""
        self.over = True
        self.stop_timer()
        self.writer.close()
        if self.upstream is not None:
            self.upstream[1].close()

    def later(self, milliseconds: float, end: Callable[[], None]) -> None:
        """End it after a time, unless `stop_timer` comes first."""
        self.stop_timer()
        self._timer = asyncio.get_running_loop().call_later(milliseconds / 1000, end)

    def stop_timer(self) -> None:
        """Forget what was to come later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def open(self) -> Streams | None:
        """Return a new connection to the service, or None when there is none to be had."""
        place = self.route.host, self.route.upstream_port
        sounding = sounding_of(self.address)
        if sounding is not None and sounding.is_volume:
            place = "127.0.0.1", self.switch.generator_ports[self.protocol]
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                self.upstream = await self.connect(*place)
        except (OSError, TimeoutError):
            self.switch.count("unreachable", self.route.port)
            return None
        if self.over:
            reset(self.upstream[1])
            return None
        return self.upstream

    async def connect(self, host: str, port: int) -> Streams:
        """Return a new connection.

        Raises:
            OSError: it cannot be made.
        """
        return await asyncio.open_connection(host, port, limit=HEAD_BYTES_MAX)

    async def relay(self, upstream: Streams, first: bytes = b"") -> None:
        """Pass bytes both ways until both sides have ended; ``first`` was read already.

        Raises:
            ExceptionGroup: of `ConnectionError`, when it breaks or is cut.
        """
        async with asyncio.TaskGroup() as group:
            to_service = Lane(upstream[1], "request", self.applied, group)
            to_client = Lane(self.writer, "response", self.applied, group)
            group.create_task(self._pump(self.reader, to_service, first), name="request bytes")
            group.create_task(self._pump(upstream[0], to_client), name="response bytes")

    def drops(self) -> bool:
        """Return whether bytes go nowhere."""
        return False

    async def _pump(self, reader: asyncio.StreamReader, lane: Lane, first: bytes = b"") -> None:
        if first:
            await lane.send(first)
        while data := await reader.read(PIECE_BYTES):
            if not self.drops():
                await lane.send(data)
        if not self.drops():
            await lane.send(b"")


class TcpConnection(Connection):
    """Passed on as it is; an edge is asked when it is opened, and again when that edge is turned on or off."""

    protocol = "tcp"

    def __init__(self, switch: Switch, route: Route, client: Streams) -> None:
        super().__init__(switch, route, client)
        self._dropped = False
        end = self.writer.transport.get_protocol()
        assert isinstance(end, PipedEnd)
        self._ends = [end]
        self._piping: asyncio.Future[bool] | None = None

    async def run(self) -> None:
        """Pass it on until its end."""
        self._take(self.switch.decide(Unit(self.address), self.route.port, self.protocol))
        if self.over or (upstream := await self.open()) is None:
            self.abort()
            return
        if self._applied or not await self._piped():
            for end in self._ends:
                end.stream()
            await self.relay(upstream)
        self.close()

    async def connect(self, host: str, port: int) -> Streams:
        """Return a new connection, as an end to which bytes can be piped."""
        end, writer = await connect_piped(host, port, HEAD_BYTES_MAX)
        self._ends.append(end)
        return end.stream_reader, writer

    async def _piped(self) -> bool:
        """Pass bytes on while no effect is in force, and return whether that was until the end.

        Raises:
            OSError: it broke.
        """
        client, service = self._ends
        self._piping = piping = asyncio.get_running_loop().create_future()

        def told(error: BaseException | None) -> None:
            if piping.done():
                return
            if error is None:
                piping.set_result(True)
            else:
                piping.set_exception(error)

        pipe((client, service), told)
        return bool(await piping)

    def rejudge(self, edge: Edge) -> None:
        """Take what this edge does to it now, behind those that were there before."""
        before = tuple(one for one in self._applied if one.edge is not edge)
        # Its client waits for an answer to what was dropped, and would do so for ever.
        if self._dropped and not any(one.effect.silence for one in before):
            self.abort()
            return
        is_asked = edge in self.switch.about(self.route.port, self.protocol, self.address)
        is_reached = not any(one.effect.ends_at_once and one.edge.active for one in before)
        effect = edge.decide(Unit(self.address)) if is_asked and is_reached else None
        self._take(before if effect is None else (*before, Applied(edge, effect)))

    def drops(self) -> bool:
        """Return whether it is silent now."""
        silent = any(one.effect.silence for one in self.applied())
        self._dropped = self._dropped or silent
        return silent

    def _take(self, applied: tuple[Applied, ...]) -> None:
        self._applied = applied
        self.stop_timer()
        if applied and self._piping is not None and not self._piping.done():
            for end in self._ends:
                end.stream()
            self._piping.set_result(False)
        effects = [one.effect for one in applied if one.edge.active]
        resets = [one.reset_after_ms for one in effects if one.reset_after_ms]
        closes = [one.silence_ms for one in effects if one.silence_ms]
        if any(one.reset for one in effects):
            self.abort()
        elif resets:
            self.later(min(resets), self.abort)
        elif closes:
            self.later(min(closes), self.close)


def ended(error: BaseException, connection: Connection) -> None:
    """End a connection that broke, or was cut, towards the side that is left."""
    errors = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
    cuts = [one for one in errors if isinstance(one, CutError)]
    if cuts and not cuts[0].resets:
        connection.close()
    else:
        connection.abort()
