"""How the logic service is asked: within a time limit, tried again where that is safe, not at all while it is gone.

An attempt fails when there is no answer (refused, broken off, too late, no such name) or when its status is 5xx. All
that can be asked here may be asked twice: reads, and orders with their Idempotency-Key. So it is made again if the
retry budget and the time left allow it, and if the failure may be that of one pod: a 503 is logic's considered answer
that a database is away which all its pods share, and is passed on at once.

Each attempt has a connection of its own, as nginx does it: a Service balances connections, so that a retry mostly
meets another pod, and no kept connection breaks when its pod leaves. An attempt is one request and no more: what the
metrics count is what was sent.
"""

import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry, Counter, Gauge

from servicekit.logs import request_id
from servicekit.tracing import trace

from .breaker import CircuitBreaker, CircuitState
from .retries import RetryBudget, pause_seconds

__all__ = ["LogicAnswer", "LogicAwayError", "LogicClient"]

_ATTEMPTS_MAX = 4
_PAUSE_FIRST_SECONDS = 0.025
_PAUSE_SECONDS_MAX = 0.2
# With less time left than this, another attempt could hardly be answered.
_ATTEMPT_SECONDS_MIN = 0.05
# Finagle's defaults: a service that fails altogether is asked a fifth more often, and ten times a second.
_RETRY_SHARE = 0.2
_RETRIES_PER_SECOND = 10.0
_RETRY_TOKENS_MAX = 20.0
_FAILURES_MAX = 10
_OPEN_SECONDS = 1.0
_CONNECTIONS_MAX = 200
_NAME_CACHED_SECONDS = 1
_UNAVAILABLE = 503


class LogicAwayError(Exception):
    """The logic service gave no answer that can be used; the message says why, for the log."""


@dataclass(frozen=True, slots=True)
class LogicAnswer:
    """An answer of the logic service with a status below 500."""

    status: int
    body: bytes
    served_by: str
    cache: str

    def json(self) -> Any:
        """Return the parsed body.

        Raises:
            LogicAwayError: it is not JSON.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise LogicAwayError(f"answered {self.status} with a body that is not JSON") from error


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, the same in every attempt."""

    method: str
    path: str
    query: Mapping[str, str] | None
    body: bytes | None = None
    idempotency_key: str | None = None


class LogicClient:
    """Asks the logic service. One per process; connects when first used, closed with the application."""

    def __init__(self, url: str, attempt_seconds: float, answer_seconds: float, registry: CollectorRegistry) -> None:
        self._url = url
        self._attempt_seconds = attempt_seconds
        self._answer_seconds = answer_seconds
        self._breaker = CircuitBreaker(_FAILURES_MAX, _OPEN_SECONDS, time.monotonic)
        self._budget = RetryBudget(_RETRY_SHARE, _RETRIES_PER_SECOND, _RETRY_TOKENS_MAX, time.monotonic)
        self._draw = random.Random()  # noqa: S311  # pauses, not secrets
        self._session: aiohttp.ClientSession | None = None
        self._attempts = Counter("logic_attempts", "Attempts at the logic service.", ("outcome",), registry=registry)
        self._retries = Counter("logic_retries", "Attempts that were retries.", registry=registry)
        state = Gauge("logic_circuit_open", "1 while logic is not asked, else 0.", registry=registry)
        state.set_function(lambda: float(self.circuit is CircuitState.OPEN))

    @property
    def circuit(self) -> CircuitState:
        """Return the state of the circuit breaker."""
        return self._breaker.state

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> LogicAnswer:
        """Return the answer to a read.

        Raises:
            LogicAwayError: there was none within the time limit, or only failures.
        """
        return await self._ask(_Question("GET", path, query))

    async def post(self, path: str, body: bytes, idempotency_key: str) -> LogicAnswer:
        """Return the answer to a write that may be sent more than once, since its key makes it happen once.

        Raises:
            LogicAwayError: as for `get`; whether the write was made is then unknown.
        """
        return await self._ask(_Question("POST", path, None, body, idempotency_key))

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, question: _Question) -> LogicAnswer:
        deadline = time.monotonic() + self._answer_seconds
        self._budget.count_request()
        for retry in range(1, _ATTEMPTS_MAX + 1):
            seconds = min(self._attempt_seconds, deadline - time.monotonic())
            answer, reason = await self._attempt(seconds, question)
            if answer is not None and answer.status < 500:
                return answer
            if answer is not None and answer.status == _UNAVAILABLE:
                break
            if not await self._pause(retry, deadline):
                break
        raise LogicAwayError(reason)

    async def _pause(self, retry: int, deadline: float) -> bool:
        """Wait before the retry of this number, and return whether it may be made."""
        seconds = pause_seconds(retry, _PAUSE_FIRST_SECONDS, _PAUSE_SECONDS_MAX, self._draw)
        in_time = time.monotonic() + seconds + _ATTEMPT_SECONDS_MIN < deadline
        if retry >= _ATTEMPTS_MAX or not in_time or self.circuit is CircuitState.OPEN or not self._budget.take():
            return False
        await asyncio.sleep(seconds)
        self._retries.inc()
        return True

    async def _attempt(self, seconds: float, question: _Question) -> tuple[LogicAnswer | None, str]:
        """Return the answer, if there was one, and what to say of it if it is a failure."""
        ticket = self._breaker.enter()
        if ticket is None:
            self._attempts.labels("not_made").inc()
            return None, "not asked, since it kept failing"
        answer: LogicAnswer | None = None
        succeeded: bool | None = None
        try:
            answer = await self._exchange(seconds, question)
            succeeded, outcome = answer.status < 500, f"{answer.status // 100}xx"
            reason = f"answered {answer.status}"
        except TimeoutError:
            succeeded, outcome, reason = False, "too_late", f"no answer within {seconds:.2f} s"
        except (aiohttp.ClientError, OSError) as error:
            succeeded, outcome, reason = False, "broken", str(error) or type(error).__name__
        finally:
            self._breaker.leave(ticket, succeeded)
        self._attempts.labels(outcome).inc()
        return answer, reason

    async def _exchange(self, seconds: float, question: _Question) -> LogicAnswer:
        current = trace.get()
        headers = {"X-Request-ID": request_id.get(), **(current.headers() if current is not None else {})}
        if question.body is not None:
            headers["Content-Type"] = "application/json"
        if question.idempotency_key is not None:
            headers["Idempotency-Key"] = question.idempotency_key
        request = self._connected().request(
            question.method,
            self._url + question.path,
            params=question.query,
            data=question.body,
            headers=headers,
            allow_redirects=False,
        )
        async with asyncio.timeout(seconds), request as response:
            content = await response.read()
            served_by = response.headers.get("X-Served-By", "")
            return LogicAnswer(response.status, content, served_by, response.headers.get("X-Cache", ""))

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_CONNECTIONS_MAX, force_close=True, ttl_dns_cache=_NAME_CACHED_SECONDS
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._answer_seconds),
                middlewares=(_only_once,),
            )
        return self._session


async def _only_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request and take a broken connection for a failed attempt.

    Left alone, aiohttp would ask once more by itself, which neither the retry budget nor the breaker would know of.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent, and aiohttp leaves it at that
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error) or type(error).__name__) from error
