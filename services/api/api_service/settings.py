"""What the service reads from its environment, once, when the process starts.

PostgreSQL is described by libpq's own variables (PGHOST, PGUSER, PGPASSWORD, PGDATABASE ...), which psycopg reads
itself, so that a password may hold any character and never stands in a URL.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from servicekit.settings import ServerSettings, read_number

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """The service's settings.

    Attributes:
        server: how the service listens, ends and logs.
        redis_url: where hits are counted (REDIS_URL).
        dependency_timeout_seconds: time limit of one use of Redis or PostgreSQL (DEPENDENCY_TIMEOUT_SECONDS). Under
            one second, so that clients with that limit still see the friendly answer.
    """

    server: ServerSettings
    redis_url: str = "redis://redis:6379/0"
    dependency_timeout_seconds: float = 0.8

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Return the settings that ``environment`` describes; what it leaves out keeps its default.

        Raises:
            SettingsError: a value is not of its kind or out of its range.
        """
        return cls(
            server=ServerSettings.from_environment(environment),
            redis_url=environment.get("REDIS_URL", cls.redis_url),
            dependency_timeout_seconds=read_number(
                environment, "DEPENDENCY_TIMEOUT_SECONDS", cls.dependency_timeout_seconds, 0.01, 60
            ),
        )
