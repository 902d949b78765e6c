"""Redis as a cache, and nothing but: whatever happens to it, callers get an answer or none, never an error.

What is kept here can be made again from PostgreSQL. While Redis is away nobody waits for it: after a failure it is
left alone for a moment, so that a Redis that hangs costs one request its time limit and not every one.
"""

import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from servicekit.dependencies import Dependency, DependencyError

__all__ = ["Cache"]

AnswerT = TypeVar("AnswerT")

_log = logging.getLogger(__name__)

_CONNECTIONS_MAX = 8
_LEFT_ALONE_SECONDS = 1.0
# The figure changes with the shape of what is kept, so that pods of two versions do not read each other's.
_PREFIX = "flametest:shop:1:"


class Cache:
    """Values by name, each for a limited time. Connects when first used; closed with the application."""

    def __init__(self, url: str, timeout_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.dependency = Dependency("redis", timeout_seconds, failures=(RedisError, OSError))
        self._clock = clock
        self._left_alone_until = 0.0
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS_MAX,
            timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._redis = Redis.from_pool(pool)

    async def get(self, name: str) -> bytes | None:
        """Return what was put under ``name``, or None: nothing there, its time over, or Redis away."""
        return await self._attempt(lambda: self._get(name))

    async def put(self, name: str, value: bytes, ttl_seconds: float, *, outdated: str | None = None) -> None:
        """Keep ``value`` for ``ttl_seconds`` and, in the same exchange, forget what is under ``outdated``."""
        await self._attempt(lambda: self._put(name, value, round(ttl_seconds * 1000), outdated))

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    async def _get(self, name: str) -> bytes | None:
        value = await self._redis.get(_PREFIX + name)
        return value.encode() if isinstance(value, str) else value

    async def _put(self, name: str, value: bytes, ttl_ms: int, outdated: str | None) -> None:
        async with self._redis.pipeline(transaction=False) as exchange:
            exchange.set(_PREFIX + name, value, px=ttl_ms)
            if outdated is not None:
                exchange.delete(_PREFIX + outdated)
            await exchange.execute()

    async def _attempt(self, operation: Callable[[], Coroutine[Any, Any, AnswerT]]) -> AnswerT | None:
        if self._clock() < self._left_alone_until:
            return None
        try:
            return await self.dependency.call(operation())
        except DependencyError as error:
            self._left_alone_until = self._clock() + _LEFT_ALONE_SECONDS
            _log.warning("serving without the cache: %s", error)
            return None
