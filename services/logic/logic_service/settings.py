"""What the service reads from its environment, once, when the process starts.

PostgreSQL is described by libpq's own variables (PGHOST, PGUSER, PGPASSWORD, PGDATABASE ...), which psycopg reads
itself, so that a password may hold any character and never stands in a URL. Names such as REDIS_PORT are avoided:
Kubernetes sets those of itself for a Service called ``redis``.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Settings", "SettingsError"]


class SettingsError(ValueError):
    """A variable of the environment cannot be used; the message names it, what was expected and what was found."""


@dataclass(frozen=True)
class Settings:
    """The service's settings.

    An order asks the cache, then the database, then the cache: the three limits together stay within the 0.8 s that
    the frontend waits for one answer.

    Attributes:
        pod_name: what X-Served-By says (POD_NAME); the hostname by default, which in a pod is the pod's name.
        host: address to listen on (HOST).
        port: port of the service (PORT).
        admin_port: port of the fault switch (ADMIN_PORT); nothing listens there unless faults are enabled.
        faults_enabled: whether the fault switch exists at all (FAULTS_ENABLED).
        redis_url: where events and orders are cached (REDIS_URL).
        cache_timeout_seconds: time limit of one use of Redis (CACHE_TIMEOUT_SECONDS).
        database_timeout_seconds: time limit of one use of PostgreSQL (DATABASE_TIMEOUT_SECONDS).
        drain_seconds: how long requests under way may take after SIGTERM (DRAIN_SECONDS).
        log_level: a level of the standard logging module (LOG_LEVEL).
    """

    pod_name: str
    host: str = "0.0.0.0"  # noqa: S104  # a pod is reached by its own address, unknown beforehand
    port: int = 8080
    admin_port: int = 9090
    faults_enabled: bool = False
    redis_url: str = "redis://redis:6379/0"
    cache_timeout_seconds: float = 0.1
    database_timeout_seconds: float = 0.55
    drain_seconds: int = 10
    log_level: str = "INFO"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Return the settings that ``environment`` describes; what it leaves out keeps its default.

        Raises:
            SettingsError: a value is not of its kind or out of its range.
        """
        return cls(
            pod_name=environment.get("POD_NAME") or socket.gethostname(),
            host=environment.get("HOST", cls.host),
            port=int(_number(environment, "PORT", cls.port, 1, 65535)),
            admin_port=int(_number(environment, "ADMIN_PORT", cls.admin_port, 1, 65535)),
            faults_enabled=_switch(environment, "FAULTS_ENABLED"),
            redis_url=environment.get("REDIS_URL", cls.redis_url),
            cache_timeout_seconds=_number(environment, "CACHE_TIMEOUT_SECONDS", cls.cache_timeout_seconds, 0.01, 60),
            database_timeout_seconds=_number(
                environment, "DATABASE_TIMEOUT_SECONDS", cls.database_timeout_seconds, 0.01, 60
            ),
            drain_seconds=int(_number(environment, "DRAIN_SECONDS", cls.drain_seconds, 1, 600)),
            log_level=_level(environment),
        )


def _number(environment: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    raw = environment.get(name)
    if raw is None:
        return default
    try:
        value = float(raw)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise SettingsError(f"{name}: expected a number from {low} to {high}, found {raw!r}; correct or unset it")
    return value


def _switch(environment: Mapping[str, str], name: str) -> bool:
    raw = environment.get(name, "false").lower()
    if raw not in {"true", "false"}:
        raise SettingsError(f"{name}: expected true or false, found {raw!r}; correct or unset it")
    return raw == "true"


def _level(environment: Mapping[str, str]) -> str:
    raw = environment.get("LOG_LEVEL", "INFO").upper()
    if raw not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise SettingsError(f"LOG_LEVEL: expected DEBUG, INFO, WARNING or ERROR, found {raw!r}; correct or unset it")
    return raw
