"""Runs the service: ``python -m`` and the name of this package.

One process, one event loop, one Uvicorn server for the service and, when faults are enabled, one for their switch.
SIGTERM and SIGINT end both: no new connections, requests under way are finished, then the exit code is 0.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator

import uvicorn
import uvloop
from starlette.types import ASGIApp

from .app import make_app
from .faults import FaultSwitch, make_admin_app
from .logs import configure_logs
from .settings import Settings, SettingsError

__all__ = ["main"]


class _Server(uvicorn.Server):
    """A Uvicorn server that leaves signals to `_serve`, since two of them share the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: ASGIApp, port: int, settings: Settings) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            # Uvicorn's own header list reaches every answer, also those that no application made (a bad request).
            headers=[("X-Served-By", settings.pod_name)],
            timeout_graceful_shutdown=settings.drain_seconds,
            ws="none",
        )
    )


async def _serve(settings: Settings) -> None:
    switch = FaultSwitch()
    servers = [_server(make_app(settings, switch), settings.port, settings)]
    if settings.faults_enabled:
        servers.append(_server(make_admin_app(switch), settings.admin_port, settings))

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    async with asyncio.TaskGroup() as group:
        for server in servers:
            group.create_task(server.serve(), name=f"server on port {server.config.port}")


def main() -> None:
    """Serve until a signal comes; exit code 2 when the environment cannot be used."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        sys.exit(f"{__package__}: {error}")
    configure_logs(settings.pod_name, settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


if __name__ == "__main__":
    main()
