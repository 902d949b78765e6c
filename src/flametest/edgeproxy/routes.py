"""The ports at which the proxy stands in for a Service, and the connections that came to them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from .exchange import HttpConnection
from .passing import HEAD_BYTES_MAX, Connection, Route, TcpConnection, ended
from .switch import Switch, is_sounding

__all__ = ["Routes"]

CONNECTIONS_WAITING_MAX = 1024
ADDRESSES_MAX = 1000  # that are counted one by one
CLOSING_SECONDS = 0.1

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Routes:
    """Listens while connections are not refused; `close` ends everything."""

    def __init__(self, switch: Switch, host: str, routes: tuple[Route, ...]) -> None:
        self.routes = routes
        self._switch = switch
        self._host = host
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._turning = asyncio.Event()
        switch.on_change(self._turned)

    @property
    def disturbed(self) -> Route:
        """Return the first route to which something may be done."""
        return next((route for route in self.routes if route.protocol != "pass"), self.routes[0])

    async def listen(self) -> None:
        """Open the ports.

        Raises:
            OSError: one is taken.
        """
        for route in self.routes:
            self._servers.append(
                await asyncio.start_server(
                    self._handler(route),
                    self._host,
                    route.port,
                    limit=HEAD_BYTES_MAX,
                    backlog=CONNECTIONS_WAITING_MAX,
                )
            )

    async def follow(self) -> None:
        """Close the ports while connections are refused, and open them again; runs until it is cancelled."""
        while True:
            # Rules end by themselves, too.
            left = self._switch.seconds_left
            with suppress(TimeoutError):
                await asyncio.wait_for(self._turning.wait(), left + 0.01 if left else None)
            self._turning.clear()
            if self._switch.refuses and self._servers:
                self.shut()
                self.end()
            elif not self._switch.refuses and not self._servers:
                await self.listen()

    def shut(self) -> None:
        """Close the ports; connections that are open stay so."""
        while self._servers:
            self._servers.pop().close()

    def end(self) -> None:
        """Reset every connection."""
        for connection in list(self._connections):
            connection.abort()

    async def drain(self, seconds_max: float) -> None:
        """Wait until no connection is left, and close those in order that are after ``seconds_max``."""
        end = asyncio.get_running_loop().time() + seconds_max
        while self._connections and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.02)
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(CLOSING_SECONDS)

    def _turned(self) -> None:
        self._turning.set()
        for connection in list(self._connections):
            connection.rejudge()

    def _handler(self, route: Route) -> Handler:
        kind = HttpConnection if route.protocol == "http" else TcpConnection

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
        if not is_sounding(address) and (address in counted or len(counted) < ADDRESSES_MAX):
            counted[address] += 1
