"""The counter of hits, kept in Redis. INCR is atomic, so that counts have no gaps whichever pod asks."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from servicekit.dependencies import Dependency

__all__ = ["Hits"]

_CONNECTIONS_MAX = 8


class Hits:
    """The counter. Connects when first used, and again after Redis was away; closed with the application."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self.dependency = Dependency("redis", timeout_seconds, failures=(RedisError, OSError))
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS_MAX,
            timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            # An INCR whose answer was lost may have counted: trying again by itself would count one hit twice.
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._redis = Redis.from_pool(pool)

    async def count(self) -> int:
        """Count one hit and return the new count.

        Raises:
            DependencyError: Redis did not answer.
        """
        return int(await self.dependency.call(self._increment()))

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    async def _increment(self) -> int:
        return int(await self._redis.incr("flametest:hits"))
