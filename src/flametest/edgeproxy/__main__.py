"""Runs the proxy: ``python -m edgeproxy``, told by the environment.

ROUTES         where to listen, and where what comes there goes, such as ``10080=10.96.0.7:80/http``; several with
               commas. After the slash: tcp, http, or pass, to which nothing is done
HOST           the address to listen on
ADMIN_PORT     the port of the switch
DRAIN_SECONDS  how long connections may take after SIGTERM

One process, one event loop. SIGTERM and SIGINT end it: no new connections, those that are open may end, exit code 0.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from .admin import Admin
from .generator import Generator
from .passing import HEAD_BYTES_MAX, Route
from .routes import Routes
from .switch import Switch

__all__ = ["Settings", "SettingsError", "main"]

DRAIN_SECONDS_MAX = 600.0
PROTOCOLS = ("tcp", "http", "pass")


class SettingsError(ValueError):
    """A variable of the environment cannot be used; the message names it, what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says."""

    routes: tuple[Route, ...]
    host: str = "0.0.0.0"  # noqa: S104  # a pod is reached by its own address, unknown beforehand
    admin_port: int = 9090
    drain_seconds: float = 1.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Return the settings that ``environment`` describes; what it leaves out keeps its default.

        Raises:
            SettingsError: ROUTES is missing, or a value is not of its kind or out of its range.
        """
        return cls(
            routes=tuple(_route(text) for text in environment.get("ROUTES", "").split(",")),
            host=environment.get("HOST", "0.0.0.0"),  # noqa: S104
            admin_port=_port("ADMIN_PORT", environment.get("ADMIN_PORT", "9090")),
            drain_seconds=_seconds("DRAIN_SECONDS", environment.get("DRAIN_SECONDS", "1")),
        )


def _route(text: str) -> Route:
    place, _, protocol = text.strip().partition("/")
    port, equals, upstream = place.partition("=")
    host, colon, upstream_port = upstream.rpartition(":")
    if not (equals and colon and host and protocol in PROTOCOLS):
        raise SettingsError(f"ROUTES: expected a route such as 10080=10.96.0.7:80/http, found {text!r}; correct it")
    return Route(_port("ROUTES", port), host, _port("ROUTES", upstream_port), protocol)


def _port(name: str, raw: str) -> int:
    if not (raw.isascii() and raw.isdigit() and 1 <= int(raw) <= 65535):
        raise SettingsError(f"{name}: expected a port from 1 to 65535, found {raw!r}; correct it")
    return int(raw)


def _seconds(name: str, raw: str) -> float:
    try:
        value = float(raw)
    except ValueError:
        value = -1.0
    if not 0 < value <= DRAIN_SECONDS_MAX:
        raise SettingsError(f"{name}: expected seconds up to {DRAIN_SECONDS_MAX:g}, found {raw!r}; correct or unset it")
    return value


async def _serve(settings: Settings) -> None:
    switch, stop = Switch(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    routes = Routes(switch, settings.host, settings.routes)
    generators = [Generator(protocol) for protocol in ("tcp", "http")]
    for generator in generators:
        switch.generator_ports[generator.protocol] = await generator.listen()
    await routes.listen()
    admin = await asyncio.start_server(
        Admin(switch, routes).handle, settings.host, settings.admin_port, limit=HEAD_BYTES_MAX
    )
    following = asyncio.create_task(routes.follow(), name="listening")
    await stop.wait()
    following.cancel()
    routes.shut()
    await routes.drain(settings.drain_seconds)
    admin.close()
    for generator in generators:
        generator.close()


def main() -> None:
    """Serve until a signal comes; exit code 2 when the environment cannot be used."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"fault proxy: {error}", file=sys.stderr)
        sys.exit(2)
    asyncio.run(_serve(settings))


if __name__ == "__main__":
    main()
