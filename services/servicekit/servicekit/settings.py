"""What every service reads from its environment, once, when the process starts, and how it reads the rest.

A service has a frozen dataclass of its own, with a `ServerSettings` as ``server`` and its further settings beside it.
Names such as REDIS_PORT are avoided: Kubernetes sets those of itself for a Service called ``redis``.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ServerSettings", "SettingsError", "read_number"]


class SettingsError(ValueError):
    """A variable of the environment cannot be used; the message names it, what was expected and what was found."""


@dataclass(frozen=True)
class ServerSettings:
    """How a service listens, ends, logs, and whether it can be told to fail.

    Attributes:
        pod_name: what X-Served-By says (POD_NAME); the hostname by default, which in a pod is the pod's name.
        host: address to listen on (HOST).
        port: port of the service (PORT).
        admin_port: port of the fault switch (ADMIN_PORT); nothing listens there unless faults are enabled.
        faults_enabled: whether the fault switch exists at all (FAULTS_ENABLED).
        drain_seconds: how long requests under way may take after SIGTERM (DRAIN_SECONDS).
        log_level: a level of the standard logging module (LOG_LEVEL).
    """

    pod_name: str
    host: str = "0.0.0.0"  # noqa: S104  # a pod is reached by its own address, unknown beforehand
    port: int = 8080
    admin_port: int = 9090
    faults_enabled: bool = False
    drain_seconds: int = 10
    log_level: str = "INFO"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "ServerSettings":
        """Return the settings that ``environment`` describes; what it leaves out keeps its default.

        Raises:
            SettingsError: a value is not of its kind or out of its range.
        """
        return cls(
            pod_name=environment.get("POD_NAME") or socket.gethostname(),
            host=environment.get("HOST", cls.host),
            port=int(read_number(environment, "PORT", cls.port, 1, 65535)),
            admin_port=int(read_number(environment, "ADMIN_PORT", cls.admin_port, 1, 65535)),
            faults_enabled=_switch(environment, "FAULTS_ENABLED"),
            drain_seconds=int(read_number(environment, "DRAIN_SECONDS", cls.drain_seconds, 1, 600)),
            log_level=_level(environment),
        )


def read_number(environment: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    """Return the number that the variable ``name`` holds, or ``default`` where it is not set.

    Raises:
        SettingsError: it is no number, or not from ``low`` to ``high``.
    """
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
