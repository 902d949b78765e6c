"""The counter: POST /parcels takes one, GET /parcels/ID tells whether it was delivered, GET / how many were.

A parcel goes to a list of Redis, from which `courier` takes it; what was delivered stands in PostgreSQL. GET / leaves
out what it cannot ask, so that it is answered without either. Uvicorn ends on SIGTERM when all requests are answered.
"""

import os
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from psycopg import Error as PostgresError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ledger import Ledger

__all__ = ["app"]

SECONDS_MAX = 0.3  # users wait for two seconds at most, and GET / asks two others
QUEUE, TAKEN = "parcels", "parcels:taken"

redis = Redis.from_url(
    os.environ.get("QUEUE_URL", "redis://redis:6379/0"),
    socket_timeout=SECONDS_MAX,
    socket_connect_timeout=SECONDS_MAX,
)
ledger = Ledger(SECONDS_MAX)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Close the connections at the end."""
    yield
    await redis.aclose()
    await ledger.close()


app = FastAPI(title="Parcels", lifespan=lifespan)


@app.middleware("http")
async def name_pod(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Tell in every answer which pod has given it."""
    response = await answer(request)
    response.headers["X-Served-By"] = socket.gethostname()
    return response


@app.exception_handler(RedisError)
@app.exception_handler(PostgresError)
@app.exception_handler(TimeoutError)
async def unavailable(_: Request, error: Exception) -> JSONResponse:
    """Answer 503 when what a request needs cannot be asked."""
    return JSONResponse({"detail": f"try again later: {type(error).__name__}"}, 503, {"Retry-After": "1"})


@app.get("/")
async def counts() -> dict[str, int | None]:
    """Tell how many parcels wait and how many were delivered; null for what cannot be told just now."""
    waiting: int | None = None
    delivered: int | None = None
    with suppress(RedisError):
        waiting = await redis.llen(QUEUE) + await redis.llen(TAKEN)
    with suppress(PostgresError, TimeoutError):
        delivered = await ledger.count()
    return {"waiting": waiting, "delivered": delivered}


@app.post("/parcels", status_code=202)
async def take() -> dict[str, str]:
    """Take a parcel; it is delivered soon."""
    parcel = str(uuid.uuid4())
    await redis.lpush(QUEUE, parcel)
    return {"parcel": parcel}


@app.get("/parcels/{parcel}")
async def delivered(parcel: uuid.UUID) -> dict[str, str]:
    """Tell that a parcel was delivered; 404 as long as it was not."""
    if not await ledger.has(str(parcel)):
        raise HTTPException(404, f"parcel {parcel} was not delivered yet")
    return {"parcel": str(parcel)}


@app.get("/healthz")
async def alive() -> dict[str, str]:
    """Tell that the process answers; it asks nobody else."""
    return {"status": "alive"}
