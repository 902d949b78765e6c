"""Runs a service, from its start to its end by a signal.

One process, one event loop, one Uvicorn server for the service and, when faults are enabled, one for their switch.
SIGTERM and SIGINT end both: no new connections, requests under way are finished, then the exit code is 0.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

import uvicorn
import uvloop
from starlette.types import ASGIApp

from .faults import FaultSwitch, make_admin_app
from .logs import configure_logs
from .settings import ServerSettings, SettingsError

__all__ = ["ServiceSettings", "run_service"]


class ServiceSettings(Protocol):
    """The settings of a service: whatever else they hold, `server` among them."""

    @property
    def server(self) -> ServerSettings:
        """Return how the service listens and ends."""
        ...


SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


class _Server(uvicorn.Server):
    """A Uvicorn server that leaves signals to `_serve`, since two of them share the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run_service(
    name: str,
    read_settings: Callable[[Mapping[str, str]], SettingsT],
    make_app: Callable[[SettingsT, FaultSwitch], ASGIApp],
) -> None:
    """Serve what ``make_app`` returns until a signal comes; exit code 2 when the environment cannot be used.

    ``read_settings`` gets the environment and may raise `SettingsError`; ``name`` tells whose message that is.
    """
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(2)
    configure_logs(settings.server.pod_name, settings.server.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, make_app))


async def _serve(settings: SettingsT, make_app: Callable[[SettingsT, FaultSwitch], ASGIApp]) -> None:
    switch = FaultSwitch()
    own = settings.server
    servers = [_server(make_app(settings, switch), own.port, own)]
    if own.faults_enabled:
        servers.append(_server(make_admin_app(switch), own.admin_port, own))

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    async with asyncio.TaskGroup() as group:
        for server in servers:
            group.create_task(server.serve(), name=f"server on port {server.config.port}")


def _server(app: ASGIApp, port: int, settings: ServerSettings) -> _Server:
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
