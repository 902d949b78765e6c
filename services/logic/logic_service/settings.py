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

    An order asks the cache, then the database, then the cache: the three limits together stay within the 0.8 s that
    the frontend waits for one answer.

    Attributes:
        server: how the service listens, ends and logs.
        redis_url: where events and orders are cached (REDIS_URL).
        cache_timeout_seconds: time limit of one use of Redis (CACHE_TIMEOUT_SECONDS).
        database_timeout_seconds: time limit of one use of PostgreSQL (DATABASE_TIMEOUT_SECONDS).
    """

    server: ServerSettings
    redis_url: str = "redis://redis:6379/0"
    cache_timeout_seconds: float = 0.1
    database_timeout_seconds: float = 0.55

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Return the settings that ``environment`` describes; what it leaves out keeps its default.

        Raises:
            SettingsError: a value is not of its kind or out of its range.
        """
        return cls(
            server=ServerSettings.from_environment(environment),
            redis_url=environment.get("REDIS_URL", cls.redis_url),
            cache_timeout_seconds=read_number(
                environment, "CACHE_TIMEOUT_SECONDS", cls.cache_timeout_seconds, 0.01, 60
            ),
            database_timeout_seconds=read_number(
                environment, "DATABASE_TIMEOUT_SECONDS", cls.database_timeout_seconds, 0.01, 60
            ),
        )
