"""The ports at which the proxy stands in for a Service, and the connections that came to them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from .edge import Edge, sounding_of
from .exchange import HttpConnection
from .passing import HEAD_BYTES_MAX, Connection, Route, TcpConnection, ended
from .piping import PipedEnd
from .switch import Switch

__all__ = ["Routes"]

CONNECTIONS_WAITING_MAX = 1024
ADDRESSES_MAX = 1000  # that are counted one by one
CLOSING_SECONDS = 0.1

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Routes:
    """Listens while connections are not refused; `close` ends everything."""

    def __init__(self, switch: Switch, host: str, routes: tuple[Route, ...]) -> None:
        self._routes = {route.port: route for route in routes}
        self._switch = switch
        self._host = host
        self._servers: dict[int, asyncio.Server] = {}
        self._connections: set[Connection] = set()
        self._turning = asyncio.Event()
        switch.on_change(self._turned)

    def disturbed(self, port: int = 0) -> Route:
        """Return the route at a port; without one, the first to which something may be done.

        Raises:
            ValueError: there is none at that port.
        """
        if port in self._routes:
            return self._routes[port]
        if port:
            raise ValueError(f"port {port} is not listened at")
        routes = list(self._routes.values())
        return next((route for route in routes if route.protocol != "pass"), routes[0])

    @property
    def disturbed_ports(self) -> list[int]:
        """Return the ports of all routes that are of the same protocol as the first to which something may be done."""
        protocol = self.disturbed().protocol
        return [port for port, route in self._routes.items() if route.protocol == protocol]

    def speak(self, port: int, protocol: str) -> None:
        """Take what comes to a port from now on for a protocol, ``tcp`` or ``http``.

        Raises:
            ValueError: it is taken for another one already.
        """
        route = self.disturbed(port)
        if route.protocol not in ("pass", protocol):
            raise ValueError(f"port {port} is taken for {route.protocol} already: expected no rules of {protocol}")
        self._routes[port] = replace(route, protocol=protocol)

    async def listen(self) -> None:
        """Open the ports that are not open, but for those at which connections are refused.

        Raises:
            OSError: one is taken.
        """
        for port in self._routes:
            if port in self._servers or self._switch.refuses(port):
                continue
            self._servers[port] = await asyncio.get_running_loop().create_server(
                self._ends(port), self._host, port, backlog=CONNECTIONS_WAITING_MAX
            )

    async def follow(self) -> None:
        """Close the ports while connections are refused, and open them again; runs until it is cancelled."""
        while True:
            # Rules end by themselves, too.
            left = self._switch.seconds_left
            with suppress(TimeoutError):
                await asyncio.wait_for(self._turning.wait(), left + 0.01 if left else None)
            self._turning.clear()
            for port in [port for port in self._servers if self._switch.refuses(port)]:
                self._servers.pop(port).close()
                for connection in [one for one in self._connections if one.route.port == port]:
                    connection.abort()
            await self.listen()

    def shut(self) -> None:
        """Close the ports; connections that are open stay so."""
        while self._servers:
            self._servers.popitem()[1].close()

    async def drain(self, seconds_max: float) -> None:
        """Wait until no connection is left, and close those in order that are after ``seconds_max``."""
        end = asyncio.get_running_loop().time() + seconds_max
        while self._connections and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.02)
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(CLOSING_SECONDS)

    def _turned(self, edge: Edge) -> None:
        self._turning.set()
        for connection in list(self._connections):
            connection.rejudge(edge)

    def _ends(self, port: int) -> Callable[[], asyncio.StreamReaderProtocol]:
        """Return what makes the ends of connections that come to a port."""
        handle = self._handler(port)

        def end() -> asyncio.StreamReaderProtocol:
            if self._routes[port].protocol == "http":
                return asyncio.StreamReaderProtocol(asyncio.StreamReader(HEAD_BYTES_MAX), handle)
            return PipedEnd(HEAD_BYTES_MAX, handle)

        return end

    def _handler(self, port: int) -> Handler:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            route = self._routes[port]
            kind = TcpConnection if isinstance(writer.transport.get_protocol(), PipedEnd) else HttpConnection
            connection = kind(self._switch, route, (reader, writer))
            self._count(connection.address)
            self._connections.add(connection)
            try:
                await connection.run()
            except (ExceptionGroup, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                ended(error, connection)
            except BaseException:
                connection.abort()
                raise
            finally:
                self._connections.discard(connection)

        return handle

    def _count(self, address: str) -> None:
        counted = self._switch.connections
        if sounding_of(address) is None and (address in counted or len(counted) < ADDRESSES_MAX):
            counted[address] += 1
