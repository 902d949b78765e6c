"""Quotes with votes: GET / gives one at random, POST /quotes/N/votes votes for it.

A vote goes to a queue in Redis, from which `tally` counts it. Every answer needs Redis: without it there is a 503.
Lives as long as its pod; Uvicorn ends it on SIGTERM when the requests that it has begun are answered.
"""

import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from redis.asyncio import Redis
from redis.exceptions import RedisError

__all__ = ["app"]

QUOTES = (
    "A plan that cannot be changed is a bad plan.",
    "He who wants a rose must respect the thorn.",
    "Slow is smooth, and smooth is quick.",
    "Trust is good, a test is better.",
)
REDIS_SECONDS_MAX = 1.0
VOTES, QUEUE = "votes", "queue"

# As https://redis.readthedocs.io tells, a client keeps a pool of connections and replaces those that broke.
redis = Redis.from_url(
    os.environ.get("REDIS_URL", "redis://redis:6379/0"),
    socket_timeout=REDIS_SECONDS_MAX,
    socket_connect_timeout=REDIS_SECONDS_MAX,
    decode_responses=True,
)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Close the connections at the end."""
    yield
    await redis.aclose()


app = FastAPI(title="Quotes", lifespan=lifespan)


@app.middleware("http")
async def name_pod(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Tell in every answer which pod has given it."""
    response = await answer(request)
    response.headers["X-Served-By"] = socket.gethostname()
    return response


@app.exception_handler(RedisError)
async def without_redis(_: Request, error: RedisError) -> JSONResponse:
    """Answer 503 when Redis cannot be asked."""
    return JSONResponse({"detail": f"no votes without Redis: {type(error).__name__}"}, 503)


@app.get("/")
async def any_quote() -> dict[str, object]:
    """Give a quote at random, with its votes."""
    return await quote(random.randrange(len(QUOTES)))  # noqa: S311 (no secret)


@app.get("/quotes/{number}")
async def quote(number: int) -> dict[str, object]:
    """Give one quote, with its votes."""
    _check(number)
    return {"number": number, "quote": QUOTES[number], "votes": int(await redis.hget(VOTES, str(number)) or 0)}


@app.post("/quotes/{number}/votes", status_code=202)
async def vote(number: int) -> dict[str, object]:
    """Queue a vote; it is counted soon."""
    _check(number)
    await redis.rpush(QUEUE, number)
    return {"number": number, "queued": True}


@app.get("/healthz")
async def alive() -> dict[str, str]:
    """Tell that the process answers."""
    return {"status": "alive"}


@app.get("/readyz")
async def ready() -> dict[str, str]:
    """Tell that Redis answers too."""
    await redis.ping()
    return {"status": "ready"}


def _check(number: int) -> None:
    if not 0 <= number < len(QUOTES):
        raise HTTPException(404, f"there is no quote {number}, but 0 to {len(QUOTES) - 1}")
