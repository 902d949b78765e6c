"""Runs the proxy: ``python -m fault_proxy``.

One process, one event loop, one server for each route and one for the switch. SIGTERM and SIGINT end it: no new
connections, requests under way are finished, then the exit code is 0.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import uvloop
from aiohttp import web

from .admin import make_admin_app
from .faults import FaultSwitch
from .proxy import Proxy
from .settings import Route, Settings, SettingsError

__all__ = ["main"]

_CONNECTIONS_WAITING_MAX = 1024


async def _serve(settings: Settings) -> None:
    switch = FaultSwitch()
    proxy = Proxy(switch)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(proxy.close)
        for route in settings.routes:
            # Bodies go through as they are, and a client that goes away takes its request with it.
            server = web.Server(_handler(proxy, route), auto_decompress=False, handler_cancellation=True)
            runner = web.ServerRunner(server, shutdown_timeout=settings.drain_seconds)
            await _listen(stack, runner, settings.host, route.port)
        admin = web.AppRunner(make_admin_app(switch), access_log=None, shutdown_timeout=settings.drain_seconds)
        await _listen(stack, admin, settings.host, settings.admin_port)
        await stop.wait()


def _handler(proxy: Proxy, route: Route) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await proxy.serve(request, route)

    return handle


async def _listen(stack: AsyncExitStack, runner: web.BaseRunner, host: str, port: int) -> None:
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, host, port, backlog=_CONNECTIONS_WAITING_MAX).start()


def main() -> None:
    """Serve until a signal comes; exit code 2 when the environment cannot be used."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"fault proxy: {error}", file=sys.stderr)
        sys.exit(2)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


if __name__ == "__main__":
    main()
