"""What the proxy reads from its environment, once, when the process starts."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Route", "Settings", "SettingsError"]


class SettingsError(ValueError):
    """A variable of the environment cannot be used; the message names it, what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Route:
    """What comes in at ``port`` goes to ``host`` and ``upstream_port``."""

    port: int
    host: str
    upstream_port: int


@dataclass(frozen=True)
class Settings:
    """The proxy's settings.

    Attributes:
        routes: where to listen, and where what comes there goes (ROUTES, such as ``10080=10.96.0.7:80``; several with
            commas between them).
        host: address to listen on (HOST).
        admin_port: port of the switch (ADMIN_PORT).
        drain_seconds: how long requests under way may take after SIGTERM (DRAIN_SECONDS).
    """

    routes: tuple[Route, ...]
    host: str = "0.0.0.0"  # noqa: S104  # a pod is reached by its own address, unknown beforehand
    admin_port: int = 9090
    drain_seconds: float = 5.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Return the settings that ``environment`` describes; what it leaves out keeps its default.

        Raises:
            SettingsError: ROUTES is missing, or a value is not of its kind or out of its range.
        """
        return cls(
            routes=tuple(_route(text) for text in environment.get("ROUTES", "").split(",")),
            host=environment.get("HOST", cls.host),
            admin_port=_port("ADMIN_PORT", environment.get("ADMIN_PORT", str(cls.admin_port))),
            drain_seconds=_seconds("DRAIN_SECONDS", environment.get("DRAIN_SECONDS", str(cls.drain_seconds))),
        )


def _route(text: str) -> Route:
    port, equals, upstream = text.strip().partition("=")
    host, colon, upstream_port = upstream.rpartition(":")
    if not (equals and colon and host):
        raise SettingsError(f"ROUTES: expected a route such as 10080=10.96.0.7:80, found {text!r}; correct it")
    return Route(_port("ROUTES", port), host, _port("ROUTES", upstream_port))


def _port(name: str, raw: str) -> int:
    if not (raw.isascii() and raw.isdigit() and 1 <= int(raw) <= 65535):
        raise SettingsError(f"{name}: expected a port from 1 to 65535, found {raw!r}; correct it")
    return int(raw)


def _seconds(name: str, raw: str) -> float:
    try:
        value = float(raw)
    except ValueError:
        value = -1.0
    if not 0 < value <= 600:
        raise SettingsError(f"{name}: expected seconds up to 600, found {raw!r}; correct or unset it")
    return value
